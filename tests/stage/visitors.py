"""Visitors of a release in virtual time: whom the routes and EndpointSlices, as proxies know them, would have failed.

A proxy may know a route, or the pods of a Service, as they were up to LAG seconds ago. A visitor fails while such a
route leads to a Service which, as it may be known, has no pod that is ready. So does one of a provider whose proxies
learn of a Service when a route names it, if they may know the route before the Service.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.resources import SERVICES, learn
from pyflagger.objects import Obj, Ref, Resource
from pyflagger.routing.base import Announces
from pyflagger.routing.registry import PROVIDERS
from stage.killable import INGRESSES, WEIGHT
from stage.routes import everybody, main_kind, named, services, shares
from stage.stage import Stage

SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
learn((SLICES,))
SERVICE_LABEL = "kubernetes.io/service-name"
LAG = 1.5
VISITS_A_SECOND = 50

T = TypeVar("T")
Shares = tuple[tuple[str, int], ...]
"""(Service, percent)."""


@dataclass
class Visitors:
    """Watches from outside what leads visitors of `shop`, by any provider that the matrix has."""

    stage: Stage
    provider: str
    routes: list[tuple[float, Shares]] = field(default_factory=list)
    """Each split and since when."""
    named: list[tuple[float, frozenset[str]]] = field(default_factory=list)
    """The Services in each version of such a route, and since when."""
    pods: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)
    """By Service: whether any pod of it was ready, and since when."""
    slices: dict[Ref, tuple[str, bool]] = field(default_factory=dict)
    selects: str = ""
    """Whose pods the apex Service selects: primary or canary."""

    async def start(self) -> None:
        """Begin to watch."""
        self.cache = Cache(self.stage.client, self.stage.clock)
        self.cache.subscribe(self._saw)
        for resource in (SLICES, SERVICES, *self._kinds()):
            await self.cache.wait(resource)

    def _kinds(self) -> tuple[Resource, ...]:
        """What holds the weights, beside Services."""
        if self.provider == "kubernetes":
            return ()
        return (INGRESSES if self.provider == "nginx" else main_kind(self.provider),)

    @property
    def now(self) -> float:
        """The time of the stage."""
        return self.stage.clock.now()

    @property
    def peak(self) -> int:
        """The canary's highest share since it was initialized, in percent."""
        return max(self._canary(split) for _, split in self.routes)

    def _canary(self, split: Shares) -> int:
        return sum(percent for name, percent in split if name == "shop-canary")

    def failed(self, begin: float) -> int:
        """How many visits would have failed since `begin`, VISITS_A_SECOND in all."""
        lost = 0.0
        moments = sorted({begin, *(at for at in self._moments() if at > begin), self.now})
        for since, until in pairwise(moments):
            lost += (until - since) * self._lost_at((since + until) / 2) / 100
        return round(lost * VISITS_A_SECOND)

    def _moments(self) -> Iterable[float]:
        changes = [at for at, _ in self.routes] + [at for seen in self.pods.values() for at, _ in seen]
        return [moment for at in changes for moment in (at, at + LAG)]

    def _lost_at(self, at: float) -> int:
        """The largest share of visitors that may be failed at a time, in percent."""
        lost = (
            sum(p for name, p in split if self._empty(name, at) or self._new(name, at)) for split in self._known(at)
        )
        return max(lost, default=0)

    def _new(self, service: str, at: float) -> bool:
        return any(service not in named for named in _lasting(self.named, at))

    def _known(self, at: float) -> list[Shares]:
        return _lasting(self.routes, at)

    def _empty(self, service: str, at: float) -> bool:
        return False in _lasting(self.pods.get(service, [(0.0, False)]), at)

    def _saw(self, change: ObjectChange) -> None:
        obj = change.new
        if change.resource == SLICES:
            self._slice(change.ref, obj)
        elif obj is None:
            return
        elif change.resource == SERVICES:
            if obj["metadata"]["name"] == "shop":
                self.selects = "primary" if "shop-primary" in str(obj["spec"].get("selector")) else "canary"
                self._route((("shop-canary" if self.selects == "canary" else "shop-primary", 100),), "kubernetes")
        else:
            self._routed(obj)

    def _slice(self, ref: Ref, obj: Obj | None) -> None:
        if obj is not None:
            name = obj["metadata"]["labels"][SERVICE_LABEL]
            self.slices[ref] = name, any(each["conditions"]["ready"] for each in obj["endpoints"] or ())
        else:
            name, _ = self.slices.pop(ref, ("", False))
        ready = any(any_ready for owner, any_ready in self.slices.values() if owner == name)
        seen = self.pods.setdefault(name, [])
        if not seen or seen[-1][1] != ready:
            seen.append((self.now, ready))

    def _routed(self, obj: Obj) -> None:
        if self.provider == "nginx":
            if obj["metadata"]["name"] == "shop-canary":
                weight = int(obj["metadata"]["annotations"].get(WEIGHT, "0"))
                self._route((("shop-canary", weight), ("shop-primary", 100 - weight)), "nginx")
            return
        if isinstance(PROVIDERS[self.provider], Announces):
            self.named.append((self.now, named(obj)))
            self._route(tuple(services(obj).items()), self.provider)
            return
        found = dict(shares(everybody(obj)))
        if not found and '"shop"' in json.dumps(everybody(obj)):
            self._route((("shop", 100),), self.provider)
        elif found:
            self._route(tuple((f"shop-{name}", percent) for name, percent in found.items()), self.provider)

    def _route(self, split: Shares, provider: str) -> None:
        led = tuple((name, percent) for name, percent in sorted(split) if percent)
        if provider == self.provider and (not self.routes or self.routes[-1][1] != led):
            self.routes.append((self.now, led))


def _lasting(seen: list[tuple[float, T]], at: float) -> list[T]:
    """What a proxy may know at a time: each state that held at some moment of the LAG seconds before."""
    ends = [*(since for since, _ in seen[1:]), *([float("inf")] if seen else [])]
    return [what for (since, what), end in zip(seen, ends, strict=True) if since <= at and end > at - LAG]
