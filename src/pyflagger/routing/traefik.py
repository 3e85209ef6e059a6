"""Provider `traefik`: a weighted TraefikService for each port, named as the apex Service.

The user's IngressRoute sends to it (`kind: TraefikService`). An entry without a weight counts as 1 in Traefik, and an
entry whose Service has no ready endpoints spoils the whole list: so weights are always written, and the canary is an
entry only while it gets requests, in a list of the user's too. See Traefik's reference, "TraefikService".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Route
from pyflagger.objects import Obj, Ref, Resource, part
from pyflagger.routing.base import Live, Options
from pyflagger.routing.generated import make, overlay
from pyflagger.routing.split import Rule, Split, entries, port_names, shared_out

SERVICES = Resource("traefik.io", "v1alpha1", "traefikservices", "TraefikService")


PARKED = "flagger.app/canary-service"
"""The canary's entry of an adopted list while it is out of it, where it says more than the primary's."""


class Traefik(Split):
    """Weighted round robin over two Services."""

    capabilities = Capabilities(weights=True, ports=True, adopt=True)
    kinds: tuple[Resource, ...] = (SERVICES,)

    def others(self, canary: Canary) -> tuple[Ref, ...]:
        """One for each further port."""
        return tuple(SERVICES.ref(canary.metadata.namespace, name) for name, _ in port_names(canary)[1:])

    def render(self, canary: Canary, live: Live, rules: Sequence[Rule], options: Options) -> tuple[Obj, ...]:
        """The first port's comes last."""
        (rule,) = rules
        ports = reversed(port_names(canary))
        return tuple(self._one(canary, live, name, port, rule.route) for name, port in ports)

    def _one(self, canary: Canary, live: Live, name: str, port: int, route: Route) -> Obj:
        namespace = canary.metadata.namespace
        there = self.backends(live.get(SERVICES.ref(namespace, name)) or {})[0]
        services = [
            overlay(
                next((entry for entry in there if entry.get("name") == service), {}),
                {"name": service, "namespace": namespace, "port": port, "weight": weight},
            )
            for service, weight in shared_out(canary, route)
            if weight or service == names.primary_service(canary)
        ]
        return make(canary, SERVICES, name, {"weighted": {"services": services}})

    def backends(self, obj: Obj) -> list[list[Obj]]:
        """One weighted list."""
        return [entries(part(part(obj, "spec"), "weighted"), "services")]

    def reweigh(self, canary: Canary, obj: Obj, share: Mapping[str, int]) -> bool:
        """The canary's entry comes and goes with its weight; what the user wrote in it is kept."""
        other = names.canary_service(canary)
        (services,) = self.backends(obj)
        mine, theirs = ([each for each in services if self.service_of(canary, each) == name] for name in share)
        if not mine:
            return False
        alike = {**mine[0], "name": other}
        found = theirs or [_parked(obj) or alike]
        for each in (*mine, *found):
            each["weight"] = share[each["name"]]
        rest = [each for each in services if each not in theirs]
        obj["spec"]["weighted"]["services"] = [*rest, *(found if share[other] else ())]
        telling = {**found[0], "weight": 0} != {**alike, "weight": 0}
        _park(obj, found[0] if telling and not share[other] else None)
        return True

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """Entries name Services, unless they name another TraefikService."""
        return backend.get("name") if backend.get("kind", "Service") == "Service" else None


def _parked(obj: Obj) -> Obj | None:
    text = part(part(obj, "metadata"), "annotations").get(PARKED)
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _park(obj: Obj, entry: Obj | None) -> None:
    notes = part(obj["metadata"], "annotations")
    notes.pop(PARKED, None)
    if entry:
        obj["metadata"]["annotations"] = {**notes, PARKED: json.dumps(entry)}
