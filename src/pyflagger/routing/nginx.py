"""Provider `nginx`: a second Ingress with canary annotations beside the user's.

Understood by ingress-nginx and by Traefik's provider for its annotations. The user's Ingress is only read. See the
ingress-nginx documentation, "Canary" under annotations.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary, Match, Service
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Create, Obj, Patch, Ref, Resource, ref_of
from pyflagger.routing.base import Live, Options, Writes

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
COOKIE = "cookie"
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")


class Nginx:
    """Weights, headers and cookies by annotation."""

    capabilities = Capabilities(weights=True, ab=True, ports=True, testers=True)
    kinds: tuple[Resource, ...] = (INGRESSES,)

    def reads(self, canary: Canary, options: Options) -> tuple[Ref, ...]:
        """The user's Ingress and ours."""
        if canary.spec.ingress_ref is None:
            return ()
        return _ref(canary, ""), _ref(canary, "-canary")

    def read(self, canary: Canary, live: Live, options: Options) -> Route | Problem | None:
        """By the annotations of ours."""
        ingress = live.get(_ref(canary, "-canary")) if canary.spec.ingress_ref else None
        if ingress is None:
            return None
        annotations = ingress["metadata"].get("annotations") or {}
        prefix = options.annotation_prefix
        ruled = any(f"{prefix}/{key}" in annotations for key in ("canary-by-header", "canary-by-cookie"))
        if ruled and strategy(canary) == "ab-testing":
            # After a failed promotion the canary is owed everybody: rules that are still there give it only a few.
            return ALL_PRIMARY if canary.status.canary_weight == 100 else ALL_CANARY
        text = annotations.get(f"{prefix}/canary-weight")
        if text is None or annotations.get(f"{prefix}/canary") != "true":
            return ALL_PRIMARY
        if not text.isascii() or not text.isdigit() or int(text) > 100:
            where = f"ingress {ingress['metadata']['name']}.{canary.metadata.namespace}"
            what = f"{where}: annotation {prefix}/canary-weight is {text!r}, which is not a number from 0 to 100"
            return Problem(Fault.CLUSTER, what, "Somebody else writes to this Ingress: find out who, and delete it.")
        return Route(100 - int(text), int(text))

    def reconcile(self, canary: Canary, live: Live, options: Options) -> Writes | Problem:
        """Ours is a copy of the user's with the canary's Service behind it."""
        source = self._source(canary, live)
        if isinstance(source, Problem):
            return source
        ours = live.get(_ref(canary, "-canary"))
        wanted = _render(canary, source, options)
        if isinstance(wanted, Problem):
            return wanted
        if ours is None:
            wanted["metadata"]["annotations"] |= _weight_annotations(options, _owed(canary))
            return (Create(wanted),)
        body = _changes(ours, wanted, f"{options.annotation_prefix}/canary")
        return (_patch(ours, body),) if body else ()

    def set(
        self, canary: Canary, live: Live, route: Route, options: Options, *, everyone: bool = False
    ) -> Writes | Problem:
        """Replace the canary annotations by those of the route."""
        ours = live.get(_ref(canary, "-canary")) if canary.spec.ingress_ref else None
        if ours is None:
            if route == ALL_PRIMARY:
                return ()
            return Problem(Fault.CLUSTER, f"ingress {names.ingress(canary)}-canary is not there", "It is made again.")
        wanted = _annotations(canary, route, options, everyone)
        if isinstance(wanted, Problem):
            return wanted
        stem = f"{options.annotation_prefix}/canary"
        now = {
            key: value for key, value in (ours["metadata"].get("annotations") or {}).items() if _is_canary(key, stem)
        }
        if now == wanted:
            return ()
        change = {**{key: None for key in now if key not in wanted}, **wanted}
        return (_patch(ours, {"metadata": {"annotations": change}}),)

    def finalize(self, canary: Canary, live: Live, options: Options) -> Writes:
        """Ours goes with the Canary; the user's was never touched."""
        return ()

    def _source(self, canary: Canary, live: Live) -> Obj | Problem:
        """The user's Ingress, when it sends to the apex Service at the right port."""
        if canary.spec.ingress_ref is None:
            text = "ingress selector is empty"
            return Problem(Fault.MANIFEST, text, "Name your Ingress in spec.ingressRef.", "spec.ingressRef")
        source = live.get(_ref(canary, ""))
        if source is None:
            name, namespace = canary.spec.ingress_ref.name, canary.metadata.namespace
            text = f'ingress {name}.{namespace} get query error: ingresses.networking.k8s.io "{name}" not found'
            return Problem(
                Fault.MANIFEST, text, f"Create ingress {name}, or correct spec.ingressRef.", "spec.ingressRef"
            )
        return port_mismatch(canary, source) or source


def _ref(canary: Canary, suffix: str) -> Ref:
    name = canary.spec.ingress_ref.name if canary.spec.ingress_ref else ""
    return INGRESSES.ref(canary.metadata.namespace, name + suffix)


def _patch(ours: Obj, body: Obj) -> Patch:
    return Patch(ref_of(ours), body, ours["metadata"].get("resourceVersion", ""))


def _is_canary(key: str, stem: str) -> bool:
    return key == stem or key.startswith(f"{stem}-")


def _weight_annotations(options: Options, weight: int) -> dict[str, str]:
    prefix = options.annotation_prefix
    return {f"{prefix}/canary": "true", f"{prefix}/canary-weight": str(weight)}


def _owed(canary: Canary) -> int:
    """The weight of an Ingress that is made again: what the release had reached; rules of A/B are set anew."""
    return 0 if strategy(canary) == "ab-testing" else canary.status.canary_weight


def _annotations(canary: Canary, route: Route, options: Options, everyone: bool) -> dict[str, str] | Problem:
    analysis = canary.spec.analysis
    if route.canary == 0 or everyone or analysis is None:
        return _weight_annotations(options, route.canary)
    ab = strategy(canary) == "ab-testing"
    if not ab and not analysis.testers:
        return _weight_annotations(options, route.canary)
    field, matches = ("match", analysis.match) if ab else ("testers", analysis.testers)
    rules = _match_annotations(matches, f"spec.analysis.{field}", options.annotation_prefix)
    return rules if isinstance(rules, Problem) else {**_weight_annotations(options, 0 if ab else route.canary), **rules}


def _match_annotations(matches: Sequence[Match], where: str, prefix: str) -> dict[str, str] | Problem:
    """By-header and by-cookie annotations; what they cannot say is a problem, never left out."""
    found: dict[str, str] = {}
    for index, match in enumerate(matches):
        for key, value, path in _slots(match, f"{where}[{index}]"):
            if value is None:
                text = f"{path} cannot be expressed by ingress annotations"
                todo = "Use headers with exact or regex, or the header cookie with exact (the cookie's name)."
                return Problem(Fault.MANIFEST, text, todo, path)
            if found.get(f"{prefix}/{key}", value) != value:
                text = f"{path} is one condition too many: ingress annotations hold one header and one cookie"
                return Problem(Fault.MANIFEST, text, "Leave one header and one cookie.", path)
            found[f"{prefix}/{key}"] = value
    if not found:
        text = f"{where} names no header: it would match everybody"
        return Problem(Fault.MANIFEST, text, "Name a header or a cookie.", where)
    return found


def _slots(match: Match, path: str) -> Iterator[tuple[str, str | None, str]]:
    """(annotation, value or None when there is none, path) for each condition of an entry."""
    if match.query_params:
        yield "", None, f"{path}.queryParams"
    if match.source_labels:
        yield "", None, f"{path}.sourceLabels"
    for header, how in sorted(match.headers.items()):
        where = f"{path}.headers.{header}"
        if how.prefix is not None or how.suffix is not None:
            yield "", None, where
        elif header.lower() == COOKIE:
            yield "canary-by-cookie", how.exact, where
        else:
            yield "canary-by-header", header, where
            if how.exact:
                yield "canary-by-header-value", how.exact, where
            if how.regex:
                yield "canary-by-header-pattern", how.regex, where


def _render(canary: Canary, source: Obj, options: Options) -> Obj | Problem:
    """Our Ingress without its canary annotations: the user's, with only the paths that lead to the apex Service."""
    spec = copy.deepcopy(source.get("spec") or {})
    spec.pop("defaultBackend", None)
    apex, wanted = names.apex(canary), names.canary_service(canary)
    rules = []
    for rule in spec.get("rules") or ():
        paths = [path for path in (rule.get("http") or {}).get("paths") or () if _service(path).get("name") == apex]
        for path in paths:
            _service(path)["name"] = wanted
        if paths:
            rules.append({**rule, "http": {**rule["http"], "paths": paths}})
    spec["rules"] = rules
    meta = source["metadata"]
    stem = f"{options.annotation_prefix}/canary"
    annotations = {
        key: value
        for key, value in (meta.get("annotations") or {}).items()
        if not _is_canary(key, stem) and key != LAST_APPLIED
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"{meta['name']}-canary",
            "namespace": canary.metadata.namespace,
            "labels": dict(meta.get("labels") or {}),
            "annotations": {**annotations, **names.TOOLKIT_ANNOTATIONS},
            "ownerReferences": [names.owner_reference(canary)],
        },
        "spec": spec,
    }


def _changes(ours: Obj, wanted: Obj, stem: str) -> Obj:
    """What differs in spec, labels and annotations; canary annotations and what others added stay."""
    body: Obj = {}
    live_spec = {key: value for key, value in (ours.get("spec") or {}).items() if value}
    if live_spec != {key: value for key, value in wanted["spec"].items() if value}:
        removed = {key: None for key in live_spec if key not in wanted["spec"]}
        body["spec"] = {**removed, **wanted["spec"]}
    meta: Obj = {}
    for part in ("labels", "annotations"):
        now = ours["metadata"].get(part) or {}
        diff = {key: value for key, value in wanted["metadata"][part].items() if now.get(key) != value}
        if diff:
            meta[part] = diff
    missing_mark = f"{stem}" not in (ours["metadata"].get("annotations") or {})
    if missing_mark:
        meta.setdefault("annotations", {})[stem] = "true"
    if meta:
        body["metadata"] = meta
    return body


def _service(path: Obj) -> Obj:
    service: Any = (path.get("backend") or {}).get("service")
    return service if isinstance(service, dict) else {}


def _backends(source: Obj) -> Iterator[Obj]:
    for rule in (source.get("spec") or {}).get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            yield _service(path)


def service_ports(service: Service) -> set[int | str]:
    """Numbers and names of the ports that the generated Services have by the manifest."""
    further = {word for port in service.ports for word in (port.name, port.port)}
    return {service.port, service.port_name, *further}


def port_mismatch(canary: Canary, source: Obj) -> Problem | None:
    """An Ingress that never reaches the apex Service, by its name or its port."""
    apex, name = names.apex(canary), source["metadata"]["name"]
    ports = [service.get("port") or {} for service in _backends(source) if service.get("name") == apex]
    if not ports:
        text = f"backend {apex} not found in ingress {name}"
        todo = f"Let ingress {name} send to service {apex}, or correct spec.service.name."
        return Problem(Fault.MANIFEST, text, todo, "spec.ingressRef")
    service = canary.spec.service
    known = service_ports(service) if service else set()
    wrong = [port.get("number") or port.get("name") for port in ports]
    if service is None or service.port_discovery or any(port in known for port in wrong):
        return None
    text = (
        f"ingress {name} sends to port {wrong[0]} of service {apex}, but spec.service.port is {service.port}: "
        f"visitors get 503 and the checks find no values"
    )
    todo = f"Set the backend's port in ingress {name} to {service.port}, or spec.service.port to {wrong[0]}."
    return Problem(Fault.MANIFEST, text, todo, "spec.service.port")
