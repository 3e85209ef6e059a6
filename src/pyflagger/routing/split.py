"""The common base of most providers: routing objects with two weights per rule, rendered completely for each split.

A provider's module supplies the format. This module reads both weights, keeps them while it corrects other fields, and
builds the rules of A/B tests and testers. `adopted` handles routes that the user owns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary, Match
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Obj, Ref, Resource, part, ref_of
from pyflagger.routing.adopted import Adopted
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import OTHERS, brought_about, overlay, owed


@dataclass(frozen=True, slots=True)
class Rule:
    """The split of the requests that `match` selects. None: all others. `where` is its path in the manifest."""

    route: Route
    match: Match | None = None
    where: str = ""


class Split(ABC):
    """A router of rendered objects. The first kind is the kind of the object with the weights."""

    capabilities: Capabilities
    kinds: tuple[Resource, ...]
    adopting: type[Adopted] = Adopted
    """The class that sets the weights of a route that the user owns."""
    unset: int = 0
    """The value of a missing weight in such a route."""

    # The format of a provider ----------------------------------------------------------------------------------------

    @abstractmethod
    def render(
        self, canary: Canary, live: Live, rules: Sequence[Rule], options: RoutingOptions
    ) -> tuple[Obj, ...] | Problem:
        """The wanted objects. The object with the weights is the last one."""

    @abstractmethod
    def backends(self, obj: Obj) -> list[list[Obj]]:
        """The backends of each rule in order, as the mutable dicts of the object."""

    @abstractmethod
    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The name of the Service of a backend."""

    def weight(self, percent: int) -> Any:
        """A weight in the provider's format."""
        return percent

    def main(self, canary: Canary) -> Ref:
        """The object with the weights."""
        return self.kinds[0].ref(canary.metadata.namespace, names.apex(canary))

    def others(self, canary: Canary) -> tuple[Ref, ...]:
        """The other objects that it renders or reads."""
        return ()

    # Common to all providers -----------------------------------------------------------------------------------------

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """The object with the weights and the others, or only the user's route."""
        mine = self._adopted(canary)
        return (mine.ref,) if mine else (*self.others(canary), self.main(canary))

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """Both weights of the first rule in an A/B test, else of the last rule, which matches all requests."""
        if mine := self._adopted(canary):
            return mine.read(live)
        obj = live.get(self.main(canary))
        return None if obj is None else self._read(canary, obj)

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """Correct everything but the weights. Invalid weights become the weight that the release had reached."""
        if mine := self._adopted(canary):
            return mine.reconcile(live)
        obj = live.get(self.main(canary))
        route = None if obj is None else self._read(canary, obj)
        unruled = obj is not None and len(self._split(canary, obj)) == 1
        everyone = unruled and route == ALL_CANARY
        return self._written(canary, live, route if isinstance(route, Route) else owed(canary), options, everyone)

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """Set the weights, and the rules that belong to them."""
        if mine := self._adopted(canary):
            return mine.set(live, route)
        if live.get(self.main(canary)) is None:
            if route == ALL_PRIMARY:
                return ()
            return Problem(Fault.CLUSTER, f"{self.main(canary)} does not exist", "flagger creates it again.")
        return self._written(canary, live, route, options, everyone)

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """Restore an adopted route. Let `end` handle generated objects."""
        if mine := self._adopted(canary):
            return mine.finalize(live)
        found = [obj for ref in self.reads(canary, options) if (obj := live.get(ref)) and names.is_owned(canary, obj)]
        return tuple(write for obj in found for write in self.end(canary, obj))

    def end(self, canary: Canary, obj: Obj) -> Writes:
        """The writes to a generated object before the Canary is deleted. By default, it is deleted with the Canary."""
        return ()

    # ---------------------------------------------------------------------------------------------------------------

    def _adopted(self, canary: Canary) -> Adopted | None:
        """The user's route, if spec.routeRef names one and the provider can adopt it."""
        if not (self.capabilities.adopt and canary.spec.route_ref):
            return None
        return self.adopting(canary, self.kinds[0], partial(self._named, canary), self.weight, self.unset)

    def _named(self, canary: Canary, obj: Obj) -> Iterator[list[tuple[Any, Obj]]]:
        """The backends of each rule, with their Services."""
        for backends in self.backends(obj):
            yield [(self.service_of(canary, backend), backend) for backend in backends]

    def _split(self, canary: Canary, obj: Obj) -> list[tuple[int, int] | Problem]:
        """(primary, canary) weights of each rule with either backend."""
        pair = names.primary_service(canary), names.canary_service(canary)
        found: list[tuple[int, int] | Problem] = []
        for by_name in self._named(canary, obj):
            if any(name in pair for name, _ in by_name):
                weights = [_total([backend for name, backend in by_name if name == wanted]) for wanted in pair]
                found.append(self._pair(canary, weights[0], weights[1]))
        return found

    def _pair(self, canary: Canary, primary: int | None, other: int | None) -> tuple[int, int] | Problem:
        if primary is not None and other is not None and primary + other == 100:
            return primary, other
        show = ["an invalid weight" if weight is None else str(weight) for weight in (primary, other)]
        text = f"{self.main(canary)} sends {show[0]} to the primary and {show[1]} to the canary: the sum must be 100"
        return Problem(Fault.CLUSTER, text, OTHERS)

    def _read(self, canary: Canary, obj: Obj) -> Route | Problem:
        found = self._split(canary, obj)
        if not found:
            text = f"{self.main(canary)} routes neither to {names.primary_service(canary)} nor to the canary"
            return Problem(Fault.CLUSTER, text, OTHERS)
        ruled = strategy(canary) == "ab-testing" and len(found) > 1
        pair = found[0 if ruled else -1]
        if isinstance(pair, Problem):
            return pair
        if ruled and pair == (0, 100) and canary.status.canary_weight == 100:
            # After a failed promotion the canary must get all visitors, but the remaining rules match only some.
            return ALL_PRIMARY
        return Route(*pair)

    def _written(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, everyone: bool
    ) -> Writes | Problem:
        wanted = self.render(canary, live, rules_of(canary, route, everyone=everyone), options)
        if isinstance(wanted, Problem):
            return wanted
        return tuple(write for obj in wanted for write in brought_about(live.get(ref_of(obj)), obj))


def rules_of(canary: Canary, route: Route, *, everyone: bool = False) -> tuple[Rule, ...]:
    """The rules of a split. The last one matches all other requests. At weight 0 it is the only one."""
    analysis = canary.spec.analysis
    if analysis is None or route.canary == 0 or everyone:
        return (Rule(route),)
    if strategy(canary) == "ab-testing":
        return (*_ruled("match", analysis.match, route), Rule(ALL_PRIMARY))
    return (*_ruled("testers", analysis.testers, ALL_CANARY), Rule(route))


def _ruled(field: str, matches: Sequence[Match], route: Route) -> list[Rule]:
    return [Rule(route, match, f"spec.analysis.{field}[{index}]") for index, match in enumerate(matches)]


def shared_out(canary: Canary, route: Route) -> tuple[tuple[str, int], tuple[str, int]]:
    """(Service, weight) of the primary and of the canary."""
    return (names.primary_service(canary), route.primary), (names.canary_service(canary), route.canary)


def entries(holder: Obj, key: str) -> list[Obj]:
    """The dicts of a list that another controller may have written."""
    found = holder.get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def port_names(canary: Canary) -> list[tuple[str, int]]:
    """(name of the routing object, port) for each port of the Service. The first has the name of the apex."""
    service, apex = canary.spec.service, names.apex(canary)
    if service is None:
        return []
    return [(apex, service.port), *((f"{apex}-{port.name}", port.port) for port in service.ports)]


def prefix_of(canary: Canary) -> str:
    """The routed path: the first prefix of `service.match`."""
    matches = canary.spec.service.match if canary.spec.service else ()
    found = part(matches[0], "uri").get("prefix") if matches else None
    return found if isinstance(found, str) and found else "/"


def retry_words(canary: Canary) -> list[str]:
    """The retry conditions of `service.retries.retryOn`."""
    retries = canary.spec.service.retries if canary.spec.service else None
    return [word.strip() for word in retries.retry_on.split(",") if word.strip()] if retries else []


def unknown_retries(canary: Canary, known: Collection[str]) -> Problem | None:
    """Report a value of `service.retries.retryOn` that the provider's API rejects."""
    strange = [word for word in retry_words(canary) if word not in known]
    if not strange:
        return None
    path = "spec.service.retries.retryOn"
    text = f"{path}: {', '.join(strange)} cannot be expressed by this traffic provider"
    return Problem(Fault.MANIFEST, text, f"Use only: {', '.join(known)}.", path)


SERVICES = Resource("", "v1", "services", "Service")
"""The kind of objects whose selectors a router reads."""


def services_of(canary: Canary) -> tuple[Ref, Ref]:
    """The Services of primary and canary, for their pod selectors."""
    namespace = canary.metadata.namespace
    primary, other = names.primary_service(canary), names.canary_service(canary)
    return SERVICES.ref(namespace, primary), SERVICES.ref(namespace, other)


def selector_of(canary: Canary, live: Live, service: str) -> Obj:
    """The selector of a live Service, or empty before it exists."""
    return part(part(live.get(SERVICES.ref(canary.metadata.namespace, service)) or {}, "spec"), "selector")


def aligned(live: Any, wanted: list[Obj]) -> list[Obj]:
    """Align the rules with the live ones from the end, so that the default rule keeps its other fields."""
    if isinstance(live, list) and len(live) == len(wanted):
        return wanted
    under = [*reversed(live)] if isinstance(live, list) else []
    over = [*reversed(wanted)]
    return [overlay(under[at] if at < len(under) else None, rule) for at, rule in enumerate(over)][::-1]


def _total(backends: Sequence[Obj]) -> int | None:
    """The sum of the weights. None if one is not an integer."""
    texts = [str(backend.get("weight") or 0) for backend in backends]
    if not all(text.isascii() and text.isdigit() for text in texts):
        return None
    return sum(map(int, texts))
