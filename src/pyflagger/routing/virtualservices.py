"""The rules of a VirtualService and the specs of DestinationRules: render them from a Canary and merge them.

Only `istio` uses this. The formats are those of Istio's traffic management reference.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from pyflagger.api import names
from pyflagger.api.canary import Canary, Match, Service
from pyflagger.api.facts import Fault, Problem, Route
from pyflagger.objects import Obj, part
from pyflagger.routing.generated import overlay
from pyflagger.routing.rules import Split, condition, splits
from pyflagger.routing.shares import beside_others

OPTIONAL = ("rewrite", "timeout", "retries", "corsPolicy", "headers")
_ALWAYS = ("match", "mirror", "mirrorPercentage")


def is_tcp(protocol: str) -> bool:
    """Whether Istio routes the port as TCP."""
    return protocol.lower() == "tcp"


def sections(canary: Canary, service: Service, route: Route, *, everyone: bool) -> dict[str, list[Obj]]:
    """The managed rules by section: `http` or `tcp`, as the port requires. The rules of the main port come last."""
    made: dict[str, list[Obj]] = {}
    several = bool(service.ports)
    ports = [(port.port, port.app_protocol) for port in service.ports] + [(service.port, service.app_protocol)]
    for number, protocol in ports:
        only = number if several else None
        if is_tcp(protocol):
            made.setdefault("tcp", []).append(_tcp_rule(canary, service, route, only))
        else:
            found = splits(canary, route, everyone=everyone)
            made.setdefault("http", []).extend(_http_rule(canary, service, split, only) for split in found)
    return made


def _tcp_rule(canary: Canary, service: Service, route: Route, only: int | None) -> Obj:
    ports = [only] if only else [entry["port"] for entry in service.match if entry.get("port")]
    made: Obj = {"route": _destinations(canary, service, Split(route.primary, route.canary), only)}
    return {"match": [{"port": port} for port in ports], **made} if ports else made


def _http_rule(canary: Canary, service: Service, split: Split, only: int | None) -> Obj:
    base = [dict(entry) for entry in service.match]
    if only:
        base = [{**entry, "port": only} for entry in base or [{}]]
    matches = [_joined(entry, match) for match in split.conditions for entry in base or [{}]] or base
    made: Obj = {"match": matches} if matches else {}
    if service.rewrite and (service.rewrite.uri or service.rewrite.authority):
        words = {"uri": service.rewrite.uri, "authority": service.rewrite.authority}
        made["rewrite"] = {key: text for key, text in words.items() if text}
    if service.timeout:
        made["timeout"] = service.timeout
    if service.retries:
        retries = service.retries.model_dump(by_alias=True, exclude_defaults=True)
        made["retries"] = {"attempts": 0, **retries}  # Without attempts, Istio retries twice.
    if service.cors_policy:
        made["corsPolicy"] = copy.deepcopy(service.cors_policy)
    if headers := _headers(service, split.removed_cookie):
        made["headers"] = headers
    made["route"] = _destinations(canary, service, split, only)
    return {**made, **_mirror(canary, split)}


def _headers(service: Service, removed_cookie: str) -> Obj:
    made: Obj = copy.deepcopy(service.headers) if service.headers else {}
    if removed_cookie:
        response = made.setdefault("response", {})
        response["add"] = {**(response.get("add") or {}), "Set-Cookie": removed_cookie}
    return made


def _mirror(canary: Canary, split: Split) -> Obj:
    share = canary.spec.analysis.mirror_weight if canary.spec.analysis else 0
    if not split.mirrored:
        return {}
    to: Obj = {"mirror": {"host": names.canary_service(canary)}}
    return {**to, "mirrorPercentage": {"value": float(share)}} if share else to


def _joined(entry: Obj, match: Match) -> Obj:
    """An entry of the Service combined with a condition. If both have the same header, the condition wins."""
    made = dict(entry)
    for field, words in (("headers", match.headers), ("queryParams", match.query_params)):
        if words:
            kept = {name: how for name, how in part(entry, field).items() if name.lower() not in map(str.lower, words)}
            made[field] = kept | {name: dict([found]) for name, how in words.items() if (found := condition(how))}
    if match.source_labels:
        made["sourceLabels"] = {**part(entry, "sourceLabels"), **match.source_labels}
    return made


def suffixed(canary: Canary) -> Problem | None:
    """Reject matches by suffix: Istio has none, and would match every value."""
    analysis = canary.spec.analysis
    for field, found in (("match", analysis.match), ("testers", analysis.testers)) if analysis else ():
        for at, match in enumerate(found):
            for shown, words in (("headers", match.headers), ("queryParams", match.query_params)):
                for name, how in words.items():
                    if how.suffix is not None:
                        path = f"spec.analysis.{field}[{at}].{shown}.{name}"
                        return Problem(
                            Fault.MANIFEST, f"{path}: Istio does not support suffix", "Use regex: .*TEXT$", path
                        )
    return None


def _destinations(canary: Canary, service: Service, split: Split, only: int | None) -> list[Obj]:
    outside = service.delegation or bool(service.gateways and service.gateways[0] != "mesh")
    number = only or (service.port if service.port_discovery and outside else None)
    port: Obj = {"port": {"number": number}} if number else {}
    made = [_destination(names.primary_service(canary), port, split.primary, split.primary_cookie)]
    if split.canary is not None:
        made.append(_destination(names.canary_service(canary), port, split.canary, split.canary_cookie))
    return made


def _destination(host: str, port: Obj, weight: int, cookie: str) -> Obj:
    made: Obj = {"destination": {"host": host, **port}, "weight": weight}
    return {**made, "headers": {"response": {"add": {"Set-Cookie": cookie}}}} if cookie else made


def hosts(rule: Obj) -> list[str]:
    """The hosts of a rule's destinations."""
    return [part(found, "destination").get("host", "") for found in rule.get("route") or ()]


def service_at(host: str, namespace: str) -> str:
    """The Service that a host names in any notation, if it is in this namespace. Returns other hosts unchanged."""
    name, dot, rest = host.partition(".")
    forms = (namespace, f"{namespace}.svc", f"{namespace}.svc.cluster.local")
    return name if not dot or rest in forms else host


def destinations(rule: Obj, namespace: str) -> list[tuple[str, Obj]]:
    """(Service, destination) of a rule."""
    shown = [service_at(host, namespace) for host in hosts(rule)]
    return list(zip(shown, rule.get("route") or (), strict=True))


def over(canary: Canary, before: Iterable[str], theirs: bool, live: Obj, wanted: Obj) -> Obj:
    """Merge a managed rule into a live one. Fields that others added stay, except for the cookies of destinations.

    In a route of the user (`theirs`), other destinations stay, too, and flagger's start from the one to the apex.
    """
    spoken = {key: None for key in (*OPTIONAL, *_ALWAYS) if key not in wanted and (key in before or key in _ALWAYS)}
    mirror = part(live, "mirror").get("host")
    if mirror and mirror != names.canary_service(canary):
        spoken = {key: None for key in spoken if not key.startswith("mirror")}
    kept = {key: value for key, value in wanted.items() if key != "route"}
    made: Obj = {**overlay(live, spoken), **kept}
    named = destinations(live, canary.metadata.namespace)
    there, first = dict(named), dict(named).get(names.apex(canary), {})
    route = [_route_over(there.get(found["destination"]["host"], first), found) for found in wanted["route"]]
    if theirs:
        route = beside_others(named, names.services(canary), route, 0)
    return {**made, "route": route}


def _route_over(live: Obj, wanted: Obj) -> Obj:
    """Merge a destination. Its headers belong to the user, except for the cookie."""
    headers = copy.deepcopy(part(live, "headers"))
    response = part(headers, "response")
    added = {key: text for key, text in part(response, "add").items() if key != "Set-Cookie"}
    added |= part(part(part(wanted, "headers"), "response"), "add")
    response = {key: value for key, value in {**response, "add": added}.items() if value}
    headers = {key: value for key, value in {**headers, "response": response}.items() if value}
    return {
        **{key: value for key, value in live.items() if key != "headers"},
        **wanted,
        **({"headers": headers} if headers else {}),
    }
