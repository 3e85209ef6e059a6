"""Provider `apisix`: an ApisixRoute beside the user's, with its rule for the apex Service split and ranked higher.

The user's route, named in `spec.routeRef`, is only read. See the documentation of APISIX's ingress controller,
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
from pyflagger.routing.base import Live, Options, Writes
from pyflagger.routing.generated import make
from pyflagger.routing.ingresses import LAST_APPLIED
from pyflagger.routing.split import Rule, Split, entries, shared_out

ROUTES = Resource("apisix.apache.org", "v2", "apisixroutes", "ApisixRoute")
PRIORITY = 10000
"""Over any that a user would give."""


class Apisix(Split):
    """A copied rule with two weighted backends."""

    capabilities = Capabilities(weights=True)
    kinds: tuple[Resource, ...] = (ROUTES,)

    def main(self, canary: Canary) -> Ref:
        """Named after the user's and the apex."""
        name = canary.spec.route_ref.name if canary.spec.route_ref else ""
        return ROUTES.ref(canary.metadata.namespace, f"{name}-{names.apex(canary)}-canary")

    def others(self, canary: Canary) -> tuple[Ref, ...]:
        """The user's."""
        ref = canary.spec.route_ref
        return (ROUTES.ref(canary.metadata.namespace, ref.name),) if ref else ()

    def render(self, canary: Canary, live: Live, rules: Sequence[Rule], options: Options) -> tuple[Obj, ...] | Problem:
        """Follows every change of the user's rule and metadata."""
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
        """Of each rule."""
        return [entries(rule, "backends") for rule in entries(part(obj, "spec"), "http")]

    def end(self, canary: Canary, obj: Obj) -> Writes:
        """Taken away before the Services that it leads to: without it the user's route serves alone."""
        return (Delete(ref_of(obj)),)

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """They name Services."""
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
    """The one rule of the user's that leads to the apex Service, and nowhere else."""
    name, apex = source["metadata"]["name"], names.apex(canary)
    for rule in entries(part(source, "spec"), "http"):
        backends = entries(rule, "backends")
        if any(backend.get("serviceName") == apex for backend in backends):
            if len(backends) == 1:
                return copy.deepcopy(rule)
            return _wrong(f"the rule of apisixroute {name} with {apex} has other backends", "Leave one backend in it.")
    text = f"Can not find {apex} backend in apisixroute {name}"
    return _wrong(text, f"Let a rule of it lead to {apex}, or correct spec.service.name.")


def _metadata(source: Obj) -> Obj:
    """Labels and annotations of the user's, but for what kubectl wrote, and what keeps Flux away."""
    annotations = {key: text for key, text in part(source["metadata"], "annotations").items() if key != LAST_APPLIED}
    return {
        "labels": dict(part(source["metadata"], "labels")),
        "annotations": annotations | names.TOOLKIT_ANNOTATIONS,
    }
