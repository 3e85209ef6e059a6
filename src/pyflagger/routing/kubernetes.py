"""Provider `kubernetes`: no router. Users reach the new version when a promotion replaces the primary's pods.

The selector of the apex Service is the only switch. It selects the canary's pods only after a failed promotion. The
operator reads and sets it through `services`, so this module renders nothing.
"""

from __future__ import annotations

from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_PRIMARY, Capabilities, Problem, Route
from pyflagger.objects import Ref, Resource
from pyflagger.routing.base import Live, RoutingOptions, Writes


class Kubernetes:
    """Plain Services."""

    capabilities = Capabilities(weights=False, ports=True)
    kinds: tuple[Resource, ...] = ()

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """Nothing besides the Services."""
        return ()

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """All traffic goes to the primary."""
        return ALL_PRIMARY

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """There are no routing objects."""
        return ()

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """Nothing to split."""
        return ()

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """There is nothing to restore."""
        return ()
