"""What `check_router` tests a router on: a Canary of its provider, and the user's objects.

Tests create it. The defaults suit a provider that needs nothing but the Canary.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem, Route
from pyflagger.api.parse import parse_canary
from pyflagger.objects import Obj, Ref, Write, merge_apply, ref_of
from pyflagger.routing.base import Router, RoutingOptions
from pyflagger.testing.cluster import Cluster

NAME, NAMESPACE = "web", "test"

_BASE: Mapping[str, Any] = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
    "service": {"port": 80, "targetPort": 8080},
    "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 10, "maxWeight": 50},
}


@dataclass(frozen=True)
class Scene:
    """`spec` is a merge patch on the spec of Canary `web.test`, whose service is `web` at port 80.

    `objects` belong to the user. `shared` names those that the provider may change. `served` gets a written object and
    returns it as the provider's controller would leave it, for example with a status.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    objects: tuple[Obj, ...] = ()
    shared: frozenset[Ref] = frozenset()
    options: RoutingOptions = field(default_factory=RoutingOptions)
    served: Callable[[Obj], Obj] = lambda obj: obj

    def canary(self, status: Mapping[str, Any] | None = None, **spec: Any) -> Canary:
        """The Canary, with a further patch on its spec."""
        return parse_canary(
            {
                "apiVersion": names.API_VERSION,
                "kind": "Canary",
                "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": "u1", "generation": 1},
                "spec": merge_apply(merge_apply(_BASE, dict(self.spec)), spec),
                "status": {"lastAppliedSpec": "v1:r2", **(status or {})},
            }
        )


class RouterRun:
    """A router at work for one canary on a cluster. Every call also checks what holds for all calls."""

    def __init__(self, router: Router, scene: Scene, canary: Canary, cluster: Cluster | None = None) -> None:
        self.router, self.scene, self.canary = router, scene, canary
        self.cluster = cluster or Cluster(*scene.objects)

    def fork(self) -> RouterRun:
        """The same router on its own copy of the cluster."""
        return RouterRun(self.router, self.scene, self.canary, self.cluster.copy())

    def turned(self, canary: Canary) -> RouterRun:
        """The same cluster with a changed Canary."""
        return RouterRun(self.router, self.scene, canary, self.cluster)

    def read(self) -> Route | Problem | None:
        """The split that the live objects say."""
        found = self._undisturbed(lambda live: self.router.read(self.canary, live, self.scene.options))
        if isinstance(found, Route):
            assert found.primary + found.canary == 100, f"read() returns {found}, whose weights do not add up to 100"
        return found  # type: ignore[no-any-return]

    def reconcile(self) -> int:
        """Repair the objects and return the number of writes."""
        return self.write(self.shaping())

    def set(self, canary: int, *, mirrored: bool = False, everyone: bool = False) -> int:
        """Split traffic and return the number of writes."""
        return self.write(self.splitting(canary, mirrored=mirrored, everyone=everyone))

    def shaping(self) -> tuple[Write, ...] | Problem:
        """The writes of reconcile."""
        return self._undisturbed(  # type: ignore[no-any-return]
            lambda live: self.router.reconcile(self.canary, live, self.scene.options)
        )

    def splitting(self, canary: int, *, mirrored: bool = False, everyone: bool = False) -> tuple[Write, ...] | Problem:
        """The writes of set."""
        route = Route(100 - canary, canary, mirrored)
        return self._undisturbed(  # type: ignore[no-any-return]
            lambda live: self.router.set(self.canary, live, route, self.scene.options, everyone=everyone)
        )

    def finalizing(self) -> tuple[Write, ...]:
        """The writes of finalize."""
        return self._undisturbed(  # type: ignore[no-any-return]
            lambda live: self.router.finalize(self.canary, live, self.scene.options)
        )

    def write(self, writes: tuple[Write, ...] | Problem) -> int:
        """Carry out the writes and let the provider's controller process them."""
        count = self.cluster.write(writes)
        for ref, obj in list(self.cluster.objects.items()):
            served = self.scene.served(obj)
            if served != obj:
                self.cluster.objects[ref] = served
        return count

    @property
    def ours(self) -> dict[Ref, Obj]:
        """The objects that flagger owns or shares with the user."""
        users = {ref_of(obj) for obj in self.scene.objects} - self.scene.shared
        return {ref: obj for ref, obj in self.cluster.objects.items() if ref not in users}

    def mentions(self, *texts: str) -> bool:
        """Whether our objects contain every text."""
        written = json.dumps(list(self.ours.values()))
        return all(json.dumps(text)[1:-1] in written for text in texts)

    def _undisturbed(self, call: Callable[[dict[Ref, Obj | None]], Any]) -> Any:
        live = self.cluster.live(self.router.reads(self.canary, self.scene.options))
        before = json.dumps([repr(ref) for ref in live]), json.dumps(list(live.values()), sort_keys=True)
        found = call(live)
        after = json.dumps([repr(ref) for ref in live]), json.dumps(list(live.values()), sort_keys=True)
        assert before == after, "the router changed the live objects that it was given"
        return found
