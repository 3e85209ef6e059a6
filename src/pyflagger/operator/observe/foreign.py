"""Objects that a Canary must not write: all objects of other owners, except for the documented takeovers.

`foreigners` finds them before any write, for `derived`. `refusal` is the last check of each write, for the executor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pyflagger.api import names
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.owners import foreign, owner_of
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Delete, Obj, Patch, Ref, Write, ref_of
from pyflagger.operator.observe.compiled import CompiledCanary
from pyflagger.routing import services
from pyflagger.routing.base import TakesOver
from pyflagger.routing.services import Role

Get = Callable[[Ref], Obj | None]
Rendered = Callable[[Ref, Get], tuple[Write, ...] | Problem]
"""Renders the writes for an object, with the other objects as the lookup returns them."""

CONFIGS = ("ConfigMap", "Secret")


def foreigners(compiled: CompiledCanary, get: Get, rendered: Rendered) -> tuple[Problem, ...]:
    """A refusal for each object of another owner with a derived name.

    A name is derived if flagger would write to the object if it were empty. flagger never writes to objects that it
    only reads, such as the user's Ingress.
    """
    found = []
    for ref in dict.fromkeys(compiled.others):
        obj = get(ref)
        if obj is None or names.is_owned(compiled.canary, obj) or _known(compiled, ref) or _taken_over(compiled, obj):
            continue
        if _derived(ref, obj, get, rendered):
            found.append(_told(compiled, obj))
    return tuple(found)


def _told(compiled: CompiledCanary, obj: Obj) -> Problem:
    """The refusal. If the provider can adopt routes, the advice mentions spec.routeRef."""
    problem, main = (
        foreign(compiled.canary, obj),
        compiled.router.kinds[0] if compiled.router and compiled.capabilities.adopt else None,
    )
    if main is None or (obj["apiVersion"], obj["kind"]) != (main.api_version, main.kind):
        return problem
    return replace(problem, todo=f"{problem.todo} Or name it in spec.routeRef: flagger then sets only its weights.")


def unbound(compiled: CompiledCanary, get: Get) -> tuple[Ref, ...]:
    """The Canary's objects that are not deleted with it, because their owner has an old uid. Skips terminating ones."""
    found = ((ref, get(ref)) for ref in sorted(compiled.interest) if ref.namespace and ref != compiled.target)
    return tuple(ref for ref, obj in found if obj is not None and _is_unbound(compiled, obj))


def bind(compiled: CompiledCanary, obj: Obj) -> Patch:
    """Set the owner reference to the current Canary and keep other references."""
    ours = names.owner_reference(compiled.canary)
    others = [each for each in obj["metadata"].get("ownerReferences") or () if not each.get("controller")]
    body = {"metadata": {"ownerReferences": [*others, ours]}}
    return Patch(ref_of(obj), body, obj["metadata"].get("resourceVersion", ""))


def _is_unbound(compiled: CompiledCanary, obj: Obj) -> bool:
    owned = names.is_owned(compiled.canary, obj) and "deletionTimestamp" not in obj["metadata"]
    return owned and not names.is_bound(compiled.canary, obj)


def refusal(compiled: CompiledCanary, write: Patch | Delete, live: Obj | None) -> Problem | None:
    """The reason why this write is refused: the object belongs to another owner. None if it is allowed."""
    if live is None:
        return None
    if _of_canaries(compiled, live) if write.ref.kind in CONFIGS else _permitted(compiled, write, live):
        return None
    verb = "delete" if isinstance(write, Delete) else "change"
    text = f"flagger refused to {verb} {write.ref}: it does not belong to canary {compiled.canary.metadata.name}"
    todo = "This is a bug in flagger: report it. flagger wrote nothing."
    return Problem(Fault.US, f"{text} ({owner_of(live)})", todo)


def _permitted(compiled: CompiledCanary, write: Patch | Delete, live: Obj) -> bool:
    if names.is_owned(compiled.canary, live):
        return True
    canary = CANARIES.ref(compiled.canary.metadata.namespace, compiled.canary.metadata.name)
    return isinstance(write, Patch) and (
        write.ref == canary or _known(compiled, write.ref) or _taken_over(compiled, live)
    )


def _known(compiled: CompiledCanary, ref: Ref) -> bool:
    return ref in (compiled.target, compiled.autoscaler)


def _taken_over(compiled: CompiledCanary, obj: Obj) -> bool:
    """Whether flagger may take this object over: the apex Service, or a route, and not one of another Canary."""
    if names.owning_canary(obj):
        return False
    ref, canary = ref_of(obj), compiled.canary
    if ref == services.ref(canary, Role.APEX) or _is_adopted(compiled, ref):
        return True
    return isinstance(compiled.router, TakesOver) and compiled.router.takes_over(canary, obj)


def _is_adopted(compiled: CompiledCanary, ref: Ref) -> bool:
    """Whether `spec.routeRef` names this route and the provider adopts it."""
    named = compiled.canary.spec.route_ref
    ours = compiled.router is not None and compiled.capabilities.adopt
    return (
        ours and named is not None and ref.name == named.name and ref.api_version.partition("/")[0] in _groups(compiled)
    )


def _groups(compiled: CompiledCanary) -> set[str]:
    return {kind.group for kind in compiled.router.kinds} if compiled.router else set()


def _of_canaries(compiled: CompiledCanary, config: Obj) -> bool:
    """Whether a copy of a ConfigMap or Secret belongs to a Canary. Several Canaries may share a copy."""
    owners = config["metadata"].get("ownerReferences") or ()
    return any(map(names.is_canary, owners)) or names.is_owned(compiled.canary, config)


def _derived(ref: Ref, obj: Obj, get: Get, rendered: Rendered) -> bool:
    hollow = {**{key: obj[key] for key in ("apiVersion", "kind", "metadata")}, "spec": {}}
    writes = rendered(ref, lambda other: hollow if other == ref else get(other))
    return not isinstance(writes, Problem) and any(isinstance(each, Patch) and each.ref == ref for each in writes)
