"""A cluster routed by a mesh for a canary `web.test`, and what is seen of it; for the tests of meshes."""

from __future__ import annotations

from typing import Any

from routed import Cluster, Routed, canary

from pyflagger.api.canary import Canary
from pyflagger.api.cookies import changes
from pyflagger.api.facts import Problem, Route
from pyflagger.objects import Obj, merge_apply, ref_of
from pyflagger.routing.base import Router, RoutingOptions

AFFINITY = {"cookieName": "ck", "primaryCookieName": "pk"}


def status(**found: Any) -> dict[str, Any]:
    """The status of a release under way."""
    return {"phase": "Progressing", "lastAppliedSpec": "r1", **found}


class Mesh(Routed):
    """A cluster with some objects, routed for a canary."""

    def __init__(self, router: Router, of: Canary, *objects: Obj) -> None:
        self.router, self.canary, self.cluster = router, of, Cluster(*objects)
        self.options = RoutingOptions()

    def reconcile(self) -> int:
        """Bring it into shape, which leaves nothing to do."""
        count = super().reconcile()
        assert self.router.reconcile(self.canary, self.live, self.options) == ()
        return count

    def set(self, weight: int, *, everyone: bool = False, mirrored: bool = False) -> int:
        """Split traffic as core does: the status holds the cookies afterwards."""
        route = Route(100 - weight, weight, mirrored)
        count = self.cluster.write(self.router.set(self.canary, self.live, route, self.options, everyone=everyone))
        assert self.router.set(self.canary, self.live, route, self.options, everyone=everyone) == ()
        found = self.canary.status.but(canary_weight=weight, **changes(self.canary, weight))
        self.canary = self.canary.model_copy(update={"status": found})
        assert self.read() == route
        assert self.router.reconcile(self.canary, self.live, self.options) == (), "what was set is in shape"
        return count

    def problem(self) -> Problem:
        """What keeps it from being rendered."""
        found = self.router.reconcile(self.canary, self.live, self.options)
        assert isinstance(found, Problem), found
        return found

    def finalize(self) -> int:
        """Give it back."""
        return self.cluster.write(self.router.finalize(self.canary, self.live, self.options))

    def edit(self, obj: Obj, **parts: Any) -> None:
        """Somebody changes an object."""
        self.cluster.objects[ref_of(obj)] = merge_apply(obj, parts)

    def respec(self, base: Any, **spec: Any) -> None:
        """The user changes the Canary; its status stays."""
        made = base(**spec)
        self.canary = made.model_copy(update={"status": self.canary.status})


__all__ = ["AFFINITY", "Mesh", "canary", "status"]
