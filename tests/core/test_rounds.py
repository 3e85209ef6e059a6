"""Judging rounds: hooks, gates and metrics, in which order, how often, with which texts and payloads."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import MESH, World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import Fault, Problem, Route
from pyflagger.core.situation import NoData, QueryFailed, Value

STEPS = {"stepWeight": 20, "maxWeight": 40}
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
ONCE = {"threshold": 1}


def world_with(*hooks: dict[str, Any], answers: dict[str, Any] | None = None, **more: Any) -> World:
    """An initialized world with some hooks."""
    analysis = {**STEPS, "webhooks": list(hooks), **more.pop("analysis", {})}
    return ready_world(analysis, hooks=answers or {}, **more)


def test_everything_in_its_order() -> None:
    """Rollback hooks, then pre-rollout or rollout hooks and metrics, then the gates; each stage in list order."""
    every = ("post-rollout", "confirm-promotion", "confirm-traffic-increase", "rollout", "rollback", "pre-rollout")
    query = {"name": "q", "query": "x", "thresholdRange": {"max": 1}}
    template = {"name": "t", "templateRef": {"name": "t"}, "thresholdRange": {"max": 1}}
    world = world_with(
        *(hook(kind) for kind in (*every, "confirm-rollout")),
        answers={"rollback": "no"},
        analysis={"stepWeight": 20, "maxWeight": 20, "metrics": [template, query, RATE]},
    )
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert [(name, told) for name, told, _ in world.calls] == [
        ("confirm-rollout", "Initialized"),
        ("rollback", "Progressing"),
        ("pre-rollout", "Progressing"),
        ("confirm-traffic-increase", "Progressing"),
        ("rollback", "Progressing"),
        ("rollout", "Progressing"),
        ("q", "query"),
        ("request-success-rate", "builtin"),
        ("t", "template"),
        ("confirm-traffic-increase", "Progressing"),
        ("confirm-promotion", "Progressing"),
        ("post-rollout", "Succeeded"),
    ]
    assert {checksum for *_, checksum in world.calls if checksum} == {world.pending}
    assert [text for text in world.texts if "check" in text or "hook" in text] == [
        "Confirm-rollout check confirm-rollout passed",
        "Rollback hook rollback not signaling a rollback",
        "Pre-rollout check pre-rollout passed",
        "Confirm-traffic-increase check confirm-traffic-increase passed",
        "Confirm-traffic-increase check confirm-traffic-increase passed",
        "Confirm-promotion check confirm-promotion passed",
        "Post-rollout check post-rollout passed",
    ]


def test_the_first_refusal_ends_a_stage() -> None:
    """Later hooks and metrics are not asked, and it is one failed check."""
    world = world_with(hook("rollout", "a"), hook("rollout", "b"), answers={"a": "busy"}, analysis={"metrics": [RATE]})
    world.change("v1:r2").run(14)
    assert [name for name, *_ in world.calls] == ["a"] and world.status.failed_checks == 1
    assert world.texts[-1] == "Halt shop.test advancement external check a failed busy"


def test_failing_pre_rollout_checks() -> None:
    """Each attempt is announced, an interval apart; the threshold ends the run without any traffic."""
    world = world_with(hook("pre-rollout", "smoke"), answers={"smoke": "broken"})
    world.change("v1:r2").until(Phase.FAILED)
    start, halt = (
        "Starting canary analysis for web.test",
        "Halt shop.test advancement pre-rollout check smoke failed broken",
    )
    assert world.texts[1:] == [
        start,
        halt,
        start,
        halt,
        "Rolling back shop.test failed checks threshold reached 2",
        "Canary failed! Scaling down shop.test",
    ]
    assert world.weights == []
    times = [when for when, *_, text in world.said if text == halt]
    assert times[1] - times[0] == world.interval


def test_a_rollback_hook_rolls_back() -> None:
    """The first that agrees wins; its alert, its events, and the failure's."""
    world = world_with(
        hook("rollback", "a"), hook("rollback", "b"), hook("post-rollout", "p"), answers={"a": "no", "b": ["no", True]}
    )
    world.change("v1:r2").until(Phase.FAILED)
    assert world.texts[-4:] == [
        "Rollback check b passed",
        "Rolling back shop.test manual webhook invoked",
        "Canary failed! Scaling down shop.test",
        "Post-rollout check p passed",
    ]
    assert ("warn", "Rolling back manual webhook invoked") in world.alerts
    assert world.said[-1][2] == world.said[-2][2] == "Failed", "what ends a run tells of the new phase"


def test_a_rollback_hook_is_asked_while_waiting_for_approval() -> None:
    """Its success refuses the revision, which never gets pods."""
    world = world_with(
        hook("confirm-rollout", "ok"), hook("rollback", "abort"), answers={"ok": "no", "abort": ["no", True]}
    )
    world.change("v1:r2").until(Phase.FAILED)
    assert world.target.replicas == 0 and world.weights == []
    assert world.status.last_applied_spec == "v1:r2" and world.status.last_promoted_spec == "v1:r1"
    assert [(name, phase) for name, phase, _ in world.calls] == [
        ("ok", "Initialized"),
        ("abort", "Waiting"),
        ("ok", "Waiting"),
        ("abort", "Waiting"),
    ]
    assert world.counts == [("failure", "completed")]
    world.run(50)
    assert world.status.phase is Phase.FAILED


def test_a_closed_traffic_gate_is_told_once_and_repeats_nothing() -> None:
    """At no weight: pre-rollout checks that passed are not run again; the gate is asked every interval."""
    world = world_with(
        hook("pre-rollout", "smoke"),
        hook("confirm-traffic-increase", "first"),
        hook("confirm-traffic-increase", "more"),
        answers={"more": ["no", "no", "no", True]},
    )
    world.change("v1:r2").run(25)
    assert [name for name, *_ in world.calls] == ["smoke", "first", "more", "first", "more", "first", "more"]
    assert world.texts[-3:] == [
        "Pre-rollout check smoke passed",
        "Confirm-traffic-increase check first passed",
        "Halt shop.test advancement waiting for traffic increase approval more",
    ]
    assert world.alerts.count(("warn", "Canary traffic increase is waiting for approval.")) == 1
    assert world.status.failed_checks == 0
    world.until(Phase.SUCCEEDED)
    assert [name for name, *_ in world.calls].count("smoke") == 1


def test_a_gate_that_closes_at_each_weight_is_told_at_each() -> None:
    """And the analysis goes on while it holds."""
    world = world_with(
        hook("confirm-traffic-increase", "more"),
        answers={"more": [True, "no", "no", True, "no", True]},
        analysis={"metrics": [RATE]},
    )
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert sum("traffic increase approval" in text for text in world.texts) == 2
    assert [name for name, *_ in world.calls].count("request-success-rate") == 5


def test_the_traffic_gate_is_asked_before_a_mirror_and_before_the_first_weight() -> None:
    """Every real increase has its approval."""
    analysis = {"stepWeight": 20, "maxWeight": 20, "mirror": True}
    world = world_with(hook("confirm-traffic-increase", "more"), analysis=analysis, **MESH)
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert len(world.calls) == 3


def test_gates_tell_the_pending_revision() -> None:
    """The checksum at confirm-rollout is that of what is to be released, the same as in its run."""
    world = world_with(hook("confirm-rollout", "ok"), hook("rollout", "load"))
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert len({checksum for *_, checksum in world.calls}) == 1
    assert world.said[1][2:4] == ("Progressing", world.pending)


def test_which_phase_events_tell() -> None:
    """The phase they lead to, where they lead somewhere."""
    world = world_with(hook("post-rollout", "p")).change("v1:r2").until(Phase.SUCCEEDED)
    told = {text: phase for *_, phase, _, text in world.said}
    assert told["Copying web.test template spec to web-primary.test"] == "Promoting"
    assert told["Routing all traffic to primary"] == "Promoting"
    assert told["Promotion completed! Scaling down web.test"] == told["Post-rollout check p passed"] == "Succeeded"


@pytest.mark.parametrize(
    ("metric", "answer", "text"),
    [
        (RATE, 98.694, "Halt shop.test advancement success rate 98.69% < 99%"),
        (RATE, NoData("e"), "probably web.test is not receiving traffic: e"),
        (
            {"name": "d", "templateRef": {"name": "x"}},
            QueryFailed(Problem(Fault.MANIFEST, "Metric template x.test error: gone")),
            "Metric template x.test error: gone",
        ),
        (
            {"name": "nothing"},
            0,
            "Metric query failed for no usable metrics template and query were configured",
        ),
    ],
)
def test_a_failed_metric_is_a_failed_check(metric: dict[str, Any], answer: Any, text: str) -> None:
    """Bad value, no data and a broken query have texts of their own, and count alike."""
    world = ready_world({**STEPS, **ONCE, "metrics": [metric]}, metrics={metric["name"]: answer})
    world.change("v1:r2").until(Phase.FAILED)
    assert any(text in said for said in world.texts)


def test_rounds_keep_their_interval_across_a_restart() -> None:
    """The status says when the last round was."""
    world = ready_world(STEPS).change("v1:r2").run(8)
    assert world.weights == [20]
    world.restart()
    world.run(4.9)
    assert world.weights == [20]
    world.run(0.2)
    assert world.weights == [20, 40]


def test_a_status_without_the_time_of_its_round_is_held_for_an_interval() -> None:
    """Left by another version, or pruned by its schema: nothing is stepped twice."""
    world = ready_world(STEPS).change("v1:r2").run(12)
    world.canary = world.canary.model_copy(update={"status": world.status.but(last_tick_time=None)})
    world.restart()
    world.run(9.9)
    assert world.weights == [20]
    world.run(0.2)
    assert world.weights == [20, 40]


def test_a_round_that_ended_in_the_future_is_held_for_an_interval_from_now() -> None:
    """The clock of whoever wrote it was ahead, or ours was set back: no release waits for an hour to come round."""
    world = ready_world(STEPS).change("v1:r2").run(12)
    ahead = world.now + 3600
    world.canary = world.canary.model_copy(update={"status": world.status.but(last_tick_time=ahead)})
    world.restart()
    world.run(9.9)
    assert world.weights == [20]
    world.run(0.2)
    assert world.weights == [20, 40]


def test_a_waiting_status_without_a_time_polls_after_an_interval() -> None:
    """The gate is not asked at once on every start of the operator."""
    world = world_with(hook("confirm-rollout", "ok"), answers={"ok": "no"}).change("v1:r2").until(Phase.WAITING)
    world.canary = world.canary.model_copy(update={"status": world.status.but(last_tick_time=None)})
    world.restart()
    world.fresh_record().run(9)
    assert world.calls == []
    world.run(2)
    assert len(world.calls) == 1


def test_stepping_home_without_a_time_waits_an_interval() -> None:
    """After a restart it is not known when the last step was."""
    world = ready_world({"stepWeight": 40, "maxWeight": 40, "stepWeightPromotion": 40}).change("v1:r2")
    world.until(Phase.PROMOTING)
    world.restart()
    began = world.now
    world.until(Phase.SUCCEEDED, ending=False)
    assert world.now - began >= world.interval


def test_weights_that_somebody_else_moved_are_taken_as_they_are() -> None:
    """Traffic truth is the routes: written down, told, held for an interval, gone on from."""
    moved = "Another client set the canary weight of shop.test to {}: flagger holds and judges it"
    world = ready_world({"stepWeight": 10, "maxWeight": 50}).change("v1:r2").run(5)
    world.route = Route(75, 25)
    world.fresh_record().look()
    assert world.status.canary_weight == 25 and world.texts == [moved.format(25)]
    world.run(10.1)
    assert world.status.canary_weight == 35
    world.route = Route(95, 5)
    world.fresh_record().look()
    assert world.status.canary_weight == 5 and world.texts == [moved.format(5)]


@pytest.mark.parametrize("phase", ["Progressing", "WaitingPromotion"])
def test_not_ready_pods_hold_without_failing_checks(phase: str) -> None:
    """Rounds wait for pods; the text is said once."""
    world = world_with(hook("confirm-promotion", "go"), answers={"go": "no"}).change("v1:r2").until(Phase(phase)).run(4)
    world.target.failing = "scaling"
    world.fresh_record().run(60)
    assert world.texts == ["canary deployment web.test not ready: scaling"]
    assert world.calls == [] and world.status.failed_checks == 0


@pytest.mark.parametrize(("primary", "told"), [(99.98765432, 99.9877), (None, None), (float("nan"), None)])
def test_the_primary_stands_beside_a_check_that_fails(primary: float | None, told: float | None) -> None:
    """With six digits, as the value; the round that passes says nothing of it."""
    rate = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
    steps = {"stepWeight": 20, "maxWeight": 40, "threshold": 3, "metrics": [rate]}
    world = ready_world(steps, metrics={rate["name"]: [Value(50, None, primary), Value(100)]}).change("v1:r2")
    while world.status.round is None:
        world.run(1)
    (check,) = world.status.round.checks
    assert (check.verdict, check.value, check.primary) == ("bad", 50, told)
    world.until(Phase.SUCCEEDED)
    assert world.status.round is not None and world.status.round.checks[0].primary is None
