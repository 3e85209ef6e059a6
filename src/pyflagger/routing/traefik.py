"""Provider `traefik`: a weighted TraefikService for each port, with the name of the apex Service.

The user's IngressRoute routes to it (`kind: TraefikService`). In Traefik, an entry without a weight counts as 1, and an
entry without ready endpoints breaks the whole list. So flagger always writes weights, and the canary has an entry only
while it gets requests. This also applies to a user's list. See Traefik's reference, "TraefikService".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Route
from pyflagger.objects import Obj, Ref, Resource, part
from pyflagger.routing.adopted import WEIGHTS, Adopted, notes, stable_services
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import make, overlay
from pyflagger.routing.rules import left
from pyflagger.routing.split import Rule, Split, entries, port_names, shared_out

SERVICES = Resource("traefik.io", "v1alpha1", "traefikservices", "TraefikService")

PARKED = "flagger.app/canary-service"
"""The canary's entry while it is removed from an adopted list, if it has more fields than the stable entry.

flagger stores the user's current entry each time it removes it. The original weights are written only once.
"""
ABSENT = "absent"
"""The original weight of an entry that the user did not write."""


class AdoptedList(Adopted):
    """A user's list. The canary has an entry in it only while its weight is not 0."""

    def opened(self, obj: Obj) -> Obj:
        """Add the canary's entry: the stored one, or a copy of the stable entry."""
        wanted: Obj = {"metadata": {"annotations": {PARKED: None}}} if PARKED in notes(obj) else {}
        listed = _listed(obj)
        found = [each for each in listed if _service(each) in names.services(self.canary)]
        if [_service(each) for each in found] in ([name] for name in stable_services(self.canary)):
            weight = self.weight(0) if WEIGHTS in notes(obj) else ABSENT
            entry = {**(_parked(obj) or found[0]), "name": names.canary_service(self.canary), "weight": weight}
            at = listed.index(found[0]) + 1
            wanted["spec"] = {"weighted": {"services": [*listed[:at], entry, *listed[at:]]}}
        return overlay(obj, wanted)  # type: ignore[no-any-return]

    def closed(self, obj: Obj) -> Obj:
        """Remove and store the canary's entry if its weight is 0."""
        ((stable, new, *_),) = self._rules(obj)
        if new["weight"] != self.weight(0):
            return obj
        alike = new == {**stable, "name": new["name"], "weight": new["weight"]}
        parked = {} if alike else {"metadata": {"annotations": {PARKED: json.dumps(new)}}}
        kept = [each for each in _listed(obj) if each is not new]
        return overlay(obj, {**parked, "spec": {"weighted": {"services": kept}}})  # type: ignore[no-any-return]

    def returned(self, obj: Obj) -> Obj:
        """Remove the canary's entry if the user did not write one."""
        kept = [each for each in _listed(obj) if each.get("weight") != ABSENT]
        return overlay(obj, {"spec": {"weighted": {"services": kept}}}) if kept else obj


class Traefik(Split):
    """Weighted round robin over two Services."""

    capabilities = Capabilities(weights=True, ports=True, adopt=True)
    kinds: tuple[Resource, ...] = (SERVICES,)
    adopting = AdoptedList
    unset = 1

    def others(self, canary: Canary) -> tuple[Ref, ...]:
        """The TraefikServices of the additional ports."""
        return tuple(SERVICES.ref(canary.metadata.namespace, name) for name, _ in port_names(canary)[1:])

    def render(self, canary: Canary, live: Live, rules: Sequence[Rule], options: RoutingOptions) -> tuple[Obj, ...]:
        """Render the TraefikService of the first port last."""
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
        return [_listed(obj)]

    def end(self, canary: Canary, obj: Obj) -> Writes:
        """Keep it, because IngressRoutes refer to it: route to the apex Service and remove the owner."""
        entry = next((each for each in _listed(obj) if each.get("name") == names.primary_service(canary)), None)
        if entry is None:
            return ()
        to_apex = [{**entry, "name": names.apex(canary), "weight": self.weight(100)}]
        return left(canary, obj, overlay(part(obj, "spec"), {"weighted": {"services": to_apex}}))

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The name of the entry's Service. None if it names another TraefikService."""
        return _service(backend)


def _service(backend: Obj) -> Any:
    return backend.get("name") if backend.get("kind", "Service") == "Service" else None


def _listed(obj: Obj) -> list[Obj]:
    return entries(part(part(obj, "spec"), "weighted"), "services")


def _parked(obj: Obj) -> Obj | None:
    try:
        found = json.loads(notes(obj).get(PARKED) or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
