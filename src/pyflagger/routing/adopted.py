"""Adopt mode: a route that is the user's own, of which only the weights between two Services are ours.

Used by the modules of meshes when `spec.routeRef` names a route. A shape is told by a function that lists the backends
of each rule. Taken over is a route that carries the weights it had before in an annotation.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import ALL_PRIMARY, Fault, Problem, Route
from pyflagger.objects import Obj, merge_diff, part
from pyflagger.routing.base import Writes
from pyflagger.routing.generated import owed, patch
from pyflagger.routing.rules import inconsistent

WEIGHTS = "flagger.app/original-weights"
Backends: TypeAlias = Callable[[Obj], Iterator[list[tuple[str, Obj]]]]


def read(canary: Canary, live: Obj | None, backends: Backends) -> Route | Problem | None:
    """The split of the first rule that has both Services; None until the route is taken over."""
    if live is None or WEIGHTS not in _annotations(live):
        return None
    for stable, new in _pairs(canary, live, backends):
        primary, other = stable.get("weight", 0), new.get("weight", 0)
        return inconsistent(_where(canary), (primary, other)) or Route(primary, other)
    return None


def reconcile(canary: Canary, live: Obj | None, kind: str, backends: Backends) -> Writes | Problem:
    """Every rule of ours at one split; what the route lacks is a problem that says what to add."""
    if problem := unsayable(canary):
        return problem
    route = read(canary, live, backends)
    return _written(canary, live, kind, route if isinstance(route, Route) else owed(canary), backends)


def set_weights(canary: Canary, live: Obj | None, kind: str, route: Route, backends: Backends) -> Writes | Problem:
    """This split, in every rule that has both Services."""
    if live is None and route == ALL_PRIMARY:
        return ()
    return _written(canary, live, kind, route, backends)


def finalize(canary: Canary, live: Obj | None, backends: Backends) -> Writes:
    """The weights that the route had; all to the primary where its rules have changed since."""
    text = _annotations(live).get(WEIGHTS) if live else None
    if live is None or text is None:
        return ()
    made = copy.deepcopy(live)
    pairs = list(_pairs(canary, made, backends))
    before = _stored(text, len(pairs))
    for pair, weights in zip(pairs, before, strict=True):
        for backend, weight in zip(pair, weights, strict=True):
            backend.pop("weight", None)
            if weight is not None:
                backend["weight"] = weight
    body = merge_diff(part(live, "spec"), part(made, "spec"))
    return (patch(live, {"metadata": {"annotations": {WEIGHTS: None}}, **({"spec": body} if body else {})}),)


def _written(canary: Canary, live: Obj | None, kind: str, route: Route, backends: Backends) -> Writes | Problem:
    if live is None:
        return absent(canary, kind)
    made = copy.deepcopy(live)
    pairs = list(_pairs(canary, made, backends))
    if not pairs:
        return lacking(canary, kind)
    before = [[backend.get("weight") for backend in pair] for pair in pairs]
    for stable, new in pairs:
        stable["weight"], new["weight"] = route.primary, route.canary
    body: Obj = {}
    if change := merge_diff(part(live, "spec"), part(made, "spec")):
        body["spec"] = change
    if WEIGHTS not in _annotations(live):
        body["metadata"] = {"annotations": {WEIGHTS: json.dumps(before)}}
    return (patch(live, body),) if body else ()


def _pairs(canary: Canary, route: Obj, backends: Backends) -> Iterator[tuple[Obj, Obj]]:
    """(stable, canary) of each rule that has both and nothing else."""
    stable = (names.primary_service(canary), names.apex(canary))
    for found in backends(route):
        old = [backend for name, backend in found if name in stable]
        new = [backend for name, backend in found if name == names.canary_service(canary)]
        if len(found) == 2 and len(old) == len(new) == 1:
            yield old[0], new[0]


def absent(canary: Canary, kind: str) -> Problem:
    """The route that is named is not there."""
    text = f"{kind} {_name(canary)} not found"
    return Problem(Fault.MANIFEST, text, f"Create {kind} {_name(canary)}, or correct spec.routeRef.", "spec.routeRef")


def lacking(canary: Canary, kind: str) -> Problem:
    """It has no rule that could be split."""
    primary, other = names.primary_service(canary), names.canary_service(canary)
    text = f"{kind} {_name(canary)} has no rule with the Services {primary} and {other} alone"
    todo = f"Let a rule send to {primary} with weight 100 and to {other} with weight 0."
    return Problem(Fault.MANIFEST, text, todo, "spec.routeRef")


def unsayable(canary: Canary) -> Problem | None:
    """Only weights are ours in a route of the user's own."""
    analysis = canary.spec.analysis
    if analysis is None:
        return None
    asked = {
        "match": strategy(canary) == "ab-testing",
        "testers": bool(analysis.testers),
        "sessionAffinity": analysis.session_affinity is not None,
        "mirror": analysis.mirror,
    }
    for field, wanted in asked.items():
        if wanted:
            path = f"spec.analysis.{field}"
            text = f"{path} cannot be used with spec.routeRef: only weights of your own route are changed"
            return Problem(Fault.MANIFEST, text, f"Remove spec.routeRef or {path}.", path)
    return None


def _stored(text: str, count: int) -> list[list[Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    fine = isinstance(found, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in found)
    return found if fine and len(found) == count else [[100, 0]] * count


def _where(canary: Canary) -> str:
    return f"route {_name(canary)}"


def _name(canary: Canary) -> str:
    name = canary.spec.route_ref.name if canary.spec.route_ref else ""
    return f"{name}.{canary.metadata.namespace}"


def _annotations(live: Obj) -> Obj:
    return part(part(live, "metadata"), "annotations")
