"""Writes are rendered from the latest live objects; a decision about older ones is dropped."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Fault, Problem
from pyflagger.api.selectors import Selector
from pyflagger.clock import LoopClock
from pyflagger.core.decision import Part, SetRoute
from pyflagger.objects import UNREAD, Create, Delete, Found, Obj, Patch, Ref, ref_of
from pyflagger.operator.act.render import Moved, Renderer
from pyflagger.operator.observe.compiled import compile_canary, settings_of
from pyflagger.operator.observe.derived import Derived
from pyflagger.operator.observe.situation import Seen
from pyflagger.operator.observe.store import Store
from pyflagger.operator.options import Options
from pyflagger.workloads.configs import NOTHING, ConfigRef, Tracked
from pyflagger.workloads.copies import State
from stage.manifests import canary, deployment, image, ingress, scaler, settings

OWNER = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "web", "uid": "u", "controller": True}
ENV = Ref("v1", "ConfigMap", "test", "web-env")
COPY = ENV._replace(name="web-env-primary")
TROUBLE = Problem(Fault.CLUSTER, "not allowed")
TRACKED = Tracked(
    {"configmap/web-env": ConfigRef("ConfigMap", "web-env", False)}, {"configmap/web-env": settings("web")}
)


def live(obj: Obj, *owners: Obj, **meta: Any) -> Obj:
    """An object of the cluster."""
    made = copy.deepcopy(obj)
    made["metadata"] |= {"namespace": "test", "resourceVersion": "5", "ownerReferences": list(owners), **meta}
    return made


def primary(*owners: Obj) -> Obj:
    """The primary that an earlier release has left."""
    made = deployment("web")
    made["spec"]["selector"]["matchLabels"] = made["spec"]["template"]["metadata"]["labels"] = {"app": "web-primary"}
    made["spec"]["replicas"] = 3
    return live(made, *(owners or (OWNER,)), name="web-primary")


TARGET, PRIMARY = live(deployment("web")), primary()
SELECTOR = Selector("app", {"app": "web"}, {"app": "web-primary"})


class Cluster:
    """The cache and the configs. `copies`: what is known about the copy of the ConfigMap."""

    def __init__(self, *objs: Obj, copies: Found = None, refused: Problem | None = None) -> None:
        self.live = {ref_of(each): each for each in objs}
        self.copies, self.refused = copies, refused
        here: Any = self
        clock = LoopClock()
        self.renderer = Renderer(Store(here, clock), here, settings_of(Options()), clock)

    def get(self, ref: Ref) -> Obj | None:
        """The cache."""
        return self.live.get(ref)

    def subscribe(self, listener: Any) -> None:
        """Nothing changes by itself."""

    def find(self, ref: Ref) -> Found:
        """The copy with its data."""
        return self.copies if ref == COPY else None

    def meta(self, ref: Ref) -> Obj | None:
        """The copy without its data."""
        found = self.find(ref)
        return found if isinstance(found, dict) else None

    def refusal(self, refs: Iterable[Ref]) -> Problem | None:
        """Why the copy cannot be read."""
        return self.refused if COPY in refs else None


def seen(provider: str = "nginx", spec: Obj | None = None, **facts: Any) -> Seen:
    """An observation of the Canary, with other facts where the test needs them."""
    raw = {**canary("web", provider=provider, **(spec or {})), "status": {"phase": "Progressing"}}
    raw["metadata"] = {"name": "web", "namespace": "test", "uid": "u"}
    usual: dict[str, Any] = {
        "selector": SELECTOR,
        "tracked": NOTHING,
        "revision": "",
        "matches": False,
        "restored_replicas": 1,
        "copies": State(),
    }
    situation: Any = None
    compiled = compile_canary(raw, None, settings_of(Options()))
    return Seen(compiled=compiled, situation=situation, raw=raw, derived=Derived(**(usual | facts)))


def revision(target: Obj = TARGET) -> str:
    """What a decision promotes."""
    kind = seen().compiled.workload
    assert kind is not None
    return kind.revision(target)


@pytest.mark.parametrize("pending", [(Create(PRIMARY),), (), TROUBLE], ids=["writes", "none", "problem"])
def test_a_part_is_what_the_decision_saw(pending: Any) -> None:
    """It is not rendered a second time, even if the objects are gone meanwhile."""
    assert Cluster().renderer.part(seen(made={Part.ROUTING: pending}), Part.ROUTING) == pending


def test_the_first_primary_has_its_copies() -> None:
    """The copies are created before the primary that needs them. An existing primary is not created again."""
    writes = Cluster(TARGET).renderer.part(seen(tracked=TRACKED), Part.PRIMARY_WORKLOAD)
    assert isinstance(writes, tuple)
    assert [write.obj["metadata"]["name"] for write in writes if isinstance(write, Create)] == [
        COPY.name,
        "web-primary",
    ]
    assert Cluster(TARGET, PRIMARY).renderer.part(seen(tracked=TRACKED), Part.PRIMARY_WORKLOAD) == ()


def test_a_promotion_copies_the_configs_first() -> None:
    """Or pods of the new version would start with the old data."""
    target = live(deployment("web"))
    target["spec"]["template"]["spec"]["containers"][0]["image"] = image("web", "2")
    cluster = Cluster(target, PRIMARY, copies=live({**settings("web"), "data": {"a": "old"}}, OWNER, name=COPY.name))
    writes = cluster.renderer.promotion(seen(tracked=TRACKED), revision(target))
    assert isinstance(writes, tuple)
    first, last = writes
    assert isinstance(first, Patch) and (first.ref, first.body["data"]) == (COPY, {"a": "b"})
    assert isinstance(last, Patch) and last.ref == ref_of(PRIMARY)
    assert last.body["spec"]["template"]["spec"]["containers"][0]["image"] == image("web", "2")


def test_a_promotion_without_a_primary_creates_it() -> None:
    """Someone deleted it."""
    writes = Cluster(TARGET).renderer.promotion(seen(), revision())
    assert isinstance(writes, tuple) and isinstance(writes[-1], Create)
    assert writes[-1].obj["metadata"]["name"] == "web-primary"


def test_a_primary_of_another_owner_is_a_problem() -> None:
    """Neither a promotion nor a first release writes to it."""
    cluster = Cluster(TARGET, primary({**OWNER, "name": "shop"}))
    for writes in (
        cluster.renderer.promotion(seen(), revision()),
        cluster.renderer.part(seen(), Part.PRIMARY_WORKLOAD),
    ):
        assert isinstance(writes, Problem) and "web-primary" in writes.text


@pytest.mark.parametrize(
    ("cluster", "facts"),
    [
        (Cluster(PRIMARY), {}),
        (Cluster(live(deployment("web")) | {"spec": deployment("other")["spec"]}, PRIMARY), {}),
        (Cluster(TARGET, PRIMARY), {"tracked": TROUBLE}),
        (Cluster(TARGET, PRIMARY, copies=UNREAD), {"tracked": TRACKED}),
    ],
    ids=["target gone", "target changed", "configs gone", "copies unread"],
)
def test_an_outdated_promotion_is_dropped(cluster: Cluster, facts: Obj) -> None:
    """flagger promotes only the revision that it analyzed."""
    with pytest.raises(Moved):
        cluster.renderer.promotion(seen(**facts), revision())


def test_copies_that_must_not_be_read_are_a_problem() -> None:
    """Without it the promotion would be tried forever."""
    cluster = Cluster(TARGET, PRIMARY, copies=UNREAD, refused=TROUBLE)
    assert cluster.renderer.promotion(seen(tracked=TRACKED), revision()) is TROUBLE


@pytest.mark.parametrize(("route", "app"), [(ALL_CANARY, "web"), (ALL_PRIMARY, "web-primary")])
def test_without_a_router_the_apex_selects_one_side(route: Any, app: str) -> None:
    """The provider `kubernetes` has only the selector of the Service."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "x"}}}
    writes = Cluster(TARGET, PRIMARY, live(service, OWNER)).renderer.route(seen("kubernetes"), SetRoute(route))
    assert isinstance(writes, tuple) and isinstance(writes[0], Patch)
    assert writes[0].body["spec"]["selector"]["app"] == app


@pytest.mark.parametrize(
    ("now", "moved"),
    [
        (seen("kubernetes", selector=TROUBLE), True),
        (seen("kubernetes", selector=None), False),
        (replace(seen(), compiled=replace(seen().compiled, router=None)), False),
    ],
    ids=["selector lost", "no selector", "no router"],
)
def test_a_route_that_cannot_be_set(now: Seen, moved: bool) -> None:
    """Nothing is written: a selector that cannot be read is no reason to send traffic elsewhere."""
    renderer = Cluster(TARGET, PRIMARY).renderer
    if moved:
        with pytest.raises(Moved):
            renderer.route(now, SetRoute(ALL_CANARY))
    else:
        assert renderer.route(now, SetRoute(ALL_CANARY)) == ()


def test_a_target_is_scaled_as_it_is_now() -> None:
    """None means to zero. Without the target the decision is dropped, and without a kind nothing is written."""
    renderer, nowhere = Cluster(TARGET).renderer, replace(seen(), compiled=replace(seen().compiled, workload=None))
    assert renderer.scale(seen(), 2) == (Patch(ref_of(TARGET), {"spec": {"replicas": 2}}),)
    assert renderer.scale(seen(), None) == (Patch(ref_of(TARGET), {"spec": {"replicas": 0}}),)
    assert renderer.scale(nowhere, 2) == ()
    with pytest.raises(Moved):
        Cluster().renderer.scale(seen(), 2)


def test_an_autoscaler_that_cannot_be_paused_is_left_alone() -> None:
    """A HorizontalPodAutoscaler has nothing to pause; a missing one neither."""
    ref = {"autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}}
    for cluster in (Cluster(TARGET, live(scaler("web"))), Cluster(TARGET)):
        assert cluster.renderer.pause(seen(spec=ref), True) == ()


def test_a_deletion_scales_the_target_to_the_primary() -> None:
    """It has the users' traffic next. A target that is gone is not waited for."""
    asleep = live(deployment("web"))
    asleep["spec"]["replicas"] = 0
    assert Cluster(asleep, PRIMARY).renderer.revert(seen(), "target") == (
        Patch(ref_of(TARGET), {"spec": {"replicas": 3}}),
    )
    assert Cluster(PRIMARY).renderer.revert(seen(), "target") == ()


@pytest.mark.parametrize(("owner", "written"), [((OWNER,), True), (({**OWNER, "name": "shop"},), False)])
def test_a_deletion_skips_objects_of_others(owner: tuple[Obj, ...], written: bool) -> None:
    """An apex Service that another Canary took over is not given a new selector."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    service |= {"spec": {"selector": {"app": "web-primary"}, "ports": [{"port": 80}]}}
    cluster = Cluster(TARGET, PRIMARY, live(ingress("web")), live(service, *owner))
    assert bool(cluster.renderer.revert(seen(), "apex-service")) == written


def test_objects_of_an_earlier_canary_get_the_new_owner() -> None:
    """Owners that are no controllers stay, and the target is not given an owner."""
    other = {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "x"}
    old = primary({**OWNER, "uid": "old"}, other)
    writes = Cluster(TARGET, old).renderer.part(seen(), Part.OWNERS)
    assert isinstance(writes, tuple) and [write.ref for write in writes if isinstance(write, Patch)] == [ref_of(old)]
    owners = writes[0].body["metadata"]["ownerReferences"]  # type: ignore[union-attr]
    assert owners[0] == other and [each["uid"] for each in owners] == ["x", "u"]


def test_a_copy_is_deleted_with_its_last_user() -> None:
    """While another Canary uses it, only this owner goes. A copy that is gone is no error."""
    other, stale = (
        {**OWNER, "name": "shop", "uid": "s", "controller": False},
        seen(copies=State(stale=frozenset({COPY}))),
    )
    shared, own = (live(settings("web"), *owners, name=COPY.name) for owners in ((OWNER, other), (OWNER,)))
    part = Part.STALE_CONFIGS
    assert Cluster(copies=own).renderer.part(stale, part) == (Delete(COPY, "5"),)
    patch = Patch(COPY, {"metadata": {"ownerReferences": [other]}}, "5")
    assert Cluster(copies=shared).renderer.part(stale, part) == (patch,)
    assert Cluster().renderer.part(stale, part) == ()


def test_lost_copies_are_restored() -> None:
    """With the data that was promoted; if that is not possible, the problem says why."""
    lost = seen(tracked=TRACKED, copies=State(lost={COPY: "configmap/web-env"}))
    writes = Cluster().renderer.part(lost, Part.PRIMARY_CONFIGS)
    assert isinstance(writes, tuple) and isinstance(writes[0], Create)
    assert (writes[0].obj["metadata"]["name"], writes[0].obj["data"]) == (COPY.name, {"a": "b"})
    assert Cluster().renderer.part(seen(copies=State(problem=TROUBLE)), Part.PRIMARY_CONFIGS) is TROUBLE
