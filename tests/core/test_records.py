"""The records of releases: when they open, what they hold, and how they end."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import EVERYTHING, KUBERNETES, MESH, START, World, canary, hook, ready_world
from pyflagger.api.canary import CanaryStatus, Phase
from pyflagger.api.durations import stamp
from pyflagger.api.published import ReleaseStatus
from pyflagger.core.decision import CloseRecord, DropRecords, NoteRounds, OpenRecord, WriteStatus
from pyflagger.core.situation import NoData

RATE = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
LAG = {"name": "lag", "query": "lag", "thresholdRange": {"max": 5}}
ODD = {"name": "odd"}
METRICS: dict[str, Any] = {"stepWeight": 20, "maxWeight": 40, "metrics": [RATE]}
KINDS = (OpenRecord, NoteRounds, CloseRecord, DropRecords)


def written(world: World) -> list[str]:
    """The actions on records, by name."""
    return [type(action).__name__ for action in world.actions if isinstance(action, KINDS)]


# How releases end ----------------------------------------------------------------------------------------------------


def test_a_good_release() -> None:
    """Opened, and closed with its rounds; the last one is promoted."""
    world = ready_world(METRICS).change("v1:r2").until(Phase.SUCCEEDED)
    assert world.outcomes == ["Initialized", "Promoted"] and written(world) == ["OpenRecord", "CloseRecord"]
    spec, status = world.records[2]["spec"], world.records[2]["status"]
    assert spec["from"] == {"number": 1, "revision": "v1:r1"} and spec["cause"] == "template"
    assert spec["plan"]["weights"] == [20, 40] and spec["checks"] == [
        {"name": RATE["name"], "source": "builtin", "window": "1m", "min": 99.0}
    ]
    assert [(each["weight"], each["end"]) for each in status["rounds"]] == [(20, "advanced"), (40, "promoted")]
    assert (status["weight"], status["template"], status["reason"]["code"]) == (40, "v1:r2", "completed")


def test_a_bad_release() -> None:
    """The text says what failed. It keeps no template."""
    world = ready_world({**METRICS, "threshold": 1}, metrics={RATE["name"]: 1}).change("v1:r2").until(Phase.FAILED)
    status = world.records[2]["status"]
    assert (status["outcome"], status["failedChecks"]) == ("RolledBack", 1) and "template" not in status
    assert "success rate 1.00% < 99%" in status["reason"]["text"] and status["rounds"][-1]["end"] == "halted"


def test_another_revision_and_the_promoted_one() -> None:
    """One is superseded by the next, which is cancelled."""
    world = (
        ready_world(METRICS).change("v1:r2").run(15).change("v1:r3").run(15).change("v1:r1").until(Phase.INITIALIZED)
    )
    assert world.outcomes == ["Initialized", "Superseded", "Cancelled"]


def test_a_revision_that_was_withdrawn_before_its_gate_opened() -> None:
    """It is cancelled; so is one whose refused revision comes back. One that a hook stops is rolled back."""
    gate = {**METRICS, "webhooks": [hook("confirm-rollout")]}
    world = ready_world(gate, hooks={"confirm-rollout": "no"}).change("v1:r2").until(Phase.WAITING)
    world.run(15).change("v1:r1")
    assert world.until(Phase.INITIALIZED).outcomes == ["Initialized", "Cancelled"]
    (wait,) = world.records[2]["status"]["waits"]
    assert wait["code"] == "GateClosed" and wait["from"] < wait["to"]

    world = ready_world({**gate, "threshold": 1, "metrics": [RATE]}, metrics={RATE["name"]: 1})
    world.change("v1:r2").until(Phase.FAILED)
    world.hooks = {"confirm-rollout": "no"}
    world.change("v1:r3").until(Phase.WAITING).change("v1:r2").until(Phase.FAILED)
    assert world.outcomes == ["Initialized", "RolledBack", "Cancelled"]

    stopped = {**gate, "webhooks": [hook("confirm-rollout"), hook("rollback")]}
    world = ready_world(stopped, hooks={"confirm-rollout": "no", "rollback": "no"}).change("v1:r2").until(Phase.WAITING)
    world.hooks["rollback"] = True
    assert world.until(Phase.FAILED).outcomes == ["Initialized", "RolledBack"]


def test_another_revision_behind_the_gate() -> None:
    """It keeps the number, and the record is about the one that starts."""
    world = ready_world({**METRICS, "webhooks": [hook("confirm-rollout")]}, hooks={"confirm-rollout": "no"})
    world.change("v1:r2").until(Phase.WAITING).change("v1:r3")
    world.hooks["confirm-rollout"] = True
    world.until(Phase.SUCCEEDED)
    assert world.outcomes == ["Initialized", "Promoted"] and world.records[2]["spec"]["revision"] == "v1:r3"
    assert written(world) == ["OpenRecord", "NoteRounds", "CloseRecord"]


def test_a_canary_that_was_deleted_and_put_back() -> None:
    """What became of the release is not known."""
    world = ready_world(METRICS).change("v1:r2").run(15)
    status = world.status.but(phase=Phase.TERMINATING)
    world.canary = world.canary.model_copy(update={"status": status})
    world.run(200)
    assert world.outcomes[:2] == ["Initialized", "Lost"] and "Running" not in world.outcomes


def test_a_canary_that_is_being_deleted() -> None:
    """The API server deletes its records with it: nothing is written to them."""
    world = ready_world(METRICS, spec={"revertOnDeletion": True}).change("v1:r2").run(15).fresh_record()
    world.delete().run(60)
    assert world.gone and written(world) == []


# What they hold ------------------------------------------------------------------------------------------------------


def test_configs_are_a_cause() -> None:
    """Those that changed are named."""
    world = ready_world(METRICS, configs={"configmap/a": "1", "secret/b": "1"})
    world.configs = {"configmap/a": "2", "secret/b": "1", "configmap/c": "1"}
    world.until(Phase.SUCCEEDED)
    assert world.records[2]["spec"]["cause"] == "configs configmap/a, configmap/c"


@pytest.mark.parametrize(
    ("analysis", "facts", "plan"),
    [
        ({"stepWeights": [10, 30]}, {}, {"strategy": "canary", "weights": [10, 30]}),
        ({"stepWeight": 60}, {}, {"strategy": "canary", "weights": [60, 100]}),
        ({"stepWeight": 50, "stepWeightPromotion": 40}, MESH, {"weights": [50, 100], "promotion": [40, 80, 100]}),
        ({"iterations": 3}, {}, {"strategy": "blue-green", "iterations": 3}),
        ({}, {}, {"strategy": "canary"}),
        ({"iterations": 2}, KUBERNETES, {"strategy": "blue-green", "iterations": 2, "provider": "kubernetes"}),
    ],
)
def test_plans(analysis: dict[str, Any], facts: dict[str, Any], plan: dict[str, Any]) -> None:
    """As they are at the start."""
    world = ready_world(analysis, **facts).change("v1:r2").run(1)
    found = world.records[2]["spec"]["plan"]
    assert found.items() >= plan.items() and (("weights" in found) == ("weights" in plan))


def test_checks_and_hooks() -> None:
    """Inline queries as in the manifest, hooks without what may be secret, and a metric that checks nothing."""
    gate = {**hook("rollout"), "url": "http://me:secret@hooks/x?token=secret"}
    world = ready_world({**METRICS, "metrics": [LAG, ODD], "webhooks": [gate]}).change("v1:r2").run(1)
    spec = world.records[2]["spec"]
    assert spec["checks"][0] == {"name": "lag", "source": "query", "query": "lag", "window": "1m", "max": 5.0}
    assert spec["checks"][1] == {"name": "odd", "window": "1m"}
    assert spec["hooks"] == [{"name": "rollout", "type": "rollout", "url": "http://hooks/x"}]


def test_waits_for_pods() -> None:
    """Once they are over, with their reason."""
    world = ready_world(METRICS, rollout=40.0).change("v1:r2").until(Phase.SUCCEEDED)
    waits = world.records[2]["status"]["waits"]
    assert [each["code"] for each in waits] == ["CanaryNotReady", "PrimaryNotReady"]
    assert all(each["from"] < each["to"] and each["text"] for each in waits)


def test_rounds_that_hold() -> None:
    """Without data that is waited for, the step is held; at a closed gate, rounds go on."""
    silent = {**RATE, "noData": "wait"}
    world = ready_world({**METRICS, "metrics": [silent]}, metrics={RATE["name"]: [NoData(), NoData(), 100.0]})
    world.change("v1:r2").until(Phase.SUCCEEDED)
    ends = [each["end"] for each in world.records[2]["status"]["rounds"]]
    assert ends == ["held", "held", "advanced", "promoted"]
    gates = {**METRICS, "webhooks": [hook("confirm-promotion")]}
    world = ready_world(gates, hooks={"confirm-promotion": ["no", "no", True]}).change("v1:r2").until(Phase.SUCCEEDED)
    assert [each["end"] for each in world.records[2]["status"]["rounds"]] == ["advanced", "gate", "gate", "promoted"]


def test_rounds_are_written_once_a_minute() -> None:
    """However many there are, and none is missing in the end."""
    world = ready_world({"stepWeight": 1, "maxWeight": 30, "metrics": [RATE]}).change("v1:r2").until(Phase.SUCCEEDED)
    rounds = world.records[2]["status"]["rounds"]
    assert len(rounds) == 30 and len({each["at"] for each in rounds}) == 30
    assert 4 <= written(world).count("NoteRounds") <= 5


def test_rounds_after_a_death() -> None:
    """The last one is in the status. Others since the last write are lost, and the record says for which time."""
    world = ready_world({"stepWeight": 1, "maxWeight": 30, "metrics": [RATE]}).change("v1:r2").run(125)
    before = len(world.records[2]["status"]["rounds"])
    world.run(50).restart()
    world.until(Phase.SUCCEEDED)
    rounds = world.records[2]["status"]["rounds"]
    (gap,) = (each["gap"] for each in rounds if "gap" in each)
    assert gap[0] == rounds[before - 1]["at"] and gap[1] == rounds[before + 1]["at"] and gap[0] < gap[1]


def test_a_death_before_the_first_round() -> None:
    """There is none in the status either."""
    world = ready_world(METRICS).change("v1:r2").run(1)
    world.restart()
    assert world.until(Phase.SUCCEEDED).outcomes == ["Initialized", "Promoted"]
    assert len(world.records[2]["status"]["rounds"]) == 2


# Which there are -----------------------------------------------------------------------------------------------------


def test_what_is_kept() -> None:
    """So many, and those of the promoted release and of the one before it."""
    world = ready_world(METRICS, keep=2).change("v1:r2").until(Phase.SUCCEEDED)
    for at in range(3, 6):
        world.metrics = {RATE["name"]: 1}
        world.change(f"v1:r{at}").until(Phase.PROGRESSING).until(Phase.FAILED)
    assert sorted(world.records) == [1, 2, 4, 5]
    world.metrics = {}
    world.change("v1:r6").until(Phase.PROGRESSING).until(Phase.SUCCEEDED)
    assert sorted(world.records) == [2, 5, 6]


def test_none() -> None:
    """Without a history, no decision knows of records, and releases have their numbers all the same."""
    world = ready_world(METRICS, keep=0).change("v1:r2").until(Phase.SUCCEEDED)
    assert world.records == {} and written(world) == [] and world.memory.notes.rounds == ()
    assert world.status.release is not None and world.status.release.number == 2


def test_a_number_that_is_taken() -> None:
    """The operator died between the record and the status, and the revision is another one now: it is lost."""
    world = ready_world(METRICS)
    world.records[2] = {"spec": {"number": 2, "revision": "v1:other"}, "status": {"outcome": "Running"}}
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert world.outcomes == ["Initialized", "Lost", "Promoted"]
    world.records[4] = {"spec": {"number": 4, "revision": "v1:other"}, "status": {"outcome": "Promoted"}}
    world.change("v1:r3").until(Phase.PROGRESSING).until(Phase.SUCCEEDED)
    assert world.outcomes == ["Initialized", "Lost", "Promoted", "Promoted", "Promoted"]


def idle(phase: Phase, **facts: Any) -> World:
    """A world that an operator without records left in this phase."""
    world = ready_world(METRICS, keep=0, **facts)
    status = world.status.but(release=None, phase=phase)
    world.canary = world.canary.model_copy(update={"status": status})
    world.keep = 10
    return world.fresh_record()


@pytest.mark.parametrize("phase", [Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED])
def test_a_canary_of_another_operator(phase: Phase) -> None:
    """The release that its primary runs gets a record, once."""
    world = idle(phase).run(60)
    assert [type(action) for action in world.actions] == [OpenRecord, WriteStatus]
    assert world.status.release == ReleaseStatus(number=1, promoted=1)
    assert world.records[1]["spec"]["cause"] == "adopted" and world.outcomes == ["Initialized"]
    assert world.records[1]["spec"]["startedAt"] <= stamp(START + 120)


def test_a_canary_of_another_operator_with_a_new_revision() -> None:
    """What its primary runs is recorded first."""
    world = idle(Phase.INITIALIZED).change("v1:r2").until(Phase.SUCCEEDED)
    assert world.outcomes == ["Initialized", "Promoted"] and world.records[1]["spec"]["revision"] == "v1:r1"


def test_an_older_definition() -> None:
    """It drops the number of the release from the status, so that there are no records."""
    world = idle(Phase.INITIALIZED)
    world.pruned = True
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert world.status.release is None and written(world) == ["OpenRecord"]


def test_a_release_that_began_without_a_record() -> None:
    """It ends without one."""
    world = ready_world(METRICS, keep=0).change("v1:r2").run(15)
    world.canary = world.canary.model_copy(update={"status": world.status.but(release=None)})
    world.keep = 10
    world.until(Phase.SUCCEEDED)
    assert world.outcomes == [] or world.outcomes == ["Initialized"]


def test_a_status_without_anything() -> None:
    """A release that nobody numbered changes nothing."""
    assert CanaryStatus().release is None
    world = World(canary(METRICS), provider="istio", capabilities=EVERYTHING).until(Phase.INITIALIZED)
    assert world.records[1]["spec"]["cause"] == "initial" and world.records[1]["status"]["template"] == "v1:r1"
