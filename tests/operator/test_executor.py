"""Actions are carried out in full, or the executor says why not; and objects of other owners stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_CANARY, Fault, Problem
from pyflagger.clock import LoopClock
from pyflagger.core.decision import (
    Action,
    Alert,
    Count,
    Ensure,
    Part,
    PauseAutoscaler,
    Promote,
    Reason,
    ReleaseFinalizer,
    Revert,
    Say,
    ScaleTarget,
    SetRoute,
    WriteStatus,
)
from pyflagger.kube.errors import Conflict, NotFound
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Create, Delete, Key, Obj, Patch, Ref, Write, ref_of
from pyflagger.operator.act.executor import Blocked, Executor
from pyflagger.operator.act.render import Moved
from pyflagger.operator.observe.compiled import compile_canary, settings_of
from pyflagger.operator.observe.situation import Seen
from pyflagger.operator.observe.store import Store
from pyflagger.operator.options import Options
from stage.manifests import canary

OWNER = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "web", "uid": "u", "controller": True}
OTHERS = "example.org/theirs"
OURS = "finalizer.flagger.app"
REF = CANARIES.ref("test", "web")
TOLD = Reason("advancing", "Advance web.test canary weight 10")


def obj(kind: str, name: str, *owners: Obj) -> Obj:
    """A live object of some owners."""
    meta = {"name": name, "namespace": "test", "resourceVersion": "5", "ownerReferences": list(owners)}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta}


SERVICE, CONFIG, THEIRS = (
    obj("Service", "web-primary", OWNER),
    obj("ConfigMap", "env-primary", OWNER),
    obj("Pod", "web"),
)


SETTINGS = settings_of(Options())


class Cluster:
    """What an executor uses, with a log of it in order: the cache, the API server, the announcer, the telemetry."""

    def __init__(self, *live: Obj, rendered: tuple[Write, ...] | Problem = ()) -> None:
        self.live: dict[Ref, Obj] = {ref_of(each): each for each in live}
        self.rendered = rendered
        self.alerted: list[Obj] = []
        """The condition of the alerts, if there are any."""
        self.fails: Exception | None = None
        self.done: list[tuple[Any, ...]] = []
        here: Any = self
        self.store = Store(here, LoopClock())
        renderer: Any = SimpleNamespace(**dict.fromkeys(("part", "promotion", "route", "scale", "pause", "revert")))
        for name in vars(renderer):
            setattr(renderer, name, lambda seen, *_, **__: self.rendered)
        configs: Any = SimpleNamespace(learn=self.config_learned, unlearn=self.config_unlearned)
        client: Any = SimpleNamespace(apply=self.write)
        publisher: Any = SimpleNamespace(fill=lambda wanted, live: wanted, answered=lambda sent, obj: None)
        self.executor = Executor(
            client, self.store, configs, renderer, here, here, here, publisher, here, SETTINGS, here
        )
        self.outbox = self

    def get(self, ref: Ref) -> Obj | None:
        """The cache, which lags behind every write."""
        return self.live.get(ref)

    def subscribe(self, listener: Any) -> None:
        """Nothing changes by itself."""

    async def write(self, write: Write) -> Obj | None:
        """The API server's answer has a newer version."""
        if self.fails:
            raise self.fails
        self.done.append(("write", write))
        if isinstance(write, Delete):
            return None
        was = write.obj if isinstance(write, Create) else self.live[write.ref]
        return {**was, "metadata": {**was["metadata"], "resourceVersion": "6"}}

    def config_learned(self, answer: Obj, ref: Ref) -> None:
        """The copy of a config was written."""
        self.done.append(("config", ref.name, answer["metadata"]["resourceVersion"]))

    def config_unlearned(self, ref: Ref) -> None:
        """An object was deleted."""
        self.done.append(("no config", ref.name))

    async def heard(self, canary: Canary) -> None:
        """The receivers of events have them."""
        self.done.append(("heard",))

    async def written(self, raw: Obj) -> None:
        """The Events are written."""
        self.done.append(("written",))

    def tell(self, canary: Canary, raw: Obj, say: Say) -> None:
        """A report."""
        self.done.append(("tell", say))

    def alert(self, canary: Canary, alert: Alert) -> None:
        """An alert."""
        self.done.append(("alert", alert))

    def stage(self, canary: Canary, alert: Alert) -> None:
        """An alert is kept until the decision is carried out."""
        self.done.append(("stage", alert))

    def conditions(self, key: Key, conditions: Sequence[Any]) -> list[Any]:
        """The conditions, with that of the alerts."""
        return [*conditions, *self.alerted]

    def finished(self, canary: Canary, outcome: str, analysis: str) -> None:
        """The count of releases."""
        self.done.append(("finished", outcome, analysis))

    def phase(self, canary: Canary, phase: str) -> None:
        """The gauge of the status."""
        self.done.append(("phase", phase))

    @property
    def writes(self) -> list[Write]:
        """The writes that the API server got."""
        return [what[1] for what in self.done if what[0] == "write"]


def raw(finalizers: tuple[str, ...] = (), status: Obj | None = None, **spec: Any) -> Obj:
    """The live Canary."""
    meta = {"name": "web", "namespace": "test", "uid": "u", "resourceVersion": "5", "finalizers": list(finalizers)}
    return {**canary("web", **spec), "metadata": meta, "status": status or {"phase": "Progressing", "canaryWeight": 10}}


def seen(live: Obj | None = None, taken: tuple[str, ...] = ()) -> Seen:
    """An observation of that Canary. `taken`: objects of the user that flagger is about to change."""
    situation: Any = SimpleNamespace(generated=SimpleNamespace(taken=taken))
    derived: Any = None
    compiled = compile_canary(live or raw(), None, SETTINGS)
    return Seen(compiled=compiled, situation=situation, raw=live or raw(), derived=derived)


RENDERED = [
    Ensure(Part.ROUTING),
    Promote("v1:2"),
    SetRoute(ALL_CANARY),
    ScaleTarget(2),
    PauseAutoscaler(True),
    Revert("target"),
]


def kind_of(action: Action) -> str:
    """The name of a case."""
    return type(action).__name__


@pytest.mark.parametrize("action", RENDERED, ids=kind_of)
async def test_rendered_writes_are_sent(action: Action) -> None:
    """All of it, in order, and each answer counts from now on, although the cache is behind."""
    writes = (Create(obj("Service", "web-canary", OWNER)), Patch(ref_of(SERVICE), {"spec": {}}))
    cluster = Cluster(SERVICE, rendered=writes)
    assert await cluster.executor.apply(seen(), action) == 2
    assert cluster.writes == list(writes)
    for name in ("web-canary", "web-primary"):
        known = cluster.store.get(Ref("v1", "Service", "test", name))
        assert known is not None and known["metadata"]["resourceVersion"] == "6"


@pytest.mark.parametrize("action", RENDERED, ids=kind_of)
async def test_a_problem_blocks_the_action(action: Action) -> None:
    """The problem reaches the caller as it is, and nothing is written."""
    problem = Problem(Fault.CLUSTER, "the name is taken", "Rename it.")
    cluster = Cluster(rendered=problem)
    with pytest.raises(Blocked) as caught:
        await cluster.executor.apply(seen(), action)
    assert caught.value.problem is problem and not cluster.writes


@pytest.mark.parametrize(
    ("live", "write"),
    [
        (THEIRS, Patch(ref_of(THEIRS), {"spec": {}})),
        (THEIRS, Delete(ref_of(THEIRS))),
        (obj("ConfigMap", "env"), Patch(Ref("v1", "ConfigMap", "test", "env"), {"data": {}})),
        (obj("Service", "web-primary", {**OWNER, "name": "shop"}), Delete(ref_of(SERVICE))),
        (raw(), Delete(REF)),
    ],
    ids=["change", "delete", "config", "other canary", "the canary"],
)
async def test_objects_of_other_owners_are_never_written(live: Obj, write: Write) -> None:
    """A write of flagger's that would do it is a bug of flagger, and the writes after it are dropped."""
    first = Patch(ref_of(CONFIG), {"data": {}})
    cluster = Cluster(CONFIG, live, rendered=(first, write, first))
    with pytest.raises(Blocked, match="flagger refused to") as caught:
        await cluster.executor.apply(seen(), Ensure(Part.ROUTING))
    assert caught.value.problem.fault is Fault.US and cluster.writes == [first]


async def test_a_deleted_object_is_gone() -> None:
    """For the store and for the configs, before the watch tells it."""
    cluster = Cluster(SERVICE, rendered=(Delete(ref_of(SERVICE)),))
    await cluster.executor.apply(seen(), Ensure(Part.STALE_CONFIGS))
    assert cluster.store.get(ref_of(SERVICE)) is None
    assert ("no config", "web-primary") in cluster.done


async def test_copies_of_configs_are_not_kept_in_the_store() -> None:
    """Their data is kept once, by the configs."""
    cluster = Cluster(CONFIG, rendered=(Patch(ref_of(CONFIG), {"data": {}}),))
    await cluster.executor.apply(seen(), Ensure(Part.PRIMARY_CONFIGS))
    assert ("config", "env-primary", "6") in cluster.done
    assert cluster.store.get(ref_of(CONFIG)) is CONFIG


@pytest.mark.parametrize(
    ("action", "taken", "before"),
    [
        (Promote("v1:2"), (), ["heard"]),
        (Ensure(Part.ROUTING), ("service web",), ["written"]),
        (SetRoute(ALL_CANARY), ("service web",), ["written"]),
        (Ensure(Part.ROUTING), (), []),
        (SetRoute(ALL_CANARY), (), []),
    ],
    ids=["promotion", "takeover", "takeover by a route", "own objects", "own routes"],
)
async def test_a_change_is_announced_first(action: Action, taken: tuple[str, ...], before: list[str]) -> None:
    """The receivers of events before the primary changes, and the Events before an object of the user changes."""
    cluster = Cluster(SERVICE, rendered=(Patch(ref_of(SERVICE), {}),))
    await cluster.executor.apply(seen(taken=taken), action)
    assert [what for what, *_ in cluster.done] == [*before, "write"]


@pytest.mark.parametrize(
    ("action", "revert", "held", "wanted"),
    [
        (Ensure(Part.FINALIZER), True, (OTHERS,), [OTHERS, OURS]),
        (Ensure(Part.FINALIZER), True, (OURS, OTHERS), [OTHERS, OURS]),
        (Ensure(Part.FINALIZER), False, (OURS, OTHERS), [OTHERS]),
        (ReleaseFinalizer(), True, (OURS, OTHERS), [OTHERS]),
        (ReleaseFinalizer(), True, (OURS,), None),
    ],
)
async def test_finalizers_of_others_stay(
    action: Action, revert: bool, held: tuple[str, ...], wanted: list[str] | None
) -> None:
    """The patch has the version of the list that it replaces, or another controller's finalizer would be lost."""
    live = raw(held, revertOnDeletion=revert)
    cluster = Cluster(live)
    assert await cluster.executor.apply(seen(live), action) == 1
    assert cluster.writes == [Patch(REF, {"metadata": {"finalizers": wanted}}, "5")]


async def test_a_canary_that_is_gone_has_no_finalizer() -> None:
    """That is no error. Other errors are."""
    cluster = Cluster(raw())
    cluster.fails = NotFound(Problem(Fault.CLUSTER, "not found"))
    assert await cluster.executor.apply(seen(), ReleaseFinalizer()) == 0
    cluster.fails = Conflict(Problem(Fault.CLUSTER, "has changed"))
    with pytest.raises(Conflict):
        await cluster.executor.apply(seen(), ReleaseFinalizer())


async def test_reports_write_nothing() -> None:
    """An event, an alert and a count are handed on, and are no writes."""
    cluster = Cluster()
    say, alert = Say("Normal", TOLD, "Progressing", "abc"), Alert("info", "started")
    for action in (say, alert, Count("success", "completed")):
        assert await cluster.executor.apply(seen(), action) == 0
    assert cluster.done == [("tell", say), ("alert", alert), ("stage", alert), ("finished", "success", "completed")]


@pytest.mark.parametrize(
    ("changed", "status", "body"),
    [
        ({"canary_weight": 20}, {"phase": "Progressing", "canaryWeight": 10}, {"canaryWeight": 20}),
        ({"canary_weight": 20}, {"phase": "Progressing", "canaryWeight": 10, "theirs": 1}, {"canaryWeight": 20}),
    ],
    ids=["ours", "unknown fields stay"],
)
async def test_a_status_is_a_patch_of_what_differs(changed: Obj, status: Obj, body: Obj) -> None:
    """With the version of the Canary, and only for its status. A second write of the same changes nothing."""
    live = raw(status=status)
    cluster, now = Cluster(live), seen(live)
    whole = now.compiled.canary.status.to_wire()
    live["status"] = {**whole, **status}
    wanted = now.compiled.canary.status.model_copy(update=changed)
    assert await cluster.executor.apply(now, WriteStatus(wanted)) == 1
    assert cluster.writes == [Patch(REF, {"status": body}, "5", "status")]
    assert ("phase", "Progressing") in cluster.done
    assert await cluster.executor.apply(now, WriteStatus(now.compiled.canary.status)) == 0


@pytest.mark.parametrize("action", [Ensure(Part.FINALIZER), ReleaseFinalizer()], ids=kind_of)
async def test_a_canary_that_is_not_known_any_more(action: Action) -> None:
    """The decision is dropped: observe again."""
    with pytest.raises(Moved):
        await Cluster().executor.apply(seen(), action)
    with pytest.raises(Moved):
        await Cluster().executor.apply(seen(), WriteStatus(seen().compiled.canary.status))
