"""Stands in for a Gateway of the Gateway API: it accepts every HTTPRoute as soon as it changes."""

from __future__ import annotations

from collections.abc import Sequence

from pyflagger.objects import Obj, Patch, ref_of
from pyflagger_sandbox.controllers.cache import View
from pyflagger_sandbox.controllers.client import RESOURCES, Resource
from pyflagger_sandbox.controllers.manager import Controller
from pyflagger_sandbox.controllers.outcome import NOTHING, Outcome
from pyflagger_sandbox.controllers.owned import itself

NAME = "rehearsal.invalid/gateway"


def accept(view: View, namespace: str, name: str, now: float) -> Outcome:
    """Write that every parent of a route accepts its current generation."""
    route = view.get("HTTPRoute", namespace, name)
    if route is None:
        return NOTHING
    generation = route["metadata"].get("generation", 1)
    accepted = {"type": "Accepted", "status": "True", "observedGeneration": generation}
    parents = [
        {"parentRef": ref, "controllerName": NAME, "conditions": [accepted]}
        for ref in route["spec"].get("parentRefs") or ()
    ]
    if (route.get("status") or {}).get("parents") == parents:
        return NOTHING
    return Outcome((Patch(ref_of(route), {"status": {"parents": parents}}, subresource="status"),))


def controllers(definitions: Sequence[Obj]) -> tuple[Controller, ...]:
    """The Gateway, if HTTPRoutes are among the kinds of a cluster."""
    for each in definitions:
        if each["spec"]["names"]["kind"] == "HTTPRoute":
            version = f"{each['spec']['group']}/{each['spec']['versions'][0]['name']}"
            RESOURCES["HTTPRoute"] = Resource(version, "httproutes")
            return (Controller("gateway", {"HTTPRoute": itself}, accept),)
    return ()
