"""Provider `kubernetes`: no router at all. Users reach the new version when the primary's pods are replaced.

The apex Service is the only switch there is; it is turned to the canary's pods only when a promotion fails. What it
selects is read and set by the operator through `services`, so this module renders nothing.
"""

from __future__ import annotations

from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_PRIMARY, Capabilities, Problem, Route
from pyflagger.objects import Ref, Resource
from pyflagger.routing.base import Live, Options, Writes


class Kubernetes:
    """Plain Services."""

    capabilities = Capabilities(weights=False, ports=True)
    kinds: tuple[Resource, ...] = ()

    def reads(self, canary: Canary, options: Options) -> tuple[Ref, ...]:
        """Nothing beside the Services."""
        return ()

    def read(self, canary: Canary, live: Live, options: Options) -> Route | Problem | None:
        """Everybody is on the primary."""
        return ALL_PRIMARY

    def reconcile(self, canary: Canary, live: Live, options: Options) -> Writes | Problem:
        """Nothing to keep."""
        return ()

    def set(
        self, canary: Canary, live: Live, route: Route, options: Options, *, everyone: bool = False
    ) -> Writes | Problem:
        """Nothing to split."""
        return ()

    def finalize(self, canary: Canary, live: Live, options: Options) -> Writes:
        """Nothing to give back."""
        return ()
