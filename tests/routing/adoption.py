"""A route of the user's own in the shape of each kind that can be adopted, and a Canary that adopts it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from routed import Cluster, Routed, canary

from pyflagger.api.facts import Problem, Route
from pyflagger.objects import Obj, part, ref_of
from pyflagger.routing.adopted import WEIGHTS
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.registry import PROVIDERS

Rule = list[tuple[str, Any]]
"""(Service, weight or none) of each backend."""


@dataclass(frozen=True)
class Shape:
    """How a kind lists backends: rules under `rules`, or a single list; a backend names its Service by `named`."""

    rules: tuple[str, ...]
    """The keys to the list of rules; empty: there is one rule."""

    backends: tuple[str, ...]
    named: Callable[[str], Obj]

    def spec(self, *rules: Rule) -> Obj:
        """Of a route, each part with a field that we do not know."""
        made = [self._rule(rule, at) for at, rule in enumerate(rules)]
        return {"theirs": "spec", **(nested(self.rules, made) if self.rules else made[0] if made else {})}

    def lists(self, obj: Obj) -> Iterator[list[Obj]]:
        """The backends of each rule."""
        for rule in at(obj["spec"], self.rules) if self.rules else [obj["spec"]]:
            yield at(rule, self.backends) or []

    def _rule(self, rule: Rule, number: int) -> Obj:
        backends = [
            {**self.named(name), "theirs": [name], **({} if weight is None else {"weight": weight})}
            for name, weight in rule
        ]
        return {"number": number, **nested(self.backends, backends)}


def nested(keys: tuple[str, ...], value: Any) -> Obj:
    """A value below keys."""
    return {keys[0]: nested(keys[1:], value) if keys[1:] else value}


def at(obj: Any, keys: tuple[str, ...]) -> Any:
    """What is below keys; None when it is not there."""
    for key in keys:
        obj = (obj or {}).get(key)
    return obj


SHAPES = {
    "HTTPRoute": Shape(("rules",), ("backendRefs",), lambda name: {"name": name, "port": 80}),
    "VirtualService": Shape(("http",), ("route",), lambda name: {"destination": {"host": name}}),
    "HTTPProxy": Shape(("routes",), ("services",), lambda name: {"name": name, "port": 80}),
    "TraefikService": Shape((), ("weighted", "services"), lambda name: {"name": name, "port": 80}),
    "TrafficSplit": Shape((), ("backends",), lambda name: {"service": name}),
}
ABLE = {name: found for name, found in PROVIDERS.items() if found.capabilities.adopt}
MANY = [name for name, found in ABLE.items() if SHAPES[found.kinds[0].kind].rules]
TEXTS = ("linkerd", "smi:v1alpha1", "smi:v1alpha1:")
"""Those that write weights as texts."""

BOTH: Rule = [("web-primary", 100), ("web-canary", 0)]
ADOPTED = {"routeRef": {"apiVersion": "any/v1", "kind": "Any", "name": "mine"}}


class Mine(Routed):
    """A route of the user's with some rules, adopted by a Canary."""

    def __init__(self, provider: str, *rules: Rule, status: dict[str, Any] | None = None, **spec: Any) -> None:
        self.provider, self.router, self.options = provider, ABLE[provider], RoutingOptions()
        kind = self.router.kinds[0]
        self.shape = SHAPES[kind.kind]
        head = {"name": "mine", "namespace": "test", "resourceVersion": "1", "annotations": {"theirs": "note"}}
        self.before = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": head,
            "spec": self.spec_of(*rules),
        }
        self.ref = ref_of(self.before)
        self.canary = canary(status, **{"provider": provider.rstrip(":"), "ingressRef": None, **ADOPTED, **spec})
        self.cluster = Cluster(self.before)

    def spelled(self, rule: Rule) -> Rule:
        """With weights as the kind has them."""
        return [
            (name, str(weight) if self.provider in TEXTS and type(weight) is int else weight) for name, weight in rule
        ]

    @property
    def obj(self) -> Obj:
        """The route."""
        return self.cluster.objects[self.ref]

    @property
    def notes(self) -> Obj:
        """Its annotations."""
        return part(self.obj["metadata"], "annotations")

    @property
    def note(self) -> Any:
        """The weights of before."""
        text = self.notes.get(WEIGHTS)
        return text if text is None else json.loads(text)

    @property
    def weights(self) -> list[dict[str, Any]]:
        """Of each rule."""
        return [{each["theirs"][0]: each.get("weight") for each in backends} for backends in self.shape.lists(self.obj)]

    def spec_of(self, *rules: Rule) -> Obj:
        """A spec with these rules."""
        return self.shape.spec(*map(self.spelled, rules))

    def set(self, weight: int) -> int:
        """Split traffic."""
        return self.cluster.write(
            self.router.set(self.canary, self.live, Route(100 - weight, weight), self.options, everyone=False)
        )

    def finalize(self) -> int:
        """Give it back; what the router was shown must be as it was."""
        before = copy.deepcopy(self.live)
        writes = self.router.finalize(self.canary, self.live, self.options)
        assert self.live == before
        return self.cluster.write(writes)

    def edit(self, **body: Any) -> None:
        """The user changes the route."""
        self.cluster.edit(self.ref, body)

    def respec(self, *rules: Rule) -> None:
        """The user writes other rules; annotations stay, as with `kubectl apply`."""
        changed = copy.deepcopy(self.obj)
        changed["spec"] = self.spec_of(*rules)
        self.cluster.replace(self.ref, changed)

    def listed(self, number: int = 0) -> list[Obj]:
        """The backends of a rule: the very dicts."""
        return list(self.shape.lists(self.obj))[number]

    def problem(self) -> Problem:
        """What keeps it from being taken over."""
        found = self.router.reconcile(self.canary, self.live, self.options)
        assert isinstance(found, Problem), found
        return found


def taken(provider: str, *rules: Rule, weight: int = 0, **more: Any) -> Mine:
    """A route that was taken over."""
    one = Mine(provider, *(rules or (BOTH,)), **more)
    assert one.reconcile() == 1
    if weight:
        assert one.set(weight) == 1
    return one
