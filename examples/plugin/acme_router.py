"""Traffic provider `acme`: the weights of a canary in annotations of a Service, for a proxy that reads them there.

An example of a plugin. It is held to `pyflagger.testing.check_router`, as every router should be.
"""

from __future__ import annotations

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Create, Obj, Patch, Ref, Resource
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import owed

SERVICES = Resource("", "v1", "services", "Service")
PREFIX = "acme.example"


class Acme:
    """Service `<apex>-weights` with the annotations `acme.example/primary` and `acme.example/canary`."""

    capabilities = Capabilities(weights=True)
    kinds: tuple[Resource, ...] = (SERVICES,)

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """Only ours."""
        return (SERVICES.ref(canary.metadata.namespace, f"{names.apex(canary)}-weights"),)

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """Two whole numbers that make 100, or somebody else was at it."""
        (ours,) = live.values()
        if ours is None:
            return None
        said = ours["metadata"].get("annotations") or {}
        texts = [said.get(f"{PREFIX}/{part}") or "" for part in ("primary", "canary")]
        if not all(text.isascii() and text.isdigit() for text in texts) or sum(map(int, texts)) != 100:
            text = f"service {ours['metadata']['name']} says {texts}, which are not two weights that make 100"
            return Problem(Fault.CLUSTER, text, "Find out who else writes it, and delete it: it is made again.")
        return Route(int(texts[0]), int(texts[1]))

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """As it is, or as the release had reached when it was deleted."""
        now = self.read(canary, live, options)
        return now if isinstance(now, Problem) else self.set(canary, live, now or owed(canary), options)

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """Both weights in one write."""
        ((ref, ours),) = live.items()
        said = {f"{PREFIX}/primary": str(route.primary), f"{PREFIX}/canary": str(route.canary)}
        if ours is None:
            return (Create(_object(canary, ref, said)),)
        if said.items() <= (ours["metadata"].get("annotations") or {}).items():
            return ()
        return (Patch(ref, {"metadata": {"annotations": said}}, ours["metadata"]["resourceVersion"]),)

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """Everybody is led to the apex Service's pods; the object goes with the Canary."""
        found = self.set(canary, live, ALL_PRIMARY, options) if any(live.values()) else ()
        return () if isinstance(found, Problem) else found


def _object(canary: Canary, ref: Ref, said: dict[str, str]) -> Obj:
    owners = [names.owner_reference(canary)]
    meta = {"name": ref.name, "namespace": ref.namespace, "annotations": said, "ownerReferences": owners}
    spec = {"type": "ExternalName", "externalName": f"{names.primary_service(canary)}.{ref.namespace}.svc"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
