"""Provider `nginx`: a copy of the user's Ingress with canary annotations.

ingress-nginx supports these annotations, and so does Traefik's ingress-nginx provider. flagger only reads the user's
Ingress. See the ingress-nginx documentation, "Canary" under annotations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyflagger.api import names
from pyflagger.api.canary import Canary, Match
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Create, Delete, Obj, Ref, Resource, part, ref_of
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import OTHERS, patch
from pyflagger.routing.ingresses import (
    INGRESSES,
    candidates,
    changes,
    ingress_ref,
    led_to,
    shadow,
    shadow_of,
    shadow_ref,
    source_of,
    sources,
)

COOKIE = "cookie"
PERCENT = 100
"""The default sum of the weights."""
TOTAL = "canary-weight-total"


class Nginx:
    """Weights, headers and cookies as annotations."""

    capabilities = Capabilities(weights=True, ab=True, ports=True, testers=True)
    kinds: tuple[Resource, ...] = (INGRESSES,)

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """The user's Ingress, the objects that show its ports, and both possible names of the copy."""
        if canary.spec.ingress_ref is None:
            return ()
        return *sources(canary), *candidates(canary)

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """The split of the copy's annotations."""
        ingress = shadow_of(canary, live)
        if ingress is None:
            return None
        annotations = ingress["metadata"].get("annotations") or {}
        prefix = options.annotation_prefix
        ruled = any(f"{prefix}/{key}" in annotations for key in ("canary-by-header", "canary-by-cookie"))
        if ruled and strategy(canary) == "ab-testing":
            # After a failed promotion the canary must get all visitors, but the remaining rules match only some.
            return ALL_PRIMARY if canary.status.canary_weight == 100 else ALL_CANARY
        text = annotations.get(f"{prefix}/canary-weight")
        if text is None or annotations.get(f"{prefix}/canary") != "true":
            return ALL_PRIMARY
        weight = _percent(ingress, prefix)
        if weight is None:
            where, total = f"ingress {ingress['metadata']['name']}.{canary.metadata.namespace}", _total(ingress, prefix)
            wanted = "a number from 0 to 100" if total == PERCENT else f"a whole percentage of {total}"
            what = f"{where}: annotation {prefix}/canary-weight is {text!r}, which is not {wanted}"
            return Problem(Fault.CLUSTER, what, OTHERS)
        return Route(100 - weight, weight)

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """Create or correct the copy, with the canary's Service as its backend."""
        source = source_of(canary, live)
        if isinstance(source, Problem):
            return source
        ours = shadow_of(canary, live)
        prefix, wanted = options.annotation_prefix, _render(canary, shadow_ref(canary, live), source, options)
        total = _wished(source, prefix)
        if ours is None:
            wanted["metadata"]["annotations"] |= _weight_annotations(prefix, _owed(canary), total)
            return (Create(wanted),)
        body = _changes(ours, wanted, f"{prefix}/canary")
        unusable = isinstance(self.read(canary, live, options), Problem)
        if unusable or _total(ours, prefix) != total:
            weight = None if unusable else _percent(ours, prefix)
            annotations = body.setdefault("metadata", {}).setdefault("annotations", {})
            annotations |= {f"{prefix}/{TOTAL}": None}
            annotations |= _weight_annotations(prefix, _owed(canary) if weight is None else weight, total)
        return (patch(ours, body),) if body else ()

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """Replace the canary annotations by those of the route."""
        ours = shadow_of(canary, live)
        if ours is None:
            if route == ALL_PRIMARY:
                return ()
            return Problem(
                Fault.CLUSTER, f"ingress {shadow_ref(canary, live).name} does not exist", "flagger creates it again."
            )
        total = _wished(live.get(ingress_ref(canary)), options.annotation_prefix)
        wanted = _annotations(canary, route, options.annotation_prefix, total, everyone)
        if isinstance(wanted, Problem):
            return wanted
        stem = f"{options.annotation_prefix}/canary"
        now = {
            key: value for key, value in (ours["metadata"].get("annotations") or {}).items() if _is_canary(key, stem)
        }
        if now == wanted:
            return ()
        change = {**{key: None for key in now if key not in wanted}, **wanted}
        return (patch(ours, {"metadata": {"annotations": change}}),)

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """Delete the copy before the Services that it routes to. The user's Ingress then serves all visitors."""
        ours = shadow_of(canary, live)
        return (Delete(ref_of(ours)),) if ours is not None and names.is_owned(canary, ours) else ()


def _is_canary(key: str, stem: str) -> bool:
    return key == stem or key.startswith(f"{stem}-")


def _weight_annotations(prefix: str, weight: int, total: int) -> dict[str, str]:
    """The annotations of a weight in percent, converted to a share of `total`."""
    divided = {f"{prefix}/{TOTAL}": str(total)} if total != PERCENT else {}
    return {f"{prefix}/canary": "true", f"{prefix}/canary-weight": str(weight * total // PERCENT), **divided}


def _total(ingress: Obj | None, prefix: str) -> int:
    """The sum of an Ingress's weights. A value that is not a number means the default, as in ingress-nginx."""
    text = str(part(part(ingress or {}, "metadata"), "annotations").get(f"{prefix}/{TOTAL}", ""))
    return (int(text) if text.isascii() and text.isdigit() else 0) or PERCENT


def _wished(source: Obj | None, prefix: str) -> int:
    """The sum that the user's Ingress sets, if every percentage is a whole share of it."""
    total = _total(source, prefix)
    return total if total % PERCENT == 0 else PERCENT


def _percent(ours: Obj, prefix: str) -> int | None:
    """The weight in percent. None if it is not a whole percentage."""
    text, total = part(part(ours, "metadata"), "annotations").get(f"{prefix}/canary-weight", "0"), _total(ours, prefix)
    if not text.isascii() or not text.isdigit() or int(text) > total or int(text) * PERCENT % total:
        return None
    return int(text) * PERCENT // total


def _owed(canary: Canary) -> int:
    """The weight of a recreated Ingress: the weight that the release had reached. A/B rules are set separately."""
    return 0 if strategy(canary) == "ab-testing" else canary.status.canary_weight


def _annotations(canary: Canary, route: Route, prefix: str, total: int, everyone: bool) -> dict[str, str] | Problem:
    analysis = canary.spec.analysis
    weighted = _weight_annotations(prefix, route.canary, total)
    if route.canary == 0 or everyone or analysis is None:
        return weighted
    ab = strategy(canary) == "ab-testing"
    if not ab and not analysis.testers:
        return weighted
    field, matches = ("match", analysis.match) if ab else ("testers", analysis.testers)
    rules = _match_annotations(matches, f"spec.analysis.{field}", prefix)
    if isinstance(rules, Problem):
        return rules
    return {**(_weight_annotations(prefix, 0, total) if ab else weighted), **rules}


def _match_annotations(matches: Sequence[Match], where: str, prefix: str) -> dict[str, str] | Problem:
    """The by-header and by-cookie annotations. A condition that they cannot express is a Problem, never dropped."""
    found: dict[str, str] = {}
    for index, match in enumerate(matches):
        for key, value, path in _slots(match, f"{where}[{index}]"):
            if value is None:
                text = f"{path} cannot be expressed by ingress annotations"
                todo = "Use headers with exact or regex, or the header cookie with exact (the cookie's name)."
                return Problem(Fault.MANIFEST, text, todo, path)
            if found.get(f"{prefix}/{key}", value) != value:
                text = f"{path} is one condition too many: ingress annotations support one header and one cookie"
                return Problem(Fault.MANIFEST, text, "Keep at most one header and one cookie.", path)
            found[f"{prefix}/{key}"] = value
    if not found:
        text = f"{where} names no header: it would match every request"
        return Problem(Fault.MANIFEST, text, "Add a header or a cookie.", where)
    return found


def _slots(match: Match, path: str) -> Iterator[tuple[str, str | None, str]]:
    """(annotation, value or None, path) for each condition of an entry."""
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


def _render(canary: Canary, ref: Ref, source: Obj, options: RoutingOptions) -> Obj:
    """The copy without its canary annotations."""
    stem = f"{options.annotation_prefix}/canary"
    service = names.canary_service(canary)
    return shadow(canary, ref, source, lambda path: [led_to(path, service)], lambda key: _is_canary(key, stem), {})


def _changes(ours: Obj, wanted: Obj, stem: str) -> Obj:
    """The differences as a merge patch. Annotations of others and canary weights stay. `canary: true` is restored."""
    body = changes(ours, wanted)
    if stem not in (ours["metadata"].get("annotations") or {}):
        body.setdefault("metadata", {}).setdefault("annotations", {})[stem] = "true"
    return body
