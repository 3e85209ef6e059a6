"""The conformance checks of traffic providers: what the operator relies on for every provider.

`check_router(make_router, scene)` runs every check that applies to the router's capabilities and raises one exception
that lists all failures. Each check starts on its own cluster. Its docstring says what goes wrong for users when the
check fails.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyflagger.api import cookies
from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Capabilities, Problem, Route
from pyflagger.objects import Create, Obj, Patch, Ref, Write, ref_of
from pyflagger.routing.base import Router
from pyflagger.testing.scene import RouterRun, Scene

RAMP = (10, 55, 100, 1, 99, 0)
LEAVES_MAX = 200
THEIRS = "example.com/theirs"
INSIDERS = [{"headers": {"x-insider": {"exact": "kit-insider"}}}]
CONDITIONS: tuple[tuple[dict[str, Any], str], ...] = (
    *(({"headers": {"x-kit": {how: "kit-value"}}}, "kit-value") for how in ("exact", "prefix", "suffix", "regex")),
    ({"queryParams": {"kit": {"exact": "kit-value"}}}, "kit-value"),
    ({"sourceLabels": {"kit": "kit-value"}}, "kit-value"),
)


class NotConforming(AssertionError):
    """The router does not do what the operator relies on. `failures` are (check, error) pairs."""

    def __init__(self, failures: tuple[tuple[str, str], ...]) -> None:
        super().__init__("\n".join(f"{name}: {text}" for name, text in failures))
        self.failures = failures


def check_router(make_router: Callable[[], Router], scene: Scene | None = None) -> tuple[str, ...]:
    """Run the checks of a router and return their names. Raises NotConforming."""
    scene, made, failures = scene or Scene(), [], []
    for check in CHECKS:
        router = make_router()
        assert isinstance(router, Router), "make_router() must return a Router: see pyflagger.routing.base"
        if not _applies(check, router.capabilities):
            continue
        name = check.__name__.removeprefix("_").replace("_", " ")
        made.append(name)
        try:
            check(router, scene)
        except Exception as error:
            failures.append((name, str(error) or type(error).__name__))
    if failures:
        raise NotConforming(tuple(failures))
    return tuple(made)


def _begun(router: Router, scene: Scene, canary: Canary | None = None) -> RouterRun:
    run = RouterRun(router, scene, canary or scene.canary())
    run.reconcile()
    return run


# Every provider -----------------------------------------------------------------------------------------------------


def _starts_with_all_traffic_on_the_primary(router: Router, scene: Scene) -> None:
    """A new Canary must not route users to a version that flagger has not judged."""
    run = RouterRun(router, scene, scene.canary())
    assert run.read() in (None, ALL_PRIMARY), f"before the first reconcile, read() returns {run.read()}"
    run.reconcile()
    assert run.read() == ALL_PRIMARY, f"after the first reconcile, read() returns {run.read()}"
    assert run.shaping() == (), "a second reconcile writes again; it must write nothing"


def _writes_only_what_it_reads(router: Router, scene: Scene) -> None:
    """flagger watches only what it reads. It would miss drift of other objects and write on stale data."""
    run = RouterRun(router, scene, scene.canary())
    reads = set(router.reads(run.canary, scene.options))
    kinds = {(kind.api_version, kind.kind) for kind in router.kinds}
    for ref in reads:
        assert (ref.api_version, ref.kind) in kinds, f"reads() returns {ref}, but its kind is not in `kinds`"
    for writes in _written(run):
        for ref in map(_ref, writes):
            assert ref in reads, f"the router writes {ref}, but reads() does not return it"


def _patches_name_the_version_they_saw(router: Router, scene: Scene) -> None:
    """Otherwise a patch silently overwrites a write that another controller made in between."""
    for writes in _written(RouterRun(router, scene, scene.canary())):
        for write in writes:
            if isinstance(write, Patch):
                assert write.resource_version, f"the patch of {write.ref} has no resourceVersion"


def _owns_what_it_makes(router: Router, scene: Scene) -> None:
    """An object without an owner outlives the Canary and routes to deleted Services."""
    run = RouterRun(router, scene, scene.canary())
    cluster_wide = {kind.kind for kind in router.kinds if not kind.namespaced}
    for writes in _written(run):
        for write in writes:
            if isinstance(write, Create) and write.obj["kind"] not in cluster_wide:
                owners = write.obj["metadata"].get("ownerReferences") or ()
                assert any(o.get("uid") == "u1" and o.get("controller") for o in owners), (
                    f"{_ref(write)} has no owner reference"
                )


def _leaves_the_users_objects_alone(router: Router, scene: Scene) -> None:
    """flagger must not change what the user applies: each would undo the other's changes."""
    users = [obj for obj in scene.objects if ref_of(obj) not in scene.shared]
    run = RouterRun(router, scene, scene.canary())
    for _ in _written(run):
        for obj in users:
            assert run.cluster.objects.get(ref_of(obj)) == obj, (
                f"the router changed {ref_of(obj)}, which belongs to the user"
            )


def _keeps_what_others_added(router: Router, scene: Scene) -> None:
    """Labels and annotations of other controllers (DNS, GitOps, gateways) must survive."""
    run = _begun(router, scene)
    for ref in run.ours:
        run.cluster.edit(ref, {"metadata": {"labels": {THEIRS: "label"}, "annotations": {THEIRS: "annotation"}}})
    assert run.shaping() == (), "the router treats labels and annotations of other controllers as drift"
    for weight in _weights(router):
        run.set(weight)
    for ref, obj in run.ours.items():
        for part, text in (("labels", "label"), ("annotations", "annotation")):
            assert (obj["metadata"].get(part) or {}).get(THEIRS) == text, f"{ref}: {part} of other controllers are lost"


def _finalizes_once_and_for_all(router: Router, scene: Scene) -> None:
    """Deletion must end: a second call after a crash changes nothing, even when objects are already deleted."""
    run = _begun(router, scene)
    run.write(run.finalizing())
    assert run.finalizing() == (), "a second finalize writes again"
    bare = RouterRun(router, scene, scene.canary())
    bare.cluster.objects.clear()
    bare.write(bare.finalizing())


# Weights ------------------------------------------------------------------------------------------------------------


def _reads_back_the_weights_it_sets(router: Router, scene: Scene) -> None:
    """The operator reads the traffic split from the objects."""
    run = _begun(router, scene)
    for weight in RAMP:
        run.set(weight)
        assert run.read() == Route(100 - weight, weight), f"after set({weight}), read() returns {run.read()}"


def _writes_nothing_twice(router: Router, scene: Scene) -> None:
    """Otherwise every reconciliation sends a request that changes nothing."""
    run = _begun(router, scene)
    for weight in RAMP:
        run.set(weight)
        assert run.splitting(weight) == (), f"set({weight}) writes again although the weight is already {weight}"
        assert run.shaping() == (), f"reconcile writes although nothing differs at weight {weight}"


def _repairs_drift_without_touching_weights(router: Router, scene: Scene) -> None:
    """When another controller changes a field during a release, the repair must not move users."""
    run = _begun(router, scene, scene.canary({"canaryWeight": 30}))
    run.set(30)
    for ref, spoilt, what in _drifts(run.ours):
        hurt = run.fork()
        hurt.cluster.replace(ref, spoilt)
        before = hurt.read()
        writes = hurt.shaping()
        if isinstance(before, Problem) or isinstance(writes, Problem):
            continue
        hurt.write(writes)
        found = hurt.read()
        if before is None:
            # The object holds no field of ours any longer, so the rule for deleted objects applies.
            assert isinstance(found, Route) and found.canary <= 30, f"{what}: after the repair, read() returns {found}"
        else:
            assert found == before, f"{what}: the repair moves traffic from {before} to {found}"
        assert hurt.shaping() == (), f"{what}: every reconcile repairs it again"


def _brings_back_what_was_deleted(router: Router, scene: Scene) -> None:
    """The router restores a deleted object with at most the weight that the release had reached."""
    run = _begun(router, scene, scene.canary({"canaryWeight": 30}))
    run.set(30)
    for ref in set(run.ours) - scene.shared:
        hurt = run.fork()
        del hurt.cluster.objects[ref]
        hurt.reconcile()
        found = hurt.read()
        assert isinstance(found, Route) and found.canary <= 30, (
            f"after {ref} was deleted at weight 30, reconcile restores {found}"
        )
        assert hurt.shaping() == (), f"after {ref} was deleted, every reconcile repairs it again"


def _survives_a_crash_between_two_writes(router: Router, scene: Scene) -> None:
    """After any number of the writes the split lies between old and new, and a second call completes it."""
    run = _begun(router, scene)
    old = 0
    for weight in RAMP:
        writes = run.splitting(weight)
        assert not isinstance(writes, Problem), writes.text
        for count in range(1, len(writes)):
            half = run.fork()
            half.write(writes[:count])
            found = half.read()
            if isinstance(found, Route):
                between = min(old, weight) <= found.canary <= max(old, weight)
                assert between, f"from {old} to {weight}, after {count} writes, the canary has {found.canary}"
            half.set(weight)
            assert half.read() == Route(100 - weight, weight), (
                f"after a crash, a second set({weight}) does not complete the change"
            )
        run.write(writes)
        old = weight


# Checks of capabilities ---------------------------------------------------------------------------------------------


def _routes_insiders_to_the_canary(router: Router, scene: Scene) -> None:
    """A/B: the route has the condition while the test runs, and not when all users move to the canary."""
    run = _begun(router, scene, _ab(scene, INSIDERS))
    run.set(100)
    assert run.read() == ALL_CANARY, f"with A/B conditions, read() returns {run.read()}"
    assert run.mentions("x-insider", "kit-insider"), "the route lacks the condition: all users reach the canary"
    assert run.shaping() == () and run.splitting(100) == (), "every set() writes the A/B conditions again"
    run.set(0)
    assert run.read() == ALL_PRIMARY, f"after the A/B conditions, read() returns {run.read()}"
    run.set(100, everyone=True)
    assert not run.mentions("kit-insider"), "set(everyone=True) leaves the condition in the route"


def _refuses_conditions_that_it_cannot_express(router: Router, scene: Scene) -> None:
    """A route without the condition matches all users."""
    for match, text in CONDITIONS:
        run = _begun(router, scene, _ab(scene, [match]))
        writes = run.splitting(100)
        if isinstance(writes, Problem):
            continue
        run.write(writes)
        assert run.mentions(text), f"the router neither writes nor rejects the condition {match}"


def _mirrors(router: Router, scene: Scene) -> None:
    """When read() does not return the mirror, flagger sets it forever and the release never continues."""
    spec = {"stepWeight": None, "maxWeight": None, "iterations": 5, "mirror": True}
    run = _begun(router, scene, scene.canary(analysis=spec))
    run.set(0, mirrored=True)
    mirrored = Route(100, 0, mirrored=True)
    assert run.read() == mirrored, f"after a mirror is set, read() returns {run.read()}"
    assert run.splitting(0, mirrored=True) == () and run.shaping() == (), "every set() writes the mirror again"
    run.set(0)
    assert run.read() == ALL_PRIMARY, "the router does not remove the mirror"


def _keeps_visitors_where_they_were(router: Router, scene: Scene) -> None:
    """Session affinity: the cookie of the release is in the route, and stays the same from weight to weight."""
    affinity = {"sessionAffinity": {"cookieName": "kit", "primaryCookieName": "kit-home"}}
    canary = scene.canary(analysis=affinity)
    run = _begun(router, scene, canary)
    for weight in (10, 20):
        run.set(weight)
        value = cookies.at(canary, weight).canary.partition("=")[2]
        assert run.mentions(value), f"at weight {weight} the route lacks the cookie of the release"
        assert run.read() == Route(100 - weight, weight), f"with cookies, read() returns {run.read()}"
        assert run.shaping() == (), "the router treats its cookie rules as drift"
    run.set(0)
    assert run.read() == ALL_PRIMARY, f"after cookies are removed, read() returns {run.read()}"


def _pins_testers(router: Router, scene: Scene) -> None:
    """Testers reach the canary at every weight above 0 and never at 0. They do not change what read() returns."""
    run = _begun(router, scene, scene.canary(analysis={"testers": INSIDERS}))
    for weight in (10, 50):
        run.set(weight)
        assert run.mentions("x-insider", "kit-insider"), f"at weight {weight} the route lacks the testers"
        assert run.read() == Route(100 - weight, weight), f"with testers, read() returns {run.read()}"
        assert run.shaping() == (), "the router treats its rules for testers as drift"
    run.set(0)
    assert run.read() == ALL_PRIMARY and not run.mentions("kit-insider"), "testers still reach the canary"


def _routes_several_ports_alike(router: Router, scene: Scene) -> None:
    """Every port has the same weight, because the operator reads only one."""
    ports = [{"name": "kit-grpc", "port": 9555}]
    run = _begun(router, scene, scene.canary(service={"ports": ports}))
    for weight in _weights(router):
        run.set(weight)
        assert run.read() == Route(100 - weight, weight), f"with several ports, read() returns {run.read()}"
        assert run.shaping() == () and run.splitting(weight) == (), "with several ports, every set() writes again"


Check = Callable[[Router, Scene], None]

_CAPABILITY: Mapping[Check, str] = {
    _reads_back_the_weights_it_sets: "weights",
    _writes_nothing_twice: "weights",
    _repairs_drift_without_touching_weights: "weights",
    _brings_back_what_was_deleted: "weights",
    _survives_a_crash_between_two_writes: "weights",
    _routes_insiders_to_the_canary: "ab",
    _refuses_conditions_that_it_cannot_express: "ab",
    _mirrors: "mirror",
    _keeps_visitors_where_they_were: "affinity",
    _pins_testers: "testers",
    _routes_several_ports_alike: "ports",
}
"""The capability that a check needs. Checks that are not listed run for every router."""

CHECKS: tuple[Check, ...] = (
    _starts_with_all_traffic_on_the_primary,
    _writes_only_what_it_reads,
    _patches_name_the_version_they_saw,
    _owns_what_it_makes,
    _leaves_the_users_objects_alone,
    _keeps_what_others_added,
    _finalizes_once_and_for_all,
    *_CAPABILITY,
)


def _applies(check: Check, capabilities: Capabilities) -> bool:
    return check not in _CAPABILITY or bool(getattr(capabilities, _CAPABILITY[check]))


def _ab(scene: Scene, match: list[dict[str, Any]]) -> Canary:
    return scene.canary(analysis={"stepWeight": None, "maxWeight": None, "iterations": 5, "match": match})


def _weights(router: Router) -> tuple[int, ...]:
    return RAMP if router.capabilities.weights else ()


def _written(run: RouterRun) -> Iterator[tuple[Write, ...]]:
    """The writes of a whole life cycle. Yields the writes of each call after carrying them out."""
    calls: list[Callable[[], tuple[Write, ...] | Problem]] = [run.shaping]
    calls += [lambda weight=weight: run.splitting(weight) for weight in _weights(run.router)]  # type: ignore[misc]
    for call in (*calls, run.finalizing):
        writes = call()
        assert not isinstance(writes, Problem), writes.text
        run.write(writes)
        yield writes


def _ref(write: Write) -> Ref:
    return ref_of(write.obj) if isinstance(write, Create) else write.ref


def _drifts(objects: Mapping[Ref, Obj]) -> Iterator[tuple[Ref, Obj, str]]:
    """Each way to change or remove one value of a spec: the reference, the changed object, a description."""
    for ref, obj in objects.items():
        for path in list(_paths(obj.get("spec"), ()))[:LEAVES_MAX]:
            for how, spoil in (("changed", _change), ("removed", _remove)):
                spoilt = copy.deepcopy(obj)
                spoil(spoilt["spec"], path)
                if spoilt != obj:
                    yield ref, spoilt, f"{ref}: spec.{'.'.join(map(str, path))} {how}"


def _paths(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _holder(spec: Any, path: tuple[str | int, ...]) -> Any:
    for key in path[:-1]:
        spec = spec[key]
    return spec


def _remove(spec: Any, path: tuple[str | int, ...]) -> None:
    del _holder(spec, path)[path[-1]]


def _change(spec: Any, path: tuple[str | int, ...]) -> None:
    holder, last = _holder(spec, path), path[-1]
    match holder[last]:
        case bool(value):
            holder[last] = not value
        case str(value):
            holder[last] = f"{value}-drifted"
        case int(value) | float(value):
            holder[last] = value + 1
