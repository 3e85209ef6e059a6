"""Providers `linkerd`, `osm` and `smi:…`: a TrafficSplit of the Service Mesh Interface, named after the apex Service.

The weights apply to whole Services, so all ports have the same split. See the SMI specification, "Traffic Split".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities
from pyflagger.objects import Delete, Obj, Resource, part, ref_of
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import apex_metadata, make
from pyflagger.routing.split import Rule, Split, entries, shared_out

GATEWAYS = "VirtualService.v1alpha3.networking.istio.io/spec.gateways"
"""The annotation that the SMI adapter for Istio reads."""


class Smi(Split):
    """One version of TrafficSplit."""

    capabilities = Capabilities(weights=True, ports=True, adopt=True)

    def __init__(self, version: str) -> None:
        self.kinds = (Resource("split.smi-spec.io", version, "trafficsplits", "TrafficSplit"),)

    def render(self, canary: Canary, live: Live, rules: Sequence[Rule], options: RoutingOptions) -> tuple[Obj, ...]:
        """Render the canary first, as the reference does."""
        (rule,) = rules
        primary, other = shared_out(canary, rule.route)
        backends = [{"service": name, "weight": self.weight(percent)} for name, percent in (other, primary)]
        metadata = apex_metadata(canary)
        metadata["annotations"] |= _gateways(canary, options)
        spec = {"service": _root(canary), "backends": backends}
        return (make(canary, self.kinds[0], names.apex(canary), spec, metadata),)

    def backends(self, obj: Obj) -> list[list[Obj]]:
        """The backends. A TrafficSplit has one rule."""
        return [entries(part(obj, "spec"), "backends")]

    def end(self, canary: Canary, obj: Obj) -> Writes:
        """Delete it before the Services that it routes to. Without it, the root Service routes to its own pods."""
        return (Delete(ref_of(obj)),)

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The name of the backend's Service."""
        return backend.get("service")

    def weight(self, percent: int) -> Any:
        """A quantity in v1alpha1, a number in later versions."""
        return str(percent) if self.kinds[0].version == "v1alpha1" else percent


def _root(canary: Canary) -> str:
    """The Service that clients call: the first host if it is a name in the namespace, else the apex."""
    hosts = canary.spec.service.hosts if canary.spec.service else ()
    host = hosts[0] if hosts else ""
    return host if host and "." not in host and "*" not in host else names.apex(canary)


def _gateways(canary: Canary, options: RoutingOptions) -> dict[str, str]:
    provider = names.resolve_provider(canary.spec.provider or options.mesh_provider)
    gateways = canary.spec.service.gateways if canary.spec.service else ()
    mesh = provider.split(":")[2:]
    return {GATEWAYS: json.dumps([*gateways])} if mesh == ["istio"] and gateways else {}
