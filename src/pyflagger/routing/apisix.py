"""Provider `apisix`: a copy of the user's ApisixRoute that splits the rule for the apex Service, at a higher priority.

`spec.routeRef` names the user's route, which flagger only reads. See the documentation of APISIX's ingress controller,
"ApisixRoute".
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Fault, Problem
from pyflagger.objects import Delete, Obj, Ref, Resource, part, ref_of
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import make
from pyflagger.routing.ingresses import LAST_APPLIED
from pyflagger.routing.split import Rule, Split, entries, shared_out

ROUTES = Resource("apisix.apache.org", "v2", "apisixroutes", "ApisixRoute")
PRIORITY = 10000
"""The priority of the copied rule, higher than any that a user is likely to set."""


class Apisix(Split):
    """A copied rule with two weighted backends."""

    capabilities = Capabilities(weights=True)
    kinds: tuple[Resource, ...] = (ROUTES,)

    def main(self, canary: Canary) -> Ref:
        """The copy. Its name combines the user's route and the apex."""
        name = canary.spec.route_ref.name if canary.spec.route_ref else ""
        return ROUTES.ref(canary.metadata.namespace, f"{name}-{names.apex(canary)}-canary")

    def others(self, canary: Canary) -> tuple[Ref, ...]:
        """The user's route."""
        ref = canary.spec.route_ref
        return (ROUTES.ref(canary.metadata.namespace, ref.name),) if ref else ()

    def render(
        self, canary: Canary, live: Live, rules: Sequence[Rule], options: RoutingOptions
    ) -> tuple[Obj, ...] | Problem:
        """Render the copy from the user's rule and metadata."""
        source = _source(canary, self.others(canary), live)
        if isinstance(source, Problem):
            return source
        rule = _rule(canary, source)
        if isinstance(rule, Problem):
            return rule
        (split,) = rules
        (backend,) = rule["backends"]
        backends = [
            {**backend, "serviceName": name, "weight": weight} for name, weight in shared_out(canary, split.route)
        ]
        spec = {"http": [{**rule, "priority": PRIORITY, "backends": backends}]}
        if stream := part(source, "spec").get("stream"):
            spec["stream"] = copy.deepcopy(stream)
        return (make(canary, ROUTES, self.main(canary).name, spec, _metadata(source)),)

    def backends(self, obj: Obj) -> list[list[Obj]]:
        """The backends of each rule."""
        return [entries(rule, "backends") for rule in entries(part(obj, "spec"), "http")]

    def end(self, canary: Canary, obj: Obj) -> Writes:
        """Delete it before the Services that it routes to. The user's route then serves all visitors."""
        return (Delete(ref_of(obj)),)

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The name of the backend's Service."""
        return backend.get("serviceName")


def _wrong(text: str, todo: str) -> Problem:
    return Problem(Fault.MANIFEST, text, todo, "spec.routeRef")


def _source(canary: Canary, refs: tuple[Ref, ...], live: Live) -> Obj | Problem:
    if not refs:
        return _wrong("apisix route selector is empty", "Name your ApisixRoute in spec.routeRef.")
    source = live.get(refs[0])
    if source is None:
        name = f"apisixroute {refs[0].name}.{refs[0].namespace}"
        return _wrong(f"{name} not found", f"Create {name}, or correct spec.routeRef.")
    return source


def _rule(canary: Canary, source: Obj) -> Obj | Problem:
    """The user's rule whose only backend is the apex Service."""
    name, apex = source["metadata"]["name"], names.apex(canary)
    for rule in entries(part(source, "spec"), "http"):
        backends = entries(rule, "backends")
        if any(backend.get("serviceName") == apex for backend in backends):
            if len(backends) == 1:
                return copy.deepcopy(rule)
            text = f"the rule of apisixroute {name} for {apex} has other backends"
            return _wrong(text, f"Make {apex} the only backend of that rule.")
    text = f"Can not find {apex} backend in apisixroute {name}"
    return _wrong(text, f"Add a rule with backend {apex}, or correct spec.service.name.")


def _metadata(source: Obj) -> Obj:
    """The user's labels and annotations without kubectl's, and the annotations that make Flux ignore the object."""
    annotations = {key: text for key, text in part(source["metadata"], "annotations").items() if key != LAST_APPLIED}
    return {
        "labels": dict(part(source["metadata"], "labels")),
        "annotations": annotations | names.TOOLKIT_ANNOTATIONS,
    }
