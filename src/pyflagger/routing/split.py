"""What most providers have in common: routing objects that hold two weights a rule, rendered whole for a split.

Each provider's module fills in its shape. Everything else is here: reading both weights, keeping them while the rest is
mended, and the rules of A/B and of testers. A route of the user's own, of which only weights are ours, is `adopted`'s.
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
from pyflagger.routing.base import Live, Options, Writes
from pyflagger.routing.generated import OTHERS, brought_about, overlay, owed


@dataclass(frozen=True, slots=True)
class Rule:
    """How some requests are split: those that `match` (None: all others). `where` is its path in the manifest."""

    route: Route
    match: Match | None = None
    where: str = ""


class Split(ABC):
    """A router of rendered objects; the first kind is that of the object that holds the weights."""

    capabilities: Capabilities
    kinds: tuple[Resource, ...]
    adopting: type[Adopted] = Adopted
    """What sets the weights of a route of the user's own."""
    unset: int = 0
    """What a missing weight counts in it beside others."""

    # The shape of a provider -----------------------------------------------------------------------------------------

    @abstractmethod
    def render(self, canary: Canary, live: Live, rules: Sequence[Rule], options: Options) -> tuple[Obj, ...] | Problem:
        """Every object as it should be, the one that holds the weights last."""

    @abstractmethod
    def backends(self, obj: Obj) -> list[list[Obj]]:
        """The backends of each rule: the very dicts of the object, in order."""

    @abstractmethod
    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The name of the Service that a backend stands for."""

    def weight(self, percent: int) -> Any:
        """A weight as the provider spells it."""
        return percent

    def main(self, canary: Canary) -> Ref:
        """The object that holds the weights."""
        return self.kinds[0].ref(canary.metadata.namespace, names.apex(canary))

    def others(self, canary: Canary) -> tuple[Ref, ...]:
        """Further objects that are rendered, or needed for it."""
        return ()

    # What is the same for all ----------------------------------------------------------------------------------------

    def reads(self, canary: Canary, options: Options) -> tuple[Ref, ...]:
        """The object that holds the weights, and the others; or the user's own alone."""
        mine = self._adopted(canary)
        return (mine.ref,) if mine else (*self.others(canary), self.main(canary))

    def read(self, canary: Canary, live: Live, options: Options) -> Route | Problem | None:
        """Both weights: of the first rule in A/B, else of the last, which is for everybody."""
        if mine := self._adopted(canary):
            return mine.read(live)
        obj = live.get(self.main(canary))
        return None if obj is None else self._read(canary, obj)

    def reconcile(self, canary: Canary, live: Live, options: Options) -> Writes | Problem:
        """Everything but the weights is mended; weights that make no sense become what the release had reached."""
        if mine := self._adopted(canary):
            return mine.reconcile(live)
        obj = live.get(self.main(canary))
        route = None if obj is None else self._read(canary, obj)
        unruled = obj is not None and len(self._split(canary, obj)) == 1
        everyone = unruled and route == ALL_CANARY
        return self._written(canary, live, route if isinstance(route, Route) else owed(canary), options, everyone)

    def set(
        self, canary: Canary, live: Live, route: Route, options: Options, *, everyone: bool = False
    ) -> Writes | Problem:
        """The weights of the route, and the rules that go with them."""
        if mine := self._adopted(canary):
            return mine.set(live, route)
        if live.get(self.main(canary)) is None:
            if route == ALL_PRIMARY:
                return ()
            return Problem(Fault.CLUSTER, f"{self.main(canary)} is not there", "It is made again.")
        return self._written(canary, live, route, options, everyone)

    def finalize(self, canary: Canary, live: Live, options: Options) -> Writes:
        """What was adopted is given back; what we made ends as its kind says."""
        if mine := self._adopted(canary):
            return mine.finalize(live)
        found = [obj for ref in self.reads(canary, options) if (obj := live.get(ref)) and names.is_owned(canary, obj)]
        return tuple(write for obj in found for write in self.end(canary, obj))

    def end(self, canary: Canary, obj: Obj) -> Writes:
        """What becomes of an object of ours before the Canary goes: by default it goes with it."""
        return ()

    # ---------------------------------------------------------------------------------------------------------------

    def _adopted(self, canary: Canary) -> Adopted | None:
        """The user's own route, where one is named and can be adopted."""
        if not (self.capabilities.adopt and canary.spec.route_ref):
            return None
        return self.adopting(canary, self.kinds[0], partial(self._named, canary), self.weight, self.unset)

    def _named(self, canary: Canary, obj: Obj) -> Iterator[list[tuple[Any, Obj]]]:
        """The backends of each rule by the Services that they stand for."""
        for backends in self.backends(obj):
            yield [(self.service_of(canary, backend), backend) for backend in backends]

    def _split(self, canary: Canary, obj: Obj) -> list[tuple[int, int] | Problem]:
        """(primary, canary) of each rule that leads to either."""
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
        show = ["no whole number" if weight is None else str(weight) for weight in (primary, other)]
        text = (
            f"{self.main(canary)} sends {show[0]} to the primary and {show[1]} to the canary, which is not 100 in all"
        )
        return Problem(Fault.CLUSTER, text, OTHERS)

    def _read(self, canary: Canary, obj: Obj) -> Route | Problem:
        found = self._split(canary, obj)
        if not found:
            text = f"{self.main(canary)} leads neither to {names.primary_service(canary)} nor to the canary"
            return Problem(Fault.CLUSTER, text, OTHERS)
        ruled = strategy(canary) == "ab-testing" and len(found) > 1
        pair = found[0 if ruled else -1]
        if isinstance(pair, Problem):
            return pair
        if ruled and pair == (0, 100) and canary.status.canary_weight == 100:
            # After a failed promotion the canary is owed everybody: rules that are still there give it only a few.
            return ALL_PRIMARY
        return Route(*pair)

    def _written(self, canary: Canary, live: Live, route: Route, options: Options, everyone: bool) -> Writes | Problem:
        wanted = self.render(canary, live, rules_of(canary, route, everyone=everyone), options)
        if isinstance(wanted, Problem):
            return wanted
        return tuple(write for obj in wanted for write in brought_about(live.get(ref_of(obj)), obj))


def rules_of(canary: Canary, route: Route, *, everyone: bool = False) -> tuple[Rule, ...]:
    """The rules of a split; the last is for all whom no other one means. At weight 0 it is the only one."""
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
    """The objects of a list that somebody else may have written."""
    found = holder.get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def port_names(canary: Canary) -> list[tuple[str, int]]:
    """(name of the routing object, port) for each port of the Service, the first named as the apex."""
    service, apex = canary.spec.service, names.apex(canary)
    if service is None:
        return []
    return [(apex, service.port), *((f"{apex}-{port.name}", port.port) for port in service.ports)]


def prefix_of(canary: Canary) -> str:
    """The path that is routed: the first prefix of `service.match`."""
    matches = canary.spec.service.match if canary.spec.service else ()
    found = part(matches[0], "uri").get("prefix") if matches else None
    return found if isinstance(found, str) and found else "/"


def retry_words(canary: Canary) -> list[str]:
    """What is tried again: the words of `service.retries.retryOn`."""
    retries = canary.spec.service.retries if canary.spec.service else None
    return [word.strip() for word in retries.retry_on.split(",") if word.strip()] if retries else []


def unknown_retries(canary: Canary, known: Collection[str]) -> Problem | None:
    """A word of `service.retries.retryOn` that the provider's API would refuse."""
    strange = [word for word in retry_words(canary) if word not in known]
    if not strange:
        return None
    path = "spec.service.retries.retryOn"
    text = f"{path}: {', '.join(strange)} cannot be expressed by this traffic provider"
    return Problem(Fault.MANIFEST, text, f"Use some of: {', '.join(known)}.", path)


SERVICES = Resource("", "v1", "services", "Service")
"""For the kinds of a router that reads selectors."""


def services_of(canary: Canary) -> tuple[Ref, Ref]:
    """The Services of primary and canary, whose selectors say which pods are meant."""
    namespace = canary.metadata.namespace
    primary, other = names.primary_service(canary), names.canary_service(canary)
    return SERVICES.ref(namespace, primary), SERVICES.ref(namespace, other)


def selector_of(canary: Canary, live: Live, service: str) -> Obj:
    """The selector of a live Service; empty while it is not there."""
    return part(part(live.get(SERVICES.ref(canary.metadata.namespace, service)) or {}, "spec"), "selector")


def aligned(live: Any, wanted: list[Obj]) -> list[Obj]:
    """Rules laid over the live ones from the end, where the rule for everybody is, so that its other fields stay."""
    if isinstance(live, list) and len(live) == len(wanted):
        return wanted
    under = [*reversed(live)] if isinstance(live, list) else []
    over = [*reversed(wanted)]
    return [overlay(under[at] if at < len(under) else None, rule) for at, rule in enumerate(over)][::-1]


def _total(backends: Sequence[Obj]) -> int | None:
    """The sum of weights: 0 when there are none, None when one is no whole number."""
    texts = [str(backend.get("weight") or 0) for backend in backends]
    if not all(text.isascii() and text.isdigit() for text in texts):
        return None
    return sum(map(int, texts))
