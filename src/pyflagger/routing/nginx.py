"""Provider `nginx`: a second Ingress with canary annotations beside the user's.

Understood by ingress-nginx and by Traefik's provider for its annotations. The user's Ingress is only read. See the
ingress-nginx documentation, "Canary" under annotations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyflagger.api import names
from pyflagger.api.canary import Canary, Match
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Create, Delete, Obj, Ref, Resource, part, ref_of
from pyflagger.routing.base import Live, Options, Writes
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
"""In how many parts traffic is divided when nobody says."""
TOTAL = "canary-weight-total"


class Nginx:
    """Weights, headers and cookies by annotation."""

    capabilities = Capabilities(weights=True, ab=True, ports=True, testers=True)
    kinds: tuple[Resource, ...] = (INGRESSES,)

    def reads(self, canary: Canary, options: Options) -> tuple[Ref, ...]:
        """The user's Ingress with what shows its ports, and both names that ours can have."""
        if canary.spec.ingress_ref is None:
            return ()
        return *sources(canary), *candidates(canary)

    def read(self, canary: Canary, live: Live, options: Options) -> Route | Problem | None:
        """By the annotations of ours."""
        ingress = shadow_of(canary, live)
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
        weight = _percent(ingress, prefix)
        if weight is None:
            where, total = f"ingress {ingress['metadata']['name']}.{canary.metadata.namespace}", _total(ingress, prefix)
            wanted = "a number from 0 to 100" if total == PERCENT else f"a whole percentage of {total}"
            what = f"{where}: annotation {prefix}/canary-weight is {text!r}, which is not {wanted}"
            return Problem(Fault.CLUSTER, what, OTHERS)
        return Route(100 - weight, weight)

    def reconcile(self, canary: Canary, live: Live, options: Options) -> Writes | Problem:
        """Ours is a copy of the user's with the canary's Service behind it."""
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
        self, canary: Canary, live: Live, route: Route, options: Options, *, everyone: bool = False
    ) -> Writes | Problem:
        """Replace the canary annotations by those of the route."""
        ours = shadow_of(canary, live)
        if ours is None:
            if route == ALL_PRIMARY:
                return ()
            return Problem(Fault.CLUSTER, f"ingress {shadow_ref(canary, live).name} is not there", "It is made again.")
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

    def finalize(self, canary: Canary, live: Live, options: Options) -> Writes:
        """Ours is taken away before the Services that it leads to, so that the user's serves alone."""
        ours = shadow_of(canary, live)
        return (Delete(ref_of(ours)),) if ours is not None and names.is_owned(canary, ours) else ()


def _is_canary(key: str, stem: str) -> bool:
    return key == stem or key.startswith(f"{stem}-")


def _weight_annotations(prefix: str, weight: int, total: int) -> dict[str, str]:
    """`weight` in percent, as its share of `total`."""
    divided = {f"{prefix}/{TOTAL}": str(total)} if total != PERCENT else {}
    return {f"{prefix}/canary": "true", f"{prefix}/canary-weight": str(weight * total // PERCENT), **divided}


def _total(ingress: Obj | None, prefix: str) -> int:
    """In how many parts an Ingress divides traffic; what is no number means what nothing does, as in ingress-nginx."""
    text = str(part(part(ingress or {}, "metadata"), "annotations").get(f"{prefix}/{TOTAL}", ""))
    return (int(text) if text.isascii() and text.isdigit() else 0) or PERCENT


def _wished(source: Obj | None, prefix: str) -> int:
    """The parts that the user's Ingress names, when each percentage is a whole number of them."""
    total = _total(source, prefix)
    return total if total % PERCENT == 0 else PERCENT


def _percent(ours: Obj, prefix: str) -> int | None:
    """The weight; None when it is no whole percentage."""
    text, total = part(part(ours, "metadata"), "annotations").get(f"{prefix}/canary-weight", "0"), _total(ours, prefix)
    if not text.isascii() or not text.isdigit() or int(text) > total or int(text) * PERCENT % total:
        return None
    return int(text) * PERCENT // total


def _owed(canary: Canary) -> int:
    """The weight of an Ingress that is made again: what the release had reached; rules of A/B are set anew."""
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
        text = f"{where} names no header: it would match every request"
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


def _render(canary: Canary, ref: Ref, source: Obj, options: Options) -> Obj:
    """Our Ingress without its canary annotations."""
    stem = f"{options.annotation_prefix}/canary"
    service = names.canary_service(canary)
    return shadow(canary, ref, source, lambda path: [led_to(path, service)], lambda key: _is_canary(key, stem), {})


def _changes(ours: Obj, wanted: Obj, stem: str) -> Obj:
    """What differs; canary annotations and what others added stay, but for the mark that makes it a canary."""
    body = changes(ours, wanted)
    if stem not in (ours["metadata"].get("annotations") or {}):
        body.setdefault("metadata", {}).setdefault("annotations", {})[stem] = "true"
    return body
