"""What the operator asks of a traffic provider. Implemented by a module a provider; objects are raw, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Problem, Route
from pyflagger.objects import Obj, Ref, Resource, Write

Live: TypeAlias = Mapping[Ref, Obj | None]
Writes: TypeAlias = tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """The operator's options that decide how routes are rendered."""

    annotation_prefix: str = "nginx.ingress.kubernetes.io"
    ingress_class: str = ""
    mesh_provider: str = ""
    """The operator's provider for Canaries that name none."""


@runtime_checkable
class Router(Protocol):
    """One traffic provider."""

    capabilities: Capabilities
    kinds: tuple[Resource, ...]
    """Where the objects that it reads and writes live in the API."""

    def reads(self, canary: Canary, options: Options) -> tuple[Ref, ...]:
        """The objects that it needs to see; `live` has an entry for each."""

    def read(self, canary: Canary, live: Live, options: Options) -> Route | Problem | None:
        """How traffic is split now; None when there is no routing object yet."""

    def reconcile(self, canary: Canary, live: Live, options: Options) -> Writes | Problem:
        """What brings the routing objects into shape, live weights kept; empty when they are."""

    def set(
        self, canary: Canary, live: Live, route: Route, options: Options, *, everyone: bool = False
    ) -> Writes | Problem:
        """What splits traffic like this; empty when it is split so. `everyone`: match rules are left out."""

    def finalize(self, canary: Canary, live: Live, options: Options) -> Writes:
        """What gives routing back to the user on deletion."""


@runtime_checkable
class Waits(Protocol):
    """A provider that hears from the data plane whether it serves the routes as they are."""

    def waiting(self, canary: Canary, live: Live, options: Options) -> str:
        """Why it does not do so yet; empty when it does. Weights are not judged, and not raised, before."""


@runtime_checkable
class Learns(Protocol):
    """A provider that hears from the data plane what it cannot do, though the API can say it."""

    def able(self, canary: Canary, live: Live, options: Options) -> Capabilities:
        """What can be asked of the data plane that serves the routes; all that the provider can while nobody does."""


@runtime_checkable
class TakesOver(Protocol):
    """A provider that changes routing objects of the user's own, and gives them back as they were."""

    def takes_over(self, canary: Canary, obj: Obj) -> bool:
        """Whether this object, which is not the Canary's, may be written; every other one blocks the Canary."""
