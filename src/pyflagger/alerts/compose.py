"""What an alert says about its Canary: the fields of the reference in its order, and what templates may add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

from pyflagger.alerts.base import About
from pyflagger.api import defaults
from pyflagger.api.canary import Canary
from pyflagger.objects import Obj, part

Fields = tuple[tuple[str, str], ...]


def fields_of(canary: Canary, cluster: str, *, details: bool) -> Fields:
    """Names and values. The cluster comes first if it has a name; the rest only with `details`."""
    named: Fields = (("Cluster", cluster),) if cluster else ()
    if not details:
        return named
    target, routing = canary.spec.target_ref, _routing(canary)
    analysis = canary.spec.analysis
    return (
        *named,
        ("Target", f"{target.kind}/{target.name}.{canary.metadata.namespace}"),
        ("Failed checks threshold", str(max(1, analysis.threshold if analysis else 1))),
        ("Progress deadline", f"{defaults.deadline(canary)}s"),
        *((("Traffic routing", routing),) if routing else ()),
    )


def _routing(canary: Canary) -> str:
    """How traffic moves. The maximum weight is that of the manifest: 0 if it has none."""
    analysis = canary.spec.analysis
    if analysis is None:
        return ""
    if analysis.iterations > 0:
        return "A/B Testing" if analysis.match else "Blue/Green"
    if analysis.step_weight > 0:
        return f"Weight step: {analysis.step_weight} max: {analysis.max_weight}"
    if analysis.step_weights:
        return f"Weight steps: {','.join(map(str, analysis.step_weights))} max: {analysis.max_weight}"
    return ""


APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""An annotation that repeats the whole object. Templates do not get it."""


def about(canary: Obj, target: Obj | None, primary: Obj | None) -> About:
    """What templates may say about a release, from its objects. A missing object leaves its values empty.

    Annotations are those of the Canary, of its target and of the target's pods. The later ones win.
    """
    ref, pods = _at(canary, "spec", "targetRef"), _at(target, "spec", "template")
    notes: dict[str, str] = {}
    for obj in (canary, target, pods):
        notes |= {str(key): str(text) for key, text in _at(obj, "metadata", "annotations").items() if key != APPLIED}
    return About(
        target=f"{ref.get('kind', '')}/{ref.get('name', '')}",
        old_image=", ".join(_images(primary)),
        new_image=", ".join(_images(target)),
        reason=_reason(_at(canary, "status").get("conditions") or ()),
        annotations=notes,
    )


def link_of(dashboard: str, namespace: str, name: str) -> str:
    """The address of the Canary's page on a dashboard, which has its release under way; empty without a dashboard.

    It is not the page of a release: the record of that may not be written, and is deleted some releases later.
    """
    return f"{dashboard}/c/{namespace}/{name}" if dashboard else ""


def _at(obj: Obj | None, *path: str) -> Obj:
    """The nested object at a path; empty when it is missing."""
    return reduce(part, path, obj or {})


def _images(workload: Obj | None) -> Iterator[str]:
    for container in _at(workload, "spec", "template", "spec").get("containers") or ():
        if isinstance(container, Mapping) and container.get("image"):
            yield str(container["image"])


def _reason(conditions: Any) -> str:
    """What halts the release, else the state of its phase."""
    said = {one.get("type"): one for one in conditions if isinstance(one, Mapping)}
    halted, promoted = said.get("Halted") or {}, said.get("Promoted") or {}
    return str((halted if halted.get("status") == "True" else promoted).get("message") or "")
