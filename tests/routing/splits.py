"""A provider with all that it needs to be routed, for the tests that hold for each of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from routed import Cluster, Routed, canary

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem, Route
from pyflagger.objects import Obj
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.registry import PROVIDERS
from pyflagger.routing.split import Split


@dataclass
class Way(Routed):
    """A cluster in which a canary is routed by a provider."""

    provider: str
    spec: dict[str, Any] = field(default_factory=dict)
    objects: tuple[Obj, ...] = ()
    status: dict[str, Any] | None = None
    options: RoutingOptions = field(default_factory=RoutingOptions)

    def __post_init__(self) -> None:
        found = PROVIDERS[self.provider]
        assert isinstance(found, Split)
        self.router = found
        self.canary: Canary = canary(self.status, **{"provider": self.provider, "ingressRef": None} | self.spec)
        self.cluster = Cluster(*copy.deepcopy(self.objects))

    def set(self, weight: int, *, everyone: bool = False) -> int:
        """Split traffic."""
        before = copy.deepcopy(self.live)
        writes = self.router.set(self.canary, self.live, Route(100 - weight, weight), self.options, everyone=everyone)
        assert self.live == before
        return self.cluster.write(writes)

    def problem(self, weight: int | None = None) -> Problem:
        """What keeps it from being rendered, or from being set to a weight."""
        if weight is None:
            found = self.router.reconcile(self.canary, self.live, self.options)
        else:
            found = self.router.set(self.canary, self.live, Route(100 - weight, weight), self.options)
        assert isinstance(found, Problem), found
        return found

    @property
    def main(self) -> Obj:
        """The object that holds the weights."""
        return self.cluster.objects[self.router.main(self.canary)]

    @property
    def backends(self) -> list[Obj]:
        """Those of the rule for everybody."""
        return self.router.backends(self.main)[-1]


def selecting(name: str, **selector: str) -> Obj:
    """A Service that is there."""
    meta = {"name": name, "namespace": "test", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": selector}}


def made(way: Way, weight: int = 0) -> Way:
    """With its objects made and a weight set."""
    way.reconcile()
    if weight:
        way.set(weight)
    return way


def theirs(api_version: str, kind: str, spec: Obj) -> Obj:
    """A route of the user's own."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "mine", "namespace": "test", "resourceVersion": "1"},
        "spec": spec,
    }


def find(obj: Any, key: str) -> list[Any]:
    """Every value of a key, wherever in an object."""
    if isinstance(obj, dict):
        return ([obj[key]] if key in obj else []) + [hit for value in obj.values() for hit in find(value, key)]
    return [hit for value in obj for hit in find(value, key)] if isinstance(obj, list) else []
