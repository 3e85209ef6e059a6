"""Provider `istio`: a generated VirtualService and two DestinationRules, or weights in the user's VirtualService.

`virtualservices` renders the rules of these objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary, Service
from pyflagger.api.facts import ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Delete, Obj, Ref, Resource, part, ref_of
from pyflagger.routing import original, virtualservices
from pyflagger.routing.adopted import Adopted
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import brought_about, make, owed
from pyflagger.routing.original import annotations_of
from pyflagger.routing.rules import (
    fields_of,
    inconsistent,
    laid,
    left,
    matches_of_users,
    of_users,
    refused,
    reverted,
    written,
)
from pyflagger.routing.shares import SHARE, shared
from pyflagger.routing.virtualservices import destinations, hosts, service_at

GROUP, VERSION = "networking.istio.io", "v1beta1"
VIRTUAL = Resource(GROUP, VERSION, "virtualservices", "VirtualService")
DESTINATION = Resource(GROUP, VERSION, "destinationrules", "DestinationRule")


class Istio:
    """Weights in the destinations of a VirtualService, HTTP and TCP."""

    capabilities = Capabilities(
        ab=True, mirror=True, mirror_steps=True, affinity=True, ports=True, testers=True, adopt=True
    )
    kinds: tuple[Resource, ...] = (VIRTUAL, DESTINATION)
    sections: Mapping[str, str] = {"http": "route", "tcp": "route"}

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """The VirtualService and both DestinationRules, or only the user's VirtualService."""
        if mine := _adopted(canary):
            return (mine.ref,)
        namespace = canary.metadata.namespace
        rules = (DESTINATION.ref(namespace, name) for name in _services(canary))
        return VIRTUAL.ref(namespace, names.apex(canary)), *rules

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """The split of the last rule with both Services. None before flagger manages the VirtualService."""
        mine = _adopted(canary)
        return mine.read(live) if mine else _read(canary, live.get(self.reads(canary, options)[0]))

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """Rules, hosts, gateways and policies of the manifest, at the live weights."""
        if mine := _adopted(canary):
            return mine.reconcile(live)
        found = live.get(self.reads(canary, options)[0])
        read, service = self.read(canary, live, options), canary.spec.service
        route = None if isinstance(read, Problem) else read
        if service is None:
            return ()
        made = _routed(canary, service, found, route or owed(canary), everyone=_for_everyone(canary, found, route))
        if isinstance(made, Problem):
            return made
        return (*_policies(canary, service, live), *made)

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """Set this split in all rules, in one write."""
        if mine := _adopted(canary):
            return mine.set(live, route)
        found = live.get(self.reads(canary, options)[0])
        if canary.spec.service is None or (found is None and route == ALL_PRIMARY):
            return ()
        return _routed(canary, canary.spec.service, found, route, everyone=everyone)

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """Restore the spec of the user's VirtualService. Remove the owner of a generated one that gateways use.

        Delete a generated one that only the mesh uses: its clients find the apex Service without it.
        """
        if mine := _adopted(canary):
            return mine.finalize(live)
        ref = self.reads(canary, options)[0]
        found, service = live.get(ref), canary.spec.service
        if found is None or service is None or not names.is_owned(canary, found):
            return reverted(canary, found)
        if not (service.delegation or service.hosts or set(service.gateways) - {"mesh"}):
            return (Delete(ref),)
        rules = _laid(canary, found, virtualservices.sections(canary, service, ALL_PRIMARY, everyone=True))
        to_apex = {key: [_to_apex(canary, rule) for rule in made] for key, made in rules.items() if made}
        return left(canary, found, {**part(found, "spec"), **to_apex})

    def service_of(self, canary: Canary, backend: Obj) -> str:
        """The name of a Service in the Canary's namespace, in whatever form it is written."""
        return service_at(part(backend, "destination").get("host", ""), canary.metadata.namespace)

    def takes_over(self, canary: Canary, obj: Obj) -> bool:
        """Whether this is a VirtualService with the name of the apex Service."""
        return ref_of(obj) == VIRTUAL.ref(canary.metadata.namespace, names.apex(canary))


def _adopted(canary: Canary) -> Adopted | None:
    return Adopted(canary, VIRTUAL, _backends) if canary.spec.route_ref else None


def _backends(found: Obj) -> Iterator[list[tuple[str, Obj]]]:
    """The destinations of each rule: (name of the Service, the object with its weight)."""
    spec = part(found, "spec")
    for rule in (*(spec.get("http") or ()), *(spec.get("tcp") or ())):
        yield destinations(rule, found["metadata"].get("namespace", ""))


def _services(canary: Canary) -> tuple[str, str]:
    return names.canary_service(canary), names.primary_service(canary)


def _policies(canary: Canary, service: Service, live: Live) -> Writes:
    """One DestinationRule for each Service. Fields next to the traffic policy stay."""
    writes: list[Any] = []
    for name in _services(canary):
        there = live.get(DESTINATION.ref(canary.metadata.namespace, name))
        spec = {"host": name, **({"trafficPolicy": service.traffic_policy} if service.traffic_policy else {})}
        metadata: Obj = {"labels": {}, "annotations": {}}
        writes += brought_about(there, make(canary, DESTINATION, name, spec, metadata))
    return tuple(writes)


def _routed(canary: Canary, service: Service, live: Obj | None, route: Route, *, everyone: bool) -> Writes | Problem:
    unsayable = virtualservices.suffixed(canary) if route.canary and not everyone else None
    if problem := unsayable or _unusable(service) or refused(canary) or _no_http(canary, service):
        return problem
    if theirs := live is not None and not names.is_owned(canary, live):
        service = _matching(canary, service, live or {})
    wanted = virtualservices.sections(canary, service, route, everyone=everyone)
    spec: Obj = {"hosts": _hosts(canary, service), "gateways": _gateways(service)}
    if theirs and not service.delegation:
        spec |= _with_users(service, spec, _before(live or {}))
    spec |= _laid(canary, live, wanted)
    fields = [key for rule in wanted.get("http", ()) for key in virtualservices.OPTIONAL if key in rule]
    made = make(canary, VIRTUAL, names.apex(canary), spec)
    made["metadata"]["annotations"][SHARE] = str(route.canary) if theirs and _shares(canary, spec) else None
    return written(canary, live, made, fields)


def _before(live: Obj) -> Obj:
    """The original spec of the user's VirtualService."""
    return original.stored(live) or part(live, "spec")


def _matching(canary: Canary, service: Service, live: Obj) -> Service:
    """Keep the matches of the user's rule for a Canary without matches, or the rule would match all requests."""
    if service.match:
        return service
    section, to_apex = (
        "tcp" if virtualservices.is_tcp(service.app_protocol) else "http",
        partial(_to_apex_alone, canary),
    )
    there, before = part(live, "spec").get(section) or (), _before(live).get(section) or ()
    begun = any(set(_led(canary, rule)) & set(_services(canary)) for rule in there)
    return service.model_copy(update={"match": matches_of_users(before if begun else there, to_apex, "match")})


def _shares(canary: Canary, spec: Obj) -> bool:
    """Whether a rule with both Services has other destinations, too."""
    rules = (*(spec.get("http") or ()), *(spec.get("tcp") or ()))
    return any({*_services(canary)} < {*_led(canary, rule)} for rule in rules)


def _led(canary: Canary, rule: Obj) -> list[str]:
    return [name for name, _ in destinations(rule, canary.metadata.namespace)]


def _laid(canary: Canary, live: Obj | None, wanted: dict[str, list[Obj]]) -> dict[str, list[Obj] | None]:
    """The rendered rules merged into each section. A section of the user without managed rules stays unchanged."""
    theirs = live is not None and not names.is_owned(canary, live)
    over, made = partial(virtualservices.over, canary, fields_of(live), theirs), {}
    for section in ("http", "tcp"):
        there, rules = part(live or {}, "spec").get(section) or (), wanted.get(section, [])
        ours: Callable[[Obj], bool] = partial(_is_ours, canary, rules[-1:], theirs)
        if theirs:
            ours = of_users(there, rules, ours, partial(_to_apex_alone, canary), "match")
        made[section] = (list(there) if theirs and not rules else laid(there, rules, ours, "match", over)) or None
    return made


def _to_apex_alone(canary: Canary, rule: Obj) -> bool:
    """Whether a rule has the apex as a destination, and neither the primary nor the canary."""
    return {*_led(canary, rule)} & {*names.services(canary)} == {names.apex(canary)}


def _with_users(service: Service, spec: Obj, before: Obj) -> Obj:
    """Keep the user's hosts and gateways next to the Canary's, so that no visitor loses the route."""
    hosts = before.get("hosts") or []
    gateways = before.get("gateways") or ["mesh"]
    more = service.gateways if before.get("gateways") else spec["gateways"]
    known = [host for host in spec["hosts"] if host not in hosts and "*" not in hosts]
    return {"hosts": [*hosts, *known], "gateways": [*gateways, *(one for one in more if one not in gateways)]}


def _to_apex(canary: Canary, rule: Obj) -> Obj:
    """Replace the primary's destination of a rule by the apex Service."""
    found = [
        each
        for each in rule.get("route") or ()
        if part(each, "destination").get("host") == names.primary_service(canary)
    ]
    kept = [{key: value for key, value in each.items() if key != "weight"} for each in found]
    to = [{**each, "destination": {**each["destination"], "host": names.apex(canary)}} for each in kept]
    return {**rule, "route": to} if to else rule


def _hosts(canary: Canary, service: Service) -> list[str] | None:
    if service.delegation:
        return None
    apex = names.apex(canary)
    known = apex in service.hosts or "*" in service.hosts
    return [*service.hosts, *(() if known else (apex,))]


def _gateways(service: Service) -> list[str] | None:
    return None if service.delegation else list(service.gateways) or ["mesh"]


def _unusable(service: Service) -> Problem | None:
    if not service.delegation or not (service.hosts or service.gateways):
        return None
    text = "VirtualService cannot have hosts and gateways when delegation enabled"
    todo = "Remove spec.service.hosts and gateways: the root VirtualService defines them."
    return Problem(Fault.MANIFEST, text, todo, "spec.service.delegation")


def _no_http(canary: Canary, service: Service) -> Problem | None:
    """Reject features that inspect requests for a TCP port."""
    analysis = canary.spec.analysis
    if analysis is None or not virtualservices.is_tcp(service.app_protocol):
        return None
    asked: dict[str, object] = {"match": analysis.match and analysis.iterations > 0, "testers": analysis.testers}
    asked |= {"sessionAffinity": analysis.session_affinity, "mirror": analysis.mirror}
    for field, wanted in asked.items():
        if wanted:
            path = f"spec.analysis.{field}"
            return Problem(Fault.MANIFEST, f"{path} cannot be used with appProtocol tcp", f"Remove {path}.", path)
    return None


def _is_ours(canary: Canary, rest: list[Obj], theirs: bool, rule: Obj) -> bool:
    """Whether flagger manages the rule: it routes to the canary or the apex, or is the default rule of an A/B test."""
    found = [name for name in _led(canary, rule) if not theirs or name in names.services(canary)]
    alone = found == [names.primary_service(canary)] and bool(rest) and rule.get("match") == rest[0].get("match")
    return alone or names.canary_service(canary) in found or names.apex(canary) in found


def _rules(canary: Canary, found: Obj | None) -> list[Obj]:
    """The rules with the primary as a destination."""
    spec = part(found or {}, "spec")
    rules = (*(spec.get("tcp") or ()), *(spec.get("http") or ()))
    return [rule for rule in rules if names.primary_service(canary) in hosts(rule)]


def _read(canary: Canary, found: Obj | None) -> Route | Problem | None:
    rules = [rule for rule in _rules(canary, found) if names.canary_service(canary) in hosts(rule)]
    rules = [rule for rule in rules if names.apex(canary) not in _led(canary, rule)]
    if not rules:
        return None
    weights = {part(each, "destination").get("host"): each.get("weight", 0) for each in rules[-1]["route"]}
    other, primary = (weights[name] for name in _services(canary))
    mirrored = part(rules[-1], "mirror").get("host") == names.canary_service(canary)
    if len(weights) > 2 and not names.is_owned(canary, found or {}):
        return shared(primary, other, annotations_of(found or {}).get(SHARE), mirrored)
    where = f"virtualservice {names.apex(canary)}.{canary.metadata.namespace}"
    return inconsistent(where, (primary, other)) or Route(primary, other, mirrored)


def _for_everyone(canary: Canary, found: Obj | None, route: Route | None) -> bool:
    """Whether the canary gets the traffic of all visitors: the only managed rule of each port routes to it."""
    ports = 1 + len(canary.spec.service.ports if canary.spec.service else ())
    return route is not None and route.canary == 100 and len(_rules(canary, found)) <= ports
