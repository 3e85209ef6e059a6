"""Adopt mode: a route that is the user's own, of which only the weights between two Services are ours.

Used by every provider that can adopt, when `spec.routeRef` names a route; each tells the shape of its kind. A rule is
ours when it has the stable Service (the primary's or the apex), the canary's, and no other; all of ours are set alike.
Taken over is a route that has the weights of before in an annotation: until then those in it say nothing of a release.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import ALL_PRIMARY, Fault, Problem, Route
from pyflagger.objects import Obj, Ref, Resource, merge_diff, part
from pyflagger.routing.base import Live, Writes
from pyflagger.routing.generated import owed, patch
from pyflagger.routing.ingresses import service_ports
from pyflagger.routing.rules import inconsistent

WEIGHTS = "flagger.app/original-weights"
"""[of the stable Service, of the canary's] for each rule of ours, null where there was none; written once."""

Backends: TypeAlias = Callable[[Obj], Iterable[Sequence[tuple[Any, Obj]]]]
"""The backends of each rule of an object: (name of the Service, the very dict that holds its weight)."""


@dataclass(frozen=True)
class Adopted:
    """The route that a Canary adopts. `weight`: a percentage as the kind spells it."""

    canary: Canary
    kind: Resource
    backends: Backends
    weight: Callable[[int], Any] = int

    # For kinds whose backends come and go with their weights; each returns another object, or the same ----------------

    def opened(self, obj: Obj) -> Obj:
        """With a backend for the canary in each rule that ever had one."""
        return obj

    def closed(self, obj: Obj) -> Obj:
        """With the weights that are set, and without backends that must not be there at those."""
        return obj

    def returned(self, obj: Obj) -> Obj:
        """With the weights of before, and without backends that were not there."""
        return obj

    # What a router does -----------------------------------------------------------------------------------------------

    @property
    def ref(self) -> Ref:
        """The route that is named."""
        named = self.canary.spec.route_ref
        return self.kind.ref(self.canary.metadata.namespace, named.name if named else "")

    def read(self, live: Live) -> Route | Problem | None:
        """The split of all rules of ours; None until the route is taken over, and when it has none."""
        obj = live.get(self.ref)
        if obj is None or WEIGHTS not in notes(obj):
            return None
        found = [[_number(each.get("weight")) for each in pair] for pair in self._pairs(self.opened(obj))]
        problems = (inconsistent(str(self.ref), weights) for weights in found)
        if problem := next(filter(None, problems), None):
            return problem
        if any(weights != found[0] for weights in found):
            text = f"{self.ref} splits differently in different rules"
            return Problem(Fault.CLUSTER, text, "All rules that lead to primary and canary are set alike.")
        return Route(*found[0]) if found else None

    def reconcile(self, live: Live) -> Writes | Problem:
        """Every rule of ours at one split; what the route lacks is a problem that says what to add."""
        if problem := unsayable(self.canary):
            return problem
        route = self.read(live)
        return self._written(live, route if isinstance(route, Route) else owed(self.canary))

    def set(self, live: Live, route: Route) -> Writes | Problem:
        """This split, in every rule of ours."""
        if live.get(self.ref) is None and route == ALL_PRIMARY:
            return ()
        return self._written(live, route)

    def finalize(self, live: Live) -> Writes:
        """The weights that the route had; all to the stable Service where its rules have changed since."""
        obj = live.get(self.ref)
        if obj is None or WEIGHTS not in notes(obj):
            return ()
        made = copy.deepcopy(self.opened(obj))
        pairs = list(self._pairs(made))
        stable = [self.weight(100), self.weight(0)]
        before = _stored(notes(made).pop(WEIGHTS), len(pairs)) or [stable] * len(pairs)
        for pair, weights in zip(pairs, before, strict=True):
            for backend, weight in zip(pair, weights, strict=True):
                backend.pop("weight", None)
                if weight is not None:
                    backend["weight"] = weight
        return (patch(obj, merge_diff(obj, self.returned(made))),)

    # ---------------------------------------------------------------------------------------------------------------

    def _written(self, live: Live, route: Route) -> Writes | Problem:
        obj = live.get(self.ref)
        if obj is None:
            return self._absent()
        made = copy.deepcopy(self.opened(obj))
        pairs = list(self._pairs(made))
        if not pairs:
            return self._lacking()
        if WEIGHTS not in notes(obj):
            if problem := self._portless(pairs):
                return problem
            before = [[backend.get("weight") for backend in pair] for pair in pairs]
            made["metadata"]["annotations"] = {**notes(made), WEIGHTS: json.dumps(before)}
        for stable, new in pairs:
            stable["weight"], new["weight"] = self.weight(route.primary), self.weight(route.canary)
        body = merge_diff(obj, self.closed(made))
        return (patch(obj, body),) if body else ()

    def _pairs(self, obj: Obj) -> Iterator[tuple[Obj, Obj]]:
        """(of the stable Service, of the canary's) in each rule of ours."""
        for rule in self.backends(obj):
            old = [backend for name, backend in rule if name in stable_services(self.canary)]
            new = [backend for name, backend in rule if name == names.canary_service(self.canary)]
            if len(rule) == 2 and len(old) == len(new) == 1:
                yield old[0], new[0]

    def _absent(self) -> Problem:
        text, todo = f"{self._shown} not found", f"Create {self._shown}, or correct spec.routeRef."
        return Problem(Fault.MANIFEST, text, todo, "spec.routeRef")

    def _lacking(self) -> Problem:
        primary, other = names.primary_service(self.canary), names.canary_service(self.canary)
        text = f"{self._shown} has no rule with the Services {primary} and {other} alone"
        todo = f"Let a rule send to {primary} with weight 100 and to {other} with weight 0."
        return Problem(Fault.MANIFEST, text, todo, "spec.routeRef")

    def _portless(self, pairs: Iterable[tuple[Obj, Obj]]) -> Problem | None:
        """A port that the generated Services would not have. Copies of a Service have those of the Service."""
        service, kind = self.canary.spec.service, self.canary.spec.target_ref.kind
        if service is None or service.port_discovery or kind == "Service":
            return None
        known = service_ports(service)
        wrong = (port for pair in pairs for port in map(_port, pair) if port is not None and port not in known)
        if (port := next(wrong, None)) is None:
            return None
        text = f"{self._shown} sends to port {port}, but spec.service.port is {service.port}: visitors would get errors"
        todo = f"Let {self._shown} send to port {service.port}, or add port {port} to spec.service.ports."
        return Problem(Fault.MANIFEST, text, todo, "spec.routeRef")

    @property
    def _shown(self) -> str:
        return f"{self.kind.kind} {self.ref.name}.{self.ref.namespace}"


def _port(backend: Obj) -> int | str | None:
    """The port of a backend, where its kind names one."""
    port = backend.get("port") or part(part(backend, "destination"), "port").get("number")
    return port if isinstance(port, int | str) else None


def stable_services(canary: Canary) -> tuple[str, str]:
    """The Services of which one is beside the canary's in a rule of ours."""
    return names.primary_service(canary), names.apex(canary)


def notes(obj: Obj) -> Obj:
    """The annotations of a route; empty when it has none."""
    return part(part(obj, "metadata"), "annotations")


def unsayable(canary: Canary) -> Problem | None:
    """Only weights are ours in a route of the user's own."""
    analysis = canary.spec.analysis
    if analysis is None:
        return None
    asked = {
        "match": strategy(canary) == "ab-testing",
        "testers": bool(analysis.testers),
        "sessionAffinity": analysis.session_affinity is not None,
        "mirror": analysis.mirror,
    }
    for field, wanted in asked.items():
        if wanted:
            path = f"spec.analysis.{field}"
            text = f"{path} cannot be used with spec.routeRef: only weights of your own route are changed"
            return Problem(Fault.MANIFEST, text, f"Remove spec.routeRef or {path}.", path)
    return None


def _number(weight: Any) -> Any:
    """A weight as a number: 0 when there is none, as it is when it is no whole number."""
    text = str(weight or 0)
    return int(text) if text.isascii() and text.isdigit() else weight


def _stored(text: Any, count: int) -> list[list[Any]] | None:
    """The weights of before, when they are those of as many rules as there are."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return None
    fine = isinstance(found, list) and len(found) == count and all(map(_are_two, found))
    return found if fine else None


def _are_two(weights: Any) -> bool:
    two = isinstance(weights, list) and len(weights) == 2
    return two and all(weight is None or isinstance(weight, int | str) for weight in weights)
