"""Provider `skipper`: a copy of the user's Ingress with both Services as backends and weights as an annotation.

A predicate enables the copy: `Weight(100)` gives it precedence over the user's Ingress while the canary gets requests,
and `False()` disables it. flagger only reads the user's Ingress. See Skipper's documentation, "Ingress usage".
"""

from __future__ import annotations

import json
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Create, Delete, Obj, Ref, Resource, ref_of
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import OTHERS, owed, patch
from pyflagger.routing.ingresses import (
    INGRESSES,
    candidates,
    changes,
    led_to,
    shadow,
    shadow_of,
    shadow_ref,
    source_of,
    sources,
)
from pyflagger.routing.split import shared_out

WEIGHTS, PREDICATE = "zalando.org/backend-weights", "zalando.org/skipper-predicate"
FURTHER = "{ingress}-canary--{canary}"
"""Skipper joins the parts of a route's name by two underscores. The built-in checks find this name, too."""
ON, OFF = "Weight(100)", "False()"


class Skipper:
    """Weights as JSON in an annotation."""

    capabilities = Capabilities(weights=True, ports=True)
    kinds: tuple[Resource, ...] = (INGRESSES,)

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """The user's Ingress, the objects that show its ports, and both possible names of the copy."""
        return (*sources(canary), *candidates(canary, FURTHER)) if canary.spec.ingress_ref else ()

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """The split of the copy's annotation."""
        ours = shadow_of(canary, live, FURTHER)
        if ours is None:
            return None
        text = (ours["metadata"].get("annotations") or {}).get(WEIGHTS, "")
        (primary, _), (other, _) = shared_out(canary, ALL_PRIMARY)
        weights = _weights(text)
        shares = [weights.get(name, 0) for name in (primary, other)]
        if all(type(share) is int and share >= 0 for share in shares) and sum(shares) == 100:
            return Route(*shares)
        what = (
            f"{shadow_ref(canary, live, FURTHER)}: annotation {WEIGHTS} is {text!r}, with weights {primary} and {other}"
        )
        return Problem(Fault.CLUSTER, f"{what}: the sum must be 100", OTHERS)

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """Update the copy from the user's Ingress and keep its weights."""
        route = self.read(canary, live, options)
        return self._written(canary, live, route if isinstance(route, Route) else owed(canary))

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """Set both annotations."""
        if shadow_of(canary, live, FURTHER) is None:
            if route == ALL_PRIMARY:
                return ()
            text = f"ingress {shadow_ref(canary, live, FURTHER).name} does not exist"
            return Problem(Fault.CLUSTER, text, "flagger creates it again.")
        return self._written(canary, live, route)

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """Delete the copy. The user's Ingress then serves all visitors."""
        ours = shadow_of(canary, live, FURTHER)
        return (Delete(ref_of(ours)),) if ours is not None and names.is_owned(canary, ours) else ()

    def _written(self, canary: Canary, live: Live, route: Route) -> Writes | Problem:
        source = source_of(canary, live)
        if isinstance(source, Problem):
            return source
        ours, wanted = (
            shadow_of(canary, live, FURTHER),
            _render(canary, shadow_ref(canary, live, FURTHER), source, route),
        )
        if ours is None:
            return (Create(wanted),)
        body = changes(ours, wanted)
        return (patch(ours, body),) if body else ()


def _render(canary: Canary, ref: Ref, source: Obj, route: Route) -> Obj:
    shares = shared_out(canary, route)
    predicates = ((source["metadata"].get("annotations") or {}).get(PREDICATE) or "").split("&&")
    kept = [word for word in map(str.strip, predicates) if word not in ("", ON, OFF)]
    annotations = {
        WEIGHTS: json.dumps(dict(sorted(shares)), separators=(",", ":")),
        PREDICATE: " && ".join([ON if route.canary else OFF, *kept]),
    }

    def both(path: Obj) -> list[Obj]:
        return [led_to(path, name) for name, _ in shares]

    return shadow(canary, ref, source, both, lambda key: key in annotations, annotations)


def _weights(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
