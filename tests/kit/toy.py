"""A router that conforms, for a provider that does not exist: one object a port, with everything a provider can do."""

from __future__ import annotations

from typing import Any

from pyflagger.api import cookies, names
from pyflagger.api.canary import Canary
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Delete, Obj, Ref, Resource
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import brought_about, make, owed

SPLITS = Resource("example.com", "v1", "splits", "Split")
WHAT_IT_CANNOT = ("prefix", "suffix", "regex")


class Toy:
    """Conforms. Each broken router of the tests changes one of its methods."""

    capabilities = Capabilities(ab=True, mirror=True, affinity=True, ports=True, testers=True)
    kinds: tuple[Resource, ...] = (SPLITS,)

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """One Split a port."""
        return tuple(SPLITS.ref(canary.metadata.namespace, name) for name in self.names(canary))

    def names(self, canary: Canary) -> list[str]:
        """The main port's first."""
        service = canary.spec.service
        apex = names.apex(canary)
        return [apex, *(f"{apex}-{port.name}" for port in (service.ports if service else ()))]

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """By the main port's."""
        first = live.get(self.reads(canary, options)[0])
        return None if first is None else self.route(first["spec"])

    def route(self, spec: Obj) -> Route | Problem:
        """The split that a spec says."""
        weights = [backend.get("weight") for backend in spec.get("backends") or ()]
        if len(weights) != 2 or any(type(weight) is not int for weight in weights) or sum(weights) != 100:
            return Problem(Fault.CLUSTER, f"backends have weights {weights}, which are not two that make 100")
        if spec.get("rules"):
            return ALL_CANARY
        return Route(weights[0], weights[1], bool(spec.get("mirror")))

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """As it is wanted at the weights that it has."""
        now = self.read(canary, live, options)
        if isinstance(now, Problem):
            return now
        route = owed(canary) if now is None and strategy(canary) != "ab-testing" else now or ALL_PRIMARY
        return self.set(canary, live, route, options)

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """Every port alike."""
        spec = self.spec(canary, route, everyone)
        if isinstance(spec, Problem):
            return spec
        wanted = [(ref, make(canary, SPLITS, ref.name, spec)) for ref in self.reads(canary, options)]
        return tuple(write for ref, obj in wanted for write in brought_about(live.get(ref), obj))

    def spec(self, canary: Canary, route: Route, everyone: bool) -> Obj | Problem:
        """A whole spec."""
        analysis = canary.spec.analysis
        ab = strategy(canary) == "ab-testing" and route.canary > 0 and not everyone
        rules: list[Any] | Problem = self.conditions(analysis.match) if ab and analysis else []
        pinned: list[Any] | Problem = (
            self.conditions(analysis.testers) if analysis and route.canary > 0 and not everyone else []
        )
        for found in (rules, pinned):
            if isinstance(found, Problem):
                return found
        weights = (100, 0) if ab else (route.primary, route.canary)
        kept = cookies.at(canary, route.canary)
        return {
            "host": names.apex(canary),
            "backends": [
                {"service": service(canary), "weight": weight}
                for service, weight in zip((names.primary_service, names.canary_service), weights, strict=True)
            ],
            "rules": rules or None,
            "pinned": pinned or None,
            "mirror": True if route.mirrored else None,
            "cookies": [kept.canary, kept.primary] if kept.canary else None,
        }

    def conditions(self, matches: Any) -> list[Any] | Problem:
        """Exact headers; the rest is refused."""
        for match in matches:
            odd = [way for how in match.headers.values() for way in WHAT_IT_CANNOT if getattr(how, way) is not None]
            if odd or match.query_params or match.source_labels:
                return Problem(Fault.MANIFEST, "only exact headers can be matched")
        return [{name: how.exact for name, how in match.headers.items()} for match in matches]

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """Ours go at once."""
        return tuple(Delete(ref) for ref in self.reads(canary, options) if live.get(ref) is not None)
