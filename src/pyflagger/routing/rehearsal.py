"""Find conditions that a router cannot express, by rendering every split of a release before the release begins.

This uses each provider's own rendering: it renders the routing objects in memory, then each split that the release may
need. `operator.observe` and `flagger lint` call it. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyflagger.api.canary import Analysis, Canary
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import ALL_CANARY, Fault, Problem, Route
from pyflagger.objects import Create, Delete, Obj, Ref, merge_apply, ref_of
from pyflagger.routing.accepted import unaccepted
from pyflagger.routing.base import Live, Router, RoutingOptions, Writes
from pyflagger.routing.limits import beyond

HALF, COPIED = Route(50, 50), Route(100, 0, mirrored=True)


def unsayable(router: Router, canary: Canary, live: Live, options: RoutingOptions) -> tuple[Problem, ...]:
    """The parts of the manifest that a route of this provider cannot express, without duplicates.

    Empty if `reconcile` returns a Problem, which is reported when the routes are written.
    """
    made = router.reconcile(canary, live, options)
    if isinstance(made, Problem):
        return ()
    found = dict.fromkeys((*_values(router, canary), *_limits(made)))
    there = {ref: _versioned(obj) for ref, obj in after(live, made).items()}
    for route in splits(canary):
        writes = router.set(canary, there, route, options)
        if not isinstance(writes, Problem):
            found |= dict.fromkeys(_limits(writes))
        elif writes.fault is Fault.MANIFEST:
            found[writes] = None
    return tuple(found)


def splits(canary: Canary) -> Iterator[Route]:
    """One split of each kind that a release of this Canary uses."""
    analysis = canary.spec.analysis or Analysis()
    if strategy(canary) == "canary":
        yield HALF
    if analysis.mirror:
        yield COPIED
    yield ALL_CANARY


def after(live: Live, writes: Writes) -> dict[Ref, Obj | None]:
    """The objects after these writes."""
    there: dict[Ref, Obj | None] = dict(live)
    for write in writes:
        if isinstance(write, Create):
            there[ref_of(write.obj)] = write.obj
        elif isinstance(write, Delete):
            there[write.ref] = None
        else:
            there[write.ref] = merge_apply(there.get(write.ref), write.body)
    return there


def _versioned(obj: Obj | None) -> Obj | None:
    """The object with a resource version, which every stored object has and routers rely on."""
    return obj and {**obj, "metadata": {"resourceVersion": "0", **obj["metadata"]}}


def _values(router: Router, canary: Canary) -> Iterator[Problem]:
    """The values of the manifest that the routes do not accept. An adopted route gets only weights."""
    if not (canary.spec.route_ref and router.capabilities.adopt):
        yield from unaccepted(canary, dict.fromkeys(kind.group for kind in router.kinds))


def _limits(writes: Writes) -> Iterator[Problem]:
    for write in writes:
        if not isinstance(write, Delete):
            yield from beyond(write.obj if isinstance(write, Create) else {"kind": write.ref.kind, **write.body})
