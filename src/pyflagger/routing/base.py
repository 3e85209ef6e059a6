"""The interface of a traffic provider. Each provider has a module. Implementations never modify the raw objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Problem, Route
from pyflagger.objects import Obj, Ref, Resource, Write

Live: TypeAlias = Mapping[Ref, Obj | None]
Writes: TypeAlias = tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class RoutingOptions:
    """The operator's options that affect how routes are rendered."""

    annotation_prefix: str = "nginx.ingress.kubernetes.io"
    ingress_class: str = ""
    mesh_provider: str = ""
    """The provider of Canaries without spec.provider."""


Options = RoutingOptions
"""The name until 0.1. Plugins import it."""


@runtime_checkable
class Router(Protocol):
    """One traffic provider."""

    capabilities: Capabilities
    kinds: tuple[Resource, ...]
    """The API resources of the objects that it reads and writes."""

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """The objects that it needs. `live` has an entry for each."""

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """The current traffic split. None if there is no routing object yet."""

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """The writes that correct the routing objects and keep their live weights. Empty if nothing differs."""

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """The writes that set this split. Empty if it is set already. `everyone`: leave out match rules."""

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """The writes that restore the user's routing when the Canary is deleted."""


@runtime_checkable
class Waits(Protocol):
    """A provider whose data plane reports whether it serves the current routes."""

    def waiting(self, canary: Canary, live: Live, options: RoutingOptions) -> str:
        """Why it does not serve them yet, or empty. Until it does, flagger neither judges nor raises the weight."""


@runtime_checkable
class Learns(Protocol):
    """A provider whose data plane may lack features that the API has."""

    def able(self, canary: Canary, live: Live, options: RoutingOptions) -> Capabilities:
        """The capabilities of the data plane that serves the routes. Without a data plane, the provider's."""


@runtime_checkable
class Announces(Protocol):
    """A provider whose proxies may learn a route before its Services (see `announcing`)."""

    sections: Mapping[str, str]
    """The key of rules in a spec, and the key of backends in a rule: `{"rules": "backendRefs"}`."""

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The name of a backend's Service. For other backends, a value that is no name of a Service."""


@runtime_checkable
class TakesOver(Protocol):
    """A provider that changes the user's own routing objects, and restores them when the Canary is deleted."""

    def takes_over(self, canary: Canary, obj: Obj) -> bool:
        """Whether flagger may write to this object of another owner. All others block the Canary."""
