"""Adopt mode: flagger sets the weights of two Services in a route that the user owns, and changes nothing else in it.

Every provider that can adopt uses this when `spec.routeRef` names a route, and describes the format of its kind.
flagger manages a rule if it has the stable Service (the primary's or the apex) and the canary's. It sets all managed
rules to the same weights, and other backends keep their share of a rule. A route is taken over once an annotation
stores its original weights. Before that, its weights say nothing about a release.
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
from pyflagger.routing.shares import SHARE, divided, numbers, shared

WEIGHTS = "flagger.app/original-weights"
"""The original weights of each managed rule: [stable Service, canary Service, each other backend], null if missing.

flagger writes this annotation once.
"""

Backends: TypeAlias = Callable[[Obj], Iterable[Sequence[tuple[Any, Obj]]]]
"""The backends of each rule of an object: (name of the Service, the mutable dict that holds its weight)."""


@dataclass(frozen=True)
class Adopted:
    """The route that a Canary adopts. `weight` converts a percentage to the format of the kind."""

    canary: Canary
    kind: Resource
    backends: Backends
    weight: Callable[[int], Any] = int
    unset: int = 0
    """The value of a missing weight in a rule with other weights."""

    # For kinds whose backends come and go with their weights; each returns another object, or the same ----------------

    def opened(self, obj: Obj) -> Obj:
        """The object with a backend for the canary in each rule that ever had one."""
        return obj

    def closed(self, obj: Obj) -> Obj:
        """The object without the backends that must be absent at the current weights."""
        return obj

    def returned(self, obj: Obj) -> Obj:
        """The object without the backends that were absent before the takeover. It has its original weights."""
        return obj

    # The methods of a router ------------------------------------------------------------------------------------------

    @property
    def ref(self) -> Ref:
        """The adopted route."""
        named = self.canary.spec.route_ref
        return self.kind.ref(self.canary.metadata.namespace, named.name if named else "")

    def read(self, live: Live) -> Route | Problem | None:
        """The split of all managed rules. None before the takeover, or if there is no managed rule."""
        obj = live.get(self.ref)
        if obj is None or WEIGHTS not in notes(obj):
            return None
        rules = [[_number(each.get("weight")) for each in rule] for rule in self._rules(self.opened(obj))]
        problems = (inconsistent(str(self.ref), weights) for weights in rules if len(weights) == 2)
        if problem := next(filter(None, problems), None):
            return problem
        noted = notes(obj).get(SHARE)
        found = [shared(rule[0], rule[1], noted) if len(rule) > 2 else Route(*rule) for rule in rules]
        if any(route != found[0] for route in found):
            text = f"{self.ref} has rules with different weights"
            todo = "flagger sets all rules for primary and canary to the same weights. Do not edit these weights."
            return Problem(Fault.CLUSTER, text, todo)
        return found[0] if found else None

    def reconcile(self, live: Live) -> Writes | Problem:
        """Set every managed rule to one split. A Problem names what the route lacks."""
        if problem := unsayable(self.canary):
            return problem
        route = self.read(live)
        return self._written(live, route if isinstance(route, Route) else owed(self.canary))

    def set(self, live: Live, route: Route) -> Writes | Problem:
        """Set this split in every managed rule."""
        if live.get(self.ref) is None and route == ALL_PRIMARY:
            return ()
        return self._written(live, route)

    def finalize(self, live: Live) -> Writes:
        """Restore the original weights. If the rules have changed since, send all traffic to the stable Service."""
        obj = live.get(self.ref)
        if obj is None or WEIGHTS not in notes(obj):
            return ()
        made = copy.deepcopy(self.opened(obj))
        rules = list(self._rules(made))
        notes(made).pop(SHARE, None)
        before = _stored(notes(made).pop(WEIGHTS), rules) or [self._weights(rule, 0) for rule in rules]
        for rule, weights in zip(rules, before, strict=True):
            for backend, weight in zip(rule, weights, strict=True):
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
        rules = list(self._rules(made))
        if not rules:
            return self._lacking()
        annotations = dict(notes(made))
        if WEIGHTS not in annotations:
            if problem := self._portless(rules):
                return problem
            annotations[WEIGHTS] = json.dumps([[backend.get("weight") for backend in rule] for rule in rules])
        annotations.pop(SHARE, None)
        if any(len(rule) > 2 for rule in rules):
            annotations[SHARE] = str(route.canary)
        made["metadata"]["annotations"] = annotations
        for rule in rules:
            for backend, weight in zip(rule, self._weights(rule, route.canary), strict=True):
                backend["weight"] = weight
        body = merge_diff(obj, self.closed(made))
        return (patch(obj, body),) if body else ()

    def _rules(self, obj: Obj) -> Iterator[list[Obj]]:
        """The backends of each managed rule: the stable Service's, the canary's, then the others."""
        for rule in self.backends(obj):
            old = [backend for name, backend in rule if name in stable_services(self.canary)]
            new = [backend for name, backend in rule if name == names.canary_service(self.canary)]
            others = [backend for name, backend in rule if name not in names.services(self.canary)]
            if len(old) == len(new) == 1:
                yield [old[0], new[0], *others]

    def _weights(self, rule: list[Obj], percent: int) -> list[Any]:
        """The weights of a rule's backends at a split, in the format of the kind."""
        if len(rule) == 2:
            return [self.weight(100 - percent), self.weight(percent)]
        stable, new, *others = numbers((backend.get("weight") for backend in rule), self.unset)
        found = divided(stable + new, others, percent)
        return [self.weight(weight) for weight in (found.primary, found.canary, *found.others)]

    def _absent(self) -> Problem:
        text, todo = f"{self._shown} not found", f"Create {self._shown}, or correct spec.routeRef."
        return Problem(Fault.MANIFEST, text, todo, "spec.routeRef")

    def _lacking(self) -> Problem:
        primary, other = names.primary_service(self.canary), names.canary_service(self.canary)
        text = f"{self._shown} has no rule with the Services {primary} and {other}"
        todo = f"Add a rule with backend {primary} at weight 100 and backend {other} at weight 0."
        return Problem(Fault.MANIFEST, text, todo, "spec.routeRef")

    def _portless(self, rules: Iterable[list[Obj]]) -> Problem | None:
        """Report a port that the generated Services lack. Copies of a Service target have that Service's ports."""
        service, kind = self.canary.spec.service, self.canary.spec.target_ref.kind
        if service is None or service.port_discovery or kind == "Service":
            return None
        known = service_ports(service)
        wrong = (port for rule in rules for port in map(port_of, rule[:2]) if port is not None and port not in known)
        if (port := next(wrong, None)) is None:
            return None
        text = f"{self._shown} sends to port {port}, but spec.service.port is {service.port}: visitors would get errors"
        todo = f"Set the port in {self._shown} to {service.port}, or add port {port} to spec.service.ports."
        return Problem(Fault.MANIFEST, text, todo, "spec.routeRef")

    @property
    def _shown(self) -> str:
        return f"{self.kind.kind} {self.ref.name}.{self.ref.namespace}"


def port_of(backend: Obj) -> int | str | None:
    """The port of a backend, if its kind has one."""
    port = backend.get("port") or part(part(backend, "destination"), "port").get("number")
    return port if isinstance(port, int | str) else None


def stable_services(canary: Canary) -> tuple[str, str]:
    """The two Services that can be the stable Service of a managed rule."""
    return names.primary_service(canary), names.apex(canary)


def notes(obj: Obj) -> Obj:
    """The annotations of a route."""
    return part(part(obj, "metadata"), "annotations")


def unsayable(canary: Canary) -> Problem | None:
    """Reject settings that would change more than the weights of the user's route."""
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
            text = f"{path} cannot be used with spec.routeRef: flagger changes only the weights of your route"
            return Problem(Fault.MANIFEST, text, f"Remove spec.routeRef or {path}.", path)
    return None


def _number(weight: Any) -> Any:
    """A weight as a number: 0 if missing. A value that is not an integer is returned unchanged."""
    text = str(weight or 0)
    return int(text) if text.isascii() and text.isdigit() else weight


def _stored(text: Any, rules: Sequence[Sequence[Obj]]) -> list[list[Any]] | None:
    """The original weights, if they match the number of rules and backends of the live route."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return None
    if not isinstance(found, list) or len(found) != len(rules) or not all(map(_are_weights, found)):
        return None
    alike = all(len(weights) == len(rule) for weights, rule in zip(found, rules, strict=True))
    return found if alike else None


def _are_weights(weights: Any) -> bool:
    return isinstance(weights, list) and all(weight is None or isinstance(weight, int | str) for weight in weights)
