"""The rules of an HTTPRoute: render matches, filters and backends from a Canary, and merge them into live rules.

Only `gatewayapi` uses this. The formats are those of the Gateway API reference, HTTPRouteRule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyflagger.api import durations, names
from pyflagger.api.canary import Canary, Match, Service
from pyflagger.api.facts import Fault, Problem, Route
from pyflagger.objects import Obj, part
from pyflagger.routing.generated import overlay
from pyflagger.routing.rules import Split, condition, splits
from pyflagger.routing.shares import beside_others

ROOT: Obj = {"path": {"type": "PathPrefix", "value": "/"}}
_PATHS = {"regex": "RegularExpression", "exact": "Exact", "prefix": "PathPrefix"}
_TEXTS = {"exact": "Exact", "regex": "RegularExpression"}
_HEADERS = {"add": None, "set": None, "remove": None}
_MODIFIERS = ("requestHeaderModifier", "responseHeaderModifier")


class Unsayable(Exception):
    """An HTTPRoute cannot express a condition. The arguments are the path in the manifest and the reason."""


def rules(
    canary: Canary, service: Service, port: int, route: Route, users: list[Obj], *, everyone: bool
) -> list[Obj] | Problem:
    """The managed rules of one port. `users` has the matches of the user's rule that they replace."""
    try:
        base = base_matches(service, users)
        return [_rule(canary, service, port, base, split) for split in splits(canary, route, everyone=everyone)]
    except Unsayable as told:
        path, why = told.args
        text = f"Invalid request matching selectors: {path} {why}"
        return Problem(Fault.MANIFEST, text, "Use exact or regex. A path can also use prefix.", path)


def base_matches(service: Service, users: list[Obj]) -> list[Obj]:
    """The matches of `service.match`. The default is those of the user's rule, then a match of all requests."""
    found = [_service_match(entry, f"spec.service.match[{at}]") for at, entry in enumerate(service.match)]
    return [match for match in found if match] or users or [ROOT]


def _service_match(entry: Obj, where: str) -> Obj:
    made: Obj = {}
    uri, method = part(entry, "uri"), part(entry, "method")
    if uri:
        kind = next((kind for kind in _PATHS if uri.get(kind)), None)
        if kind is None:
            raise Unsayable(f"{where}.uri", "has none of exact, prefix and regex")
        made["path"] = {"type": _PATHS[kind], "value": uri[kind]}
    if method:
        if not method.get("exact"):
            raise Unsayable(f"{where}.method", "supports only exact")
        made["method"] = method["exact"]
    for field in ("headers", "queryParams"):
        found = [_text(name, how, f"{where}.{field}.{name}") for name, how in sorted(part(entry, field).items())]
        if found:
            made[field] = found
    return {**ROOT, **made} if made else made


def _text(name: str, how: Mapping[str, Any], where: str) -> Obj:
    for kind, word in _TEXTS.items():
        if how.get(kind) is not None:
            return {"type": word, "name": name, "value": how[kind]}
    raise Unsayable(where, "is neither exact nor regex")


def _with(base: Obj, match: Match, where: str) -> Obj:
    """A match of the Service combined with a condition. If both have the same header, the condition wins."""
    if match.source_labels:
        raise Unsayable(f"{where}.sourceLabels", "cannot be expressed by an HTTPRoute")
    made = dict(base)
    for field, words, shown in (
        ("headers", match.headers, "headers"),
        ("queryParams", match.query_params, "queryParams"),
    ):
        found: dict[str, Obj] = {}
        for name, how in words.items():
            kind, value = condition(how) or ("nothing", "")
            found[name.lower()] = _text(name, {kind: value}, f"{where}.{shown}.{name}")
        kept = [entry for entry in base.get(field, ()) if entry["name"].lower() not in found]
        if both := sorted([*kept, *found.values()], key=lambda entry: str(entry["name"])):
            made[field] = both
    return made


def _rule(canary: Canary, service: Service, port: int, base: list[Obj], split: Split) -> Obj:
    analysis = canary.spec.analysis
    field = "testers" if analysis and split.conditions is analysis.testers else "match"
    pairs = [
        _with(match, condition, f"spec.analysis.{field}[{at}]")
        for at, condition in enumerate(split.conditions)
        for match in base
    ]
    filters = list(service_filters(service))
    if split.removed_cookie:
        filters = _cookie_added(filters, split.removed_cookie)
    if split.mirrored:
        percent = analysis.mirror_weight if analysis else 0
        to = {"group": "", "kind": "Service", "name": names.canary_service(canary), "port": port}
        share = {"percent": percent} if percent else {}
        filters.append({"type": "RequestMirror", "requestMirror": {"backendRef": to, **share}})
    backends = [_backend(names.primary_service(canary), port, split.primary, split.primary_cookie)]
    if split.canary is not None:
        backends.append(_backend(names.canary_service(canary), port, split.canary, split.canary_cookie))
    made: Obj = {"matches": pairs or base, "backendRefs": backends}
    if filters:
        made["filters"] = filters
    limits = {"request": service.timeout, "backendRequest": service.backend_timeout}
    if any(limits.values()):
        made["timeouts"] = {key: text for key, text in limits.items() if text}
    return made


def _backend(name: str, port: int, weight: int, cookie: str) -> Obj:
    made: Obj = {"group": "", "kind": "Service", "name": name, "port": port, "weight": weight}
    return {**made, "filters": _cookie_added([], cookie)} if cookie else made


def _cookie_added(filters: list[Obj], cookie: str) -> list[Obj]:
    """Add the cookie to the existing header filter, because a rule can have only one filter of each type."""
    added = {"name": "Set-Cookie", "value": cookie}
    kept = [found for found in filters if found["type"] != "ResponseHeaderModifier"]
    there: Obj = next((found["responseHeaderModifier"] for found in filters if found not in kept), {})
    change = {**there, "add": [*there.get("add", ()), added]}
    return [*kept, {"type": "ResponseHeaderModifier", "responseHeaderModifier": change}]


def service_filters(service: Service) -> Iterator[Obj]:
    """The filters that `spec.service` configures for requests and responses."""
    headers = service.headers or {}
    for word, kind in (("request", "RequestHeaderModifier"), ("response", "ResponseHeaderModifier")):
        if change := _header_change(part(headers, word)):
            yield {"type": kind, kind[0].lower() + kind[1:]: change}
    if service.rewrite and (service.rewrite.uri or service.rewrite.authority):
        yield {"type": "URLRewrite", "urlRewrite": _rewrite(service)}
    for mirror in service.mirror:
        yield {"type": "RequestMirror", "requestMirror": mirror}
    if cors := _cors(service.cors_policy or {}):
        yield {"type": "CORS", "cors": cors}


def unsayable(service: Service) -> Problem | None:
    """Report fields of a CORS policy that the Gateway API cannot express. flagger never drops them silently."""
    policy, path = service.cors_policy or {}, "spec.service.corsPolicy"
    for at, how in enumerate(policy.get("allowOrigins") or ()):
        if not isinstance(how, dict) or not how.get("exact"):
            where = f"{path}.allowOrigins[{at}]"
            text = f"{where} cannot be expressed by the Gateway API, which matches only whole origins"
            return Problem(Fault.MANIFEST, text, "Use exact, or allowOrigin with * as a wildcard.", where)
    try:
        durations.parse(policy.get("maxAge") or "0s")
    except ValueError:
        text = f"{path}.maxAge is {policy['maxAge']!r}, which is not a duration"
        return Problem(Fault.MANIFEST, text, "Write it like 24h or 90s.", f"{path}.maxAge")
    return None


def _header_change(change: Obj) -> Obj:
    made: Obj = {}
    for verb in ("add", "set"):
        if pairs := [{"name": name, "value": value} for name, value in sorted(part(change, verb).items())]:
            made[verb] = pairs
    if change.get("remove"):
        made["remove"] = list(change["remove"])
    return made


def _rewrite(service: Service) -> Obj:
    rewrite, made = service.rewrite, {}
    if rewrite and rewrite.authority:
        made["hostname"] = rewrite.authority
    if rewrite and rewrite.uri:
        prefix = rewrite.type == "ReplacePrefixMatch"
        kind, key = ("ReplacePrefixMatch", "replacePrefixMatch") if prefix else ("ReplaceFullPath", "replaceFullPath")
        made["path"] = {"type": kind, key: rewrite.uri}  # type: ignore[assignment]
    return made


def _cors(policy: Obj) -> Obj:
    """Convert a CORS policy from Istio's format to the Gateway API's."""
    origins = policy.get("allowOrigin") or [how["exact"] for how in policy.get("allowOrigins") or ()]
    made = {"allowOrigins": list(origins)} if origins else {}
    made |= {key: policy[key] for key in ("allowMethods", "allowHeaders", "exposeHeaders") if policy.get(key)}
    if policy.get("allowCredentials"):
        made["allowCredentials"] = True  # type: ignore[assignment]
    if policy.get("maxAge"):
        made["maxAge"] = int(durations.parse(policy["maxAge"]))  # type: ignore[assignment]
    return made


def owned_fields(service: Service) -> tuple[str, ...]:
    """The optional fields of rules that the manifest sets."""
    limits = ("timeouts",) if service.timeout or service.backend_timeout else ()
    return (*sorted({found["type"] for found in service_filters(service)}), *limits)


def service_of(ref: Obj, namespace: str) -> str:
    """The Service that a backend names, if it is in this namespace, or empty."""
    here = ref.get("kind", "Service") == "Service" and not ref.get("group")
    return str(ref.get("name", "")) if here and ref.get("namespace", namespace) == namespace else ""


def backends(rule: Obj, namespace: str) -> list[tuple[str, Obj]]:
    """(Service, backend) of a rule."""
    return [(service_of(ref, namespace), ref) for ref in rule.get("backendRefs") or ()]


def over(canary: Canary, before: Iterable[str], theirs: bool, live: Obj, wanted: Obj) -> Obj:
    """Merge a managed rule into a live one. Filters and fields that others added stay.

    In a route of the user (`theirs`), other backends stay, too, and flagger's backends start from the one to the apex.
    """
    forgotten = {key: None for key in ("timeouts",) if key in before and key not in wanted}
    made: Obj = overlay(live, {**wanted, "filters": None, "backendRefs": None, **forgotten})
    filters = _filters(canary, live.get("filters") or (), wanted.get("filters", ()), before)
    named = backends(live, canary.metadata.namespace)
    there, first = dict(named), dict(named).get(names.apex(canary), {})
    refs = [_ref_over(canary, there.get(ref["name"], first), ref) for ref in wanted["backendRefs"]]
    if theirs:
        refs = beside_others(named, names.services(canary), refs, 1)
    return {**made, "matches": wanted["matches"], **({"filters": filters} if filters else {}), "backendRefs": refs}


def _ref_over(canary: Canary, live: Obj, wanted: Obj) -> Obj:
    filters = _filters(canary, live.get("filters") or (), wanted.get("filters", ()), ())
    made: Obj = overlay(live, {**wanted, "filters": None})
    return {**made, "filters": filters} if filters else made


def _filters(canary: Canary, live: Iterable[Obj], wanted: Iterable[Obj], before: Iterable[str]) -> list[Obj]:
    mine, spoken = list(wanted), set(before)
    types = {found["type"] for found in mine if found["type"] != "RequestMirror"} | spoken
    theirs = [found for found in live if found.get("type") not in types and not _is_ours(canary, found, mine)]
    under = {found.get("type"): found for found in live}
    return [*(_filter_over(under.get(found["type"], {}), found) for found in mine), *theirs]


def _filter_over(live: Obj, wanted: Obj) -> Obj:
    if wanted["type"] == "RequestMirror":
        return wanted
    cleared = {key: {**_HEADERS, **change} if key in _MODIFIERS else change for key, change in wanted.items()}
    made: Obj = overlay(live, cleared)
    return made


def _is_ours(canary: Canary, found: Obj, wanted: Iterable[Obj]) -> bool:
    """Whether flagger manages the filter: a mirror to the canary, a configured mirror, or an affinity cookie."""
    if found.get("type") == "RequestMirror":
        to = part(part(found, "requestMirror"), "backendRef").get("name")
        asked = {part(part(each, "requestMirror"), "backendRef").get("name") for each in wanted}
        return to == names.canary_service(canary) or to in asked
    added = part(found, "responseHeaderModifier").get("add") or ()
    return any(header.get("name") == "Set-Cookie" for header in added) and len(added) == 1
