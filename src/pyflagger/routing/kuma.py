"""Provider `kuma`: a cluster-scoped TrafficRoute for each port, with the name of the apex Service.

Kuma's newer MeshHTTPRoute is another API, which flagger does not support. The name contains no namespace, so flagger
never changes a route whose destination is a Service of another namespace. See Kuma's documentation, "Traffic Route".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Fault, Problem, Route
from pyflagger.objects import Delete, Obj, Ref, Resource, part
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import make
from pyflagger.routing.split import Rule, Split, entries, port_names, shared_out

ROUTES = Resource("kuma.io", "v1alpha1", "trafficroutes", "TrafficRoute", namespaced=False)
SERVICE, MESH = "kuma.io/service", "kuma.io/mesh"


class Kuma(Split):
    """A split by the tag that Kuma gives to each port of a Service."""

    capabilities = Capabilities(weights=True, ports=True)
    kinds: tuple[Resource, ...] = (ROUTES,)

    def others(self, canary: Canary) -> tuple[Ref, ...]:
        """The TrafficRoutes of the additional ports."""
        return tuple(ROUTES.ref("", name) for name, _ in port_names(canary)[1:])

    def render(
        self, canary: Canary, live: Live, rules: Sequence[Rule], options: RoutingOptions
    ) -> tuple[Obj, ...] | Problem:
        """Render the route of the first port last."""
        (rule,) = rules
        made = []
        for name, port in reversed(port_names(canary)):
            if _is_foreign(canary, live.get(ROUTES.ref("", name))):
                text = (
                    f"trafficroute {name} routes to a Service in another namespace, not in {canary.metadata.namespace}"
                )
                todo = "TrafficRoutes are cluster-scoped: rename the Services in one of the namespaces."
                return Problem(Fault.MANIFEST, text, todo, "spec.service.name")
            made.append(_one(canary, name, port, rule.route))
        return tuple(made)

    def backends(self, obj: Obj) -> list[list[Obj]]:
        """One split."""
        return [entries(part(part(obj, "spec"), "conf"), "split")]

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The Service of a tag, if it is in the Canary's namespace."""
        name, namespace = _tagged(backend.get("destination"))
        return name if namespace == canary.metadata.namespace else None

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """Delete the routes: a cluster-scoped object has no owner whose deletion would remove it."""
        refs = self.reads(canary, options)
        mine = (ref for ref in refs if (obj := live.get(ref)) and names.is_owned(canary, obj))
        return tuple(Delete(ref) for ref in mine if not _is_foreign(canary, live[ref]))

    def takes_over(self, canary: Canary, obj: Obj) -> bool:
        """Whether an unmarked route splits only between the Canary's Services. The reference wrote such routes."""
        marked = names.OWNER in part(part(obj, "metadata"), "annotations")
        found = {self.service_of(canary, backend) for backend in self.backends(obj)[0]}
        return not marked and bool(found) and found <= {names.primary_service(canary), names.canary_service(canary)}


def _one(canary: Canary, name: str, port: int, route: Route) -> Obj:
    def tag(service: str) -> dict[str, str]:
        return {SERVICE: f"{service}_{canary.metadata.namespace}_svc_{port}"}

    spec = {
        "sources": [{"match": {SERVICE: "*"}}],
        "destinations": [{"match": tag(names.apex(canary))}],
        "conf": {
            "split": [{"weight": weight, "destination": tag(service)} for service, weight in shared_out(canary, route)]
        },
    }
    made = make(canary, ROUTES, name, spec)
    made["metadata"]["annotations"][names.OWNER] = names.owner_mark(canary)
    return {**made, "mesh": canary.metadata.annotations.get(MESH, "default")}


def _is_foreign(canary: Canary, obj: Obj | None) -> bool:
    """Whether a route has Services of other namespaces as destinations."""
    matches = [entry.get("match") for entry in entries(part(obj or {}, "spec"), "destinations")]
    return any(namespace not in ("", canary.metadata.namespace) for _, namespace in map(_tagged, matches))


def _tagged(tags: Any) -> tuple[str, str]:
    """(Service, namespace) of a tag such as `web_test_svc_80`. Empty for others, such as `*`."""
    parts = str(tags.get(SERVICE, "")).split("_") if isinstance(tags, dict) else []
    return (parts[0], parts[1]) if len(parts) == 4 else ("", "")
