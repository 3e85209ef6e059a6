"""Validates objects as an API server would, without a cluster, by the rules of the sandbox's API server.

Called by `flagger lint`. Unknown fields are errors. Kinds that have neither a schema nor a definition here are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from pyflagger.admission import crd, schema
from pyflagger.admission.builtin import builtin
from pyflagger.admission.errors import ApiError
from pyflagger.admission.resource import Resource
from pyflagger.admission.rules import Rules
from pyflagger.admission.schema import Type
from pyflagger.api.crds import crds
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.names import API_VERSION, GROUP
from pyflagger.objects import Obj

GONE: Mapping[tuple[str, str], str] = {
    ("extensions/v1beta1", "Ingress"): "networking.k8s.io/v1",
    ("networking.k8s.io/v1beta1", "Ingress"): "networking.k8s.io/v1",
    ("extensions/v1beta1", "Deployment"): "apps/v1",
    ("extensions/v1beta1", "DaemonSet"): "apps/v1",
    ("apps/v1beta1", "Deployment"): "apps/v1",
    ("apps/v1beta2", "Deployment"): "apps/v1",
    ("apps/v1beta2", "DaemonSet"): "apps/v1",
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): "autoscaling/v2",
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): "autoscaling/v2",
}
"""Versions that Kubernetes removed (1.16 to 1.26), with the versions that replace them."""

WAYS = ("iterations", "stepWeight", "stepWeights")


def refused(obj: Obj) -> tuple[Problem, ...]:
    """Every reason why the API server would reject an object, each path once."""
    found: dict[str, Problem] = {}
    for problem in _all(obj):
        found.setdefault(problem.path, problem)
    return tuple(found.values())


def _all(obj: Obj) -> Iterator[Problem]:
    wrong = tuple(_identity(obj))
    yield from wrong
    resource = _resources().get((str(obj.get("apiVersion")), str(obj.get("kind"))))
    if wrong or resource is None:
        return
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or not (meta.get("name") or meta.get("generateName")):
        yield _problem("metadata.name", "is required")
        return
    yield from _unknown(resource, obj)
    yield from _causes(resource, obj)


def _identity(obj: Obj) -> Iterator[Problem]:
    """The version and the kind."""
    version, kind = str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")
    ours = {name: group for group, name in _resources() if group.partition("/")[0] == GROUP}
    wanted = ours.get(kind, API_VERSION)
    if version.partition("/")[0] == GROUP and kind not in ours:
        close = get_close_matches(kind, ours, 1, 0.5)
        hint = f"Did you mean {close[0]}?" if close else f"Use one of: {', '.join(ours)}."
        yield _problem("kind", f"is {kind!r}, which is not a kind of {GROUP}", hint)
    elif kind in ours and version != wanted and (version in ("", "v1") or GROUP in version or _near(version, wanted)):
        yield _problem("apiVersion", f"is {version!r}" if version else "is required", f"Write {wanted}.")
    elif now := GONE.get((version, kind)):
        yield _problem("apiVersion", f"is {version}, which Kubernetes has removed for {kind}", f"Write {now}.")


def _near(version: str, wanted: str) -> bool:
    return bool(get_close_matches(version, [wanted], 1, 0.8))


@cache
def _resources() -> dict[tuple[str, str], Resource]:
    ours = (resource for definition in crds() for resource in crd.resources(definition))
    return {(each.api_version, each.kind): each for each in (*builtin(), *ours)}


# Unknown fields -----------------------------------------------------------------------------------------------------


def _unknown(resource: Resource, obj: Obj) -> Iterator[Problem]:
    try:
        _, told = Rules().clean(resource, obj, None, "Warn")
    except ApiError as error:
        path, _, what = error.message.rpartition(": ")
        yield _problem("", f"{path.rpartition(': ')[2]} {what}".strip())
        return
    for text in told:
        path = text.removeprefix('unknown field "').removesuffix('"')
        parent, _, name = path.rpartition(".")
        close = get_close_matches(name, _fields(resource, parent), 1, 0.6)
        hint = f"Did you mean {close[0]}?" if close else "Remove it."
        yield _problem(path, f"is not a field of {resource.kind}", hint)


def _fields(resource: Resource, parent: str) -> list[str]:
    """The known fields of the object that contains an unknown one."""
    steps = [step.partition("[")[0] for step in parent.split(".") if step]
    if resource.schema is not None and steps[:1] != ["metadata"]:
        return list(_inside(resource.schema, steps).get("properties") or ())
    model: str | None = resource.model or (schema.OBJECT_META if steps else None)
    for step in steps[1:] if resource.schema is not None else steps:
        field = schema.fields(model).get(step) if model else None
        model = _model(field.type) if field else None
    return list(schema.fields(model)) if model else []


def _inside(node: Mapping[str, Any], steps: Iterable[str]) -> Mapping[str, Any]:
    for step in steps:
        node = (node.get("properties") or {}).get(step) or node.get("additionalProperties") or {}
        node = node.get("items") or node if isinstance(node, dict) else {}
    return node


def _model(type: Type) -> str | None:
    while type.inner is not None:
        type = type.inner
    return type.model or None


# Values -------------------------------------------------------------------------------------------------------------


def _causes(resource: Resource, obj: Obj) -> Iterator[Problem]:
    try:
        clean, _ = Rules().clean(resource, _named(obj), None, "Ignore")
        Rules().admit(resource, clean, None)
    except ApiError as error:
        for cause in (error.details or {}).get("causes") or ():
            yield _spoken(obj, cause.get("field", ""), cause.get("message", ""))


def _named(obj: Obj) -> Obj:
    """The object with the kind of name that an API server would generate."""
    meta = obj["metadata"]
    return obj if meta.get("name") else {**obj, "metadata": {**meta, "name": f"{meta['generateName']}xxxxx"}}


def _spoken(obj: Obj, path: str, text: str) -> Problem:
    if "(oneOf)" in text and path == "spec.analysis":
        return _ways(obj["spec"]["analysis"])
    if "(anyOf)" in text and "type" not in obj["spec"]:
        path, text = "spec.type", "Required value"
    elif "(anyOf)" in text and path == "spec":
        return _problem("spec", "has neither address nor secretRef", "Set one of them.")
    if text.startswith("Required value"):
        return _problem(path, "is required", f"Set {path}.")
    return _problem(path, text[:1].lower() + text[1:])


def _ways(analysis: Obj) -> Problem:
    """`spec.analysis` needs an interval, a threshold, and exactly one way to advance."""
    path, given = "spec.analysis", [way for way in WAYS if way in analysis]
    missing = [field for field in ("interval", "threshold") if field not in analysis]
    if missing:
        return _problem(path, f"has no {' and no '.join(missing)}", f"Set spec.analysis.{missing[0]}.")
    if not given:
        return _problem(path, "has no steps, so a release would never advance", f"Set one of {', '.join(WAYS)}.")
    return _problem(path, f"has {' and '.join(given)}: only one of them can be set", "Keep one.")


def _problem(path: str, what: str, todo: str = "") -> Problem:
    text = f"{path} {what}".strip()
    return Problem(Fault.MANIFEST, text, todo or f"Correct {path or 'it'}.", path)
