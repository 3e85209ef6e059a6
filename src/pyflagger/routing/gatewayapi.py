"""Providers `gatewayapi:v1` and `gatewayapi:v1beta1`: a generated HTTPRoute, or weights in the user's HTTPRoute.

Both versions share this code. `httproutes` renders the rules of the object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary, Service
from pyflagger.api.facts import ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Delete, Obj, Ref, Resource, part, ref_of
from pyflagger.routing import httproutes, original
from pyflagger.routing.adopted import Adopted
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import make, owed
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

GROUP = "gateway.networking.k8s.io"
WITHOUT_MIRRORS = frozenset({"traefik.io/gateway-controller"})
"""Controllers that accept the filter RequestMirror but then answer the route's visitors with 500 (Traefik 3.7)."""


class GatewayApi:
    """Weights in the backends of an HTTPRoute's rules. Each port has its own HTTPRoute."""

    capabilities = Capabilities(
        ab=True, mirror=True, mirror_steps=True, affinity=True, ports=True, testers=True, adopt=True
    )

    sections: Mapping[str, str] = {"rules": "backendRefs"}

    def __init__(self, version: str) -> None:
        self._routes = Resource(GROUP, version, "httproutes", "HTTPRoute")
        self.kinds: tuple[Resource, ...] = (self._routes,)

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """The HTTPRoute of each port, or the user's HTTPRoute."""
        if mine := self._adopted(canary):
            return (mine.ref,)
        return tuple(self._routes.ref(canary.metadata.namespace, name) for name, _ in _ports(canary))

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """The split of the last rule with both Services. None before flagger manages the route."""
        mine = self._adopted(canary)
        return mine.read(live) if mine else _read(canary, live.get(self.reads(canary, options)[0]))

    def waiting(self, canary: Canary, live: Live, options: RoutingOptions) -> str:
        """Why the parents do not serve the current routes, or empty."""
        found = (live.get(ref) for ref in self.reads(canary, options))
        return next((text for route in found if route for text in _unaccepted(route)), "")

    def able(self, canary: Canary, live: Live, options: RoutingOptions) -> Capabilities:
        """The capabilities without mirroring, if a parent's controller lacks it."""
        found = [part(live.get(ref) or {}, "status") for ref in self.reads(canary, options)]
        told = {parent.get("controllerName") for status in found for parent in status.get("parents") or ()}
        without = bool(told & WITHOUT_MIRRORS)
        return replace(self.capabilities, mirror=False, mirror_steps=False) if without else self.capabilities

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """Rules, parents and hosts of the manifest, at the live weights."""
        if mine := self._adopted(canary):
            return mine.reconcile(live)
        found = self.read(canary, live, options)
        route = None if isinstance(found, Problem) else found
        first = live.get(self.reads(canary, options)[0])
        return self._routed(canary, live, route or owed(canary), everyone=_for_everyone(canary, first, route))

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """The rules of every port for this split, in one step."""
        if mine := self._adopted(canary):
            return mine.set(live, route)
        if route == ALL_PRIMARY and not any(live.get(ref) for ref in self.reads(canary, options)):
            return ()
        return self._routed(canary, live, route, everyone=everyone)

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """Restore the rules of a route that was the user's. Point a generated route to the apex and remove its owner.

        For a mesh, delete the generated route: without it, the Service itself routes to the pods.
        """
        if mine := self._adopted(canary):
            return mine.finalize(live)
        writes: list[Any] = []
        for name, port in _ports(canary):
            ref = self._routes.ref(canary.metadata.namespace, name)
            route, service = live.get(ref), canary.spec.service
            if route is None or service is None or not names.is_owned(canary, route):
                writes += reverted(canary, route)
            elif all(parent.kind == "Service" for parent in service.gateway_refs):
                writes.append(Delete(ref))
            else:
                writes += self._left(canary, service, port, route)
        return tuple(writes)

    def _left(self, canary: Canary, service: Service, port: int, route: Obj) -> Writes:
        rules = httproutes.rules(canary, service, port, ALL_PRIMARY, [], everyone=True)
        if isinstance(rules, Problem):
            return ()
        made = _laid(canary, service, route, rules, [])
        return left(canary, route, {**part(route, "spec"), "rules": [_to_apex(canary, rule) for rule in made]})

    def service_of(self, canary: Canary, backend: Obj) -> str:
        """The name of a Service in the Canary's namespace."""
        return httproutes.service_of(backend, canary.metadata.namespace)

    def takes_over(self, canary: Canary, obj: Obj) -> bool:
        """Whether this is a route with the name of the apex Service."""
        return ref_of(obj) == self._routes.ref(canary.metadata.namespace, names.apex(canary))

    def _adopted(self, canary: Canary) -> Adopted | None:
        return Adopted(canary, self._routes, _backends, unset=1) if canary.spec.route_ref else None

    def _routed(self, canary: Canary, live: Live, route: Route, *, everyone: bool) -> Writes | Problem:
        service = canary.spec.service
        if problem := _unusable(canary) or refused(canary):
            return problem
        writes: list[Any] = []
        for name, port in _ports(canary) if service else ():
            there = live.get(self._routes.ref(canary.metadata.namespace, name))
            made = self._written(canary, service, name, port, there, route, everyone)  # type: ignore[arg-type]
            if isinstance(made, Problem):
                return made
            writes += made
        return tuple(writes)

    def _written(
        self, canary: Canary, service: Service, name: str, port: int, live: Obj | None, route: Route, everyone: bool
    ) -> Writes | Problem:
        users = _matches_of_users(canary, live)
        rules = httproutes.rules(canary, service, port, route, users, everyone=everyone)
        if isinstance(rules, Problem):
            return rules
        spec: Obj = {"parentRefs": _parents(service, port), "rules": _laid(canary, service, live, rules, users)}
        spec["hostnames"] = list(service.hosts) or None
        shares = False
        if live is not None and not names.is_owned(canary, live):
            spec |= _with_users(spec, _before(live))
            shares = any({*_pair(canary)} < {*_services(canary, rule)} for rule in spec["rules"])
        made = make(canary, self._routes, name, spec)
        made["metadata"]["annotations"][SHARE] = str(route.canary) if shares else None
        return written(canary, live, made, httproutes.owned_fields(service))


def _before(live: Obj) -> Obj:
    """The original spec of the user's route."""
    return original.stored(live) or part(live, "spec")


def _matches_of_users(canary: Canary, live: Obj | None) -> list[Obj]:
    """The matches of the user's rule that flagger replaces, for a Canary without matches of its own."""
    if live is None or names.is_owned(canary, live):
        return []
    there, before = part(live, "spec").get("rules") or (), _before(live).get("rules") or ()
    begun = any({*_services(canary, rule)} & {*_pair(canary)} for rule in there)
    return matches_of_users(before if begun else there, partial(_to_apex_alone, canary), "matches")


def _to_apex_alone(canary: Canary, rule: Obj) -> bool:
    """Whether a rule has the apex as a backend, and neither the primary nor the canary."""
    return {*_services(canary, rule)} & {*names.services(canary)} == {names.apex(canary)}


def _laid(canary: Canary, service: Service, live: Obj | None, rules: list[Obj], users: list[Obj]) -> list[Obj]:
    """The rendered rules merged into the live ones."""
    base, there = httproutes.base_matches(service, users), part(live or {}, "spec").get("rules") or ()
    theirs = live is not None and not names.is_owned(canary, live)
    over = partial(httproutes.over, canary, fields_of(live), theirs)
    ours: Callable[[Obj], bool] = partial(_is_ours, canary, base, theirs)
    if theirs:
        ours = of_users(there, rules, ours, partial(_to_apex_alone, canary), "matches")
    return laid(there, rules, ours, "matches", over)


def _with_users(spec: Obj, before: Obj) -> Obj:
    """Keep the user's hosts and parents next to the Canary's, so that no visitor loses the route."""
    hosts, parents = before.get("hostnames") or [], before.get("parentRefs") or []
    known = [{"group": GROUP, "kind": "Gateway", **ref} for ref in parents]
    further = [ref for ref in spec["parentRefs"] if {"group": GROUP, "kind": "Gateway", **ref} not in known]
    named = [*hosts, *(host for host in spec["hostnames"] or () if host not in hosts)] if hosts else None
    return {"hostnames": named, "parentRefs": [*parents, *further]}


def _to_apex(canary: Canary, rule: Obj) -> Obj:
    """Replace the primary's backend of a rule by the apex Service."""
    found = [ref for ref in rule.get("backendRefs") or () if ref.get("name") == names.primary_service(canary)]
    kept = [{key: value for key, value in ref.items() if key != "weight"} for ref in found]
    return {**rule, "backendRefs": [{**ref, "name": names.apex(canary)} for ref in kept]} if found else rule


def _backends(route: Obj) -> Iterator[list[tuple[str, Obj]]]:
    """The backends of each rule: (name of the Service, the object with its weight)."""
    for rule in part(route, "spec").get("rules") or ():
        yield httproutes.backends(rule, route["metadata"].get("namespace", ""))


def _ports(canary: Canary) -> tuple[tuple[str, int], ...]:
    """(name of the HTTPRoute, port) of each port of the Service."""
    service, apex = canary.spec.service, names.apex(canary)
    if service is None:
        return ((apex, 0),)
    return (apex, service.port), *((f"{apex}-{port.name}", port.port) for port in service.ports)


def _parents(service: Service, port: int) -> list[Obj]:
    """The parents for a port. An additional port uses the listeners with its number."""
    main = port == service.port
    further = {each.port for each in service.ports}
    mine = [ref for ref in service.gateway_refs if (ref.port not in further if main else ref.port == port)]
    shown = [ref.model_dump(by_alias=True, exclude_none=True) for ref in mine or service.gateway_refs]
    if main or mine:
        return shown
    return [{**{key: value for key, value in ref.items() if key != "sectionName"}, "port": port} for ref in shown]


def _unusable(canary: Canary) -> Problem | None:
    service = canary.spec.service
    if service is None or service.gateway_refs:
        return httproutes.unsayable(service) if service else None
    text = "GatewayRefs must be specified when using Gateway API as a provider."
    todo = "Set spec.service.gatewayRefs to your Gateway."
    return Problem(Fault.MANIFEST, text, todo, "spec.service.gatewayRefs")


def _services(canary: Canary, rule: Obj) -> list[str]:
    return [name for name, _ in httproutes.backends(rule, canary.metadata.namespace)]


def _pair(canary: Canary) -> tuple[str, str]:
    return names.primary_service(canary), names.canary_service(canary)


def _is_ours(canary: Canary, base: list[Obj], theirs: bool, rule: Obj) -> bool:
    """Whether flagger manages the rule: it routes to the canary or the apex, or is the default rule of an A/B test."""
    found = [name for name in _services(canary, rule) if not theirs or name in names.services(canary)]
    rest = found == [names.primary_service(canary)] and rule.get("matches") == base
    return rest or names.canary_service(canary) in found or names.apex(canary) in found


def _read(canary: Canary, live: Obj | None) -> Route | Problem | None:
    pair, theirs = _pair(canary), live is not None and not names.is_owned(canary, live)
    led = [(rule, _services(canary, rule)) for rule in part(live or {}, "spec").get("rules") or ()]
    led = [(rule, found) for rule, found in led if names.apex(canary) not in found]
    rules = [rule for rule, found in led if sorted(found) == sorted(pair) or (theirs and {*pair} < {*found})]
    if not rules:
        return None
    refs = dict(httproutes.backends(rules[-1], canary.metadata.namespace))
    primary, other = (refs[name].get("weight", 1) for name in pair)
    where = f"httproute {names.apex(canary)}.{canary.metadata.namespace}"
    mirrored = any(
        part(part(found, "requestMirror"), "backendRef").get("name") == pair[1]
        for found in rules[-1].get("filters") or ()
    )
    if len(rules[-1]["backendRefs"]) > len(pair):
        return shared(primary, other, annotations_of(live or {}).get(SHARE), mirrored)
    return inconsistent(where, (primary, other)) or Route(primary, other, mirrored)


def _for_everyone(canary: Canary, live: Obj | None, route: Route | None) -> bool:
    """Whether the canary gets the traffic of all visitors: the only managed rule routes to it."""
    rules = part(live or {}, "spec").get("rules") or ()
    pairs = [rule for rule in rules if names.primary_service(canary) in _services(canary, rule)]
    return route is not None and route.canary == 100 and len(pairs) == 1


def _unaccepted(route: Obj) -> Iterator[str]:
    """A text for each parent that has not accepted the current generation."""
    name, generation = route["metadata"]["name"], route["metadata"].get("generation", 0)
    told = part(route, "status").get("parents") or ()
    for parent in part(route, "spec").get("parentRefs") or ():
        found = [each for each in told if _same(part(each, "parentRef"), parent, route)]
        conditions = [each for one in found for each in one.get("conditions") or () if each.get("type") == "Accepted"]
        fresh = [each for each in conditions if (each.get("observedGeneration") or 0) >= generation]
        if not any(each.get("status") == "True" for each in fresh):
            why = next((f": {each.get('reason')}: {each.get('message', '')}" for each in fresh), "")
            yield f"HTTPRoute {name}: parent {parent.get('kind', 'Gateway')} {parent['name']} is not ready{why}"


def _same(one: Obj, two: Obj, route: Obj) -> bool:
    """Whether two references name the same parent, with defaults applied."""
    base = {"group": GROUP, "kind": "Gateway", "namespace": route["metadata"].get("namespace")}
    return {**base, **one} == {**base, **two}
