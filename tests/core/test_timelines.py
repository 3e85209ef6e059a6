"""Whole releases, step by step: what is said, what the status says and how traffic is split, after every round.

Rows are (event texts, status as `phase wW iI fF`, route as `primary/canary`). The reference takes a tick more wherever
it only waits for its next tick; steps, weights and checks are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.world import KUBERNETES, MESH, PLAIN, World, canary, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.defaults import HEARD_SECONDS, SEEN_SETTLE_SECONDS, SETTLE_SECONDS
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Route
from pyflagger.core.decision import Ensure, Part, PauseAutoscaler, ScaleTarget


def rounds(world: World, *, limit: int = 14) -> Iterator[tuple[list[str], str, str]]:
    """Let a release play: a row for each interval, until it ends."""
    for _ in range(limit):
        seen, ended = len(world.said), world.status.phase in (Phase.SUCCEEDED, Phase.FAILED)
        if ended and not world.said[seen:]:
            return
        world.run(10)
        texts = [text for *_, text in world.said[seen:] if not text.endswith("rolling")]
        status, route = world.status, world.route or Route(100, 0)
        shown = f"{status.phase} w{status.canary_weight} i{status.iterations} f{status.failed_checks}"
        yield texts, shown, f"{route.primary}/{route.canary}{'m' if route.mirrored else ''}"


def play(world: World) -> list[tuple[list[str], str, str]]:
    """A release of `v1:r2`, from its detection on."""
    return list(rounds(world.change("v1:r2")))


BEGIN = ["New revision detected! Scaling up web.test", "Starting canary analysis for web.test"]
COPY = "Copying web.test template spec to web-primary.test"
HOME = ["Routing all traffic to primary", "Promotion completed! Scaling down web.test"]
BAD = "Halt shop.test advancement success rate 91.26% < 99%"
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
AUTOSCALER = Part.PRIMARY_AUTOSCALER


def weight(percent: int) -> str:
    """The event of a weight."""
    return f"Advance shop.test canary weight {percent}"


def iteration(done: int, of: int = 3) -> str:
    """The event of an iteration."""
    return f"Advance shop.test canary iteration {done}/{of}"


STRAIGHT: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[list[str], str, str]]]] = {
    "weighted": (
        {"stepWeight": 10, "maxWeight": 30, "metrics": [RATE]},
        PLAIN,
        [
            ([*BEGIN, weight(10)], "Progressing w10 i0 f0", "90/10"),
            ([weight(20)], "Progressing w20 i0 f0", "80/20"),
            ([weight(30)], "Progressing w30 i0 f0", "70/30"),
            ([COPY, *HOME], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
    "max weight is a trigger, not a cap": (
        {"stepWeight": 20, "maxWeight": 50},
        PLAIN,
        [
            ([*BEGIN, weight(20)], "Progressing w20 i0 f0", "80/20"),
            ([weight(40)], "Progressing w40 i0 f0", "60/40"),
            ([weight(60)], "Progressing w60 i0 f0", "40/60"),
            ([COPY, *HOME], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
    "listed weights, the last over 100": (
        {"stepWeights": [1, 2, 10, 200]},
        PLAIN,
        [
            ([*BEGIN, weight(1)], "Progressing w1 i0 f0", "99/1"),
            ([weight(2)], "Progressing w2 i0 f0", "98/2"),
            ([weight(10)], "Progressing w10 i0 f0", "90/10"),
            ([weight(100)], "Progressing w100 i0 f0", "0/100"),
            ([COPY, *HOME], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
    "listed weights, the last under 100": (
        {"stepWeights": [1, 2, 10, 80]},
        PLAIN,
        [
            ([*BEGIN, weight(1)], "Progressing w1 i0 f0", "99/1"),
            ([weight(2)], "Progressing w2 i0 f0", "98/2"),
            ([weight(10)], "Progressing w10 i0 f0", "90/10"),
            ([weight(80)], "Progressing w80 i0 f0", "20/80"),
            ([COPY, *HOME], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
    "traffic goes back in steps, the last cut short": (
        {"stepWeight": 30, "maxWeight": 30, "stepWeightPromotion": 20},
        PLAIN,
        [
            ([*BEGIN, weight(30)], "Progressing w30 i0 f0", "70/30"),
            ([COPY, "Advance shop.test primary weight 90"], "Promoting w10 i0 f0", "90/10"),
            (["Advance shop.test primary weight 100", HOME[1]], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
    "traffic goes back in steps": (
        {"stepWeight": 50, "maxWeight": 50, "stepWeightPromotion": 20},
        PLAIN,
        [
            ([*BEGIN, weight(50)], "Progressing w50 i0 f0", "50/50"),
            ([COPY, "Advance shop.test primary weight 70"], "Promoting w30 i0 f0", "70/30"),
            (["Advance shop.test primary weight 90"], "Promoting w10 i0 f0", "90/10"),
            (
                ["Advance shop.test primary weight 100", "Promotion completed! Scaling down web.test"],
                "Succeeded w0 i0 f0",
                "100/0",
            ),
        ],
    ),
    "A/B": (
        {"iterations": 3, "match": [{"headers": {"x-user": {"exact": "insider"}}}]},
        PLAIN,
        [
            ([*BEGIN, iteration(1)], "Progressing w0 i1 f0", "0/100"),
            ([iteration(2)], "Progressing w0 i2 f0", "0/100"),
            ([iteration(3)], "Progressing w0 i3 f0", "0/100"),
            ([COPY, *HOME], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
    "blue/green with a router": (
        {"iterations": 2},
        MESH,
        [
            ([*BEGIN, iteration(1, 2)], "Progressing w0 i1 f0", "100/0"),
            ([iteration(2, 2)], "Progressing w0 i2 f0", "100/0"),
            (["Routing all traffic to canary"], "Progressing w0 i3 f0", "0/100"),
            ([COPY, *HOME], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
    "blue/green without a router": (
        {"iterations": 2},
        KUBERNETES,
        [
            ([*BEGIN, iteration(1, 2)], "Progressing w0 i1 f0", "100/0"),
            ([iteration(2, 2)], "Progressing w0 i2 f0", "100/0"),
            ([], "Progressing w0 i3 f0", "100/0"),
            ([COPY, HOME[1]], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
    "mirrored blue/green": (
        {"iterations": 2, "mirror": True},
        MESH,
        [
            ([*BEGIN, iteration(1, 2)], "Progressing w0 i1 f0", "100/0m"),
            ([iteration(2, 2)], "Progressing w0 i2 f0", "100/0m"),
            (["Stop traffic mirroring and route all traffic to canary"], "Progressing w0 i3 f0", "0/100"),
            ([COPY, *HOME], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
    "mirrored weighted": (
        {"stepWeight": 10, "maxWeight": 10, "mirror": True},
        MESH,
        [
            ([*BEGIN, weight(0)], "Progressing w0 i0 f0", "100/0m"),
            ([weight(10)], "Progressing w10 i0 f0", "90/10"),
            ([COPY, *HOME], "Succeeded w0 i0 f0", "100/0"),
        ],
    ),
}


@pytest.mark.parametrize("case", STRAIGHT)
def test_a_good_release(case: str) -> None:
    """Every strategy, from a new revision to success."""
    analysis, facts, expected = STRAIGHT[case]
    assert play(ready_world(analysis, **facts)) == expected


def test_a_good_release_tells_and_counts() -> None:
    """Alerts at both ends, one success, and the revision promoted."""
    world = ready_world()
    play(world)
    assert world.alerts == [
        ("info", "New revision detected, progressing canary analysis."),
        ("info", "Canary analysis completed successfully, promotion finished."),
    ]
    assert world.counts == [("success", "completed")]
    assert world.status.last_promoted_spec == world.status.last_applied_spec == "v1:r2"
    assert world.primary is not None and world.primary.revision == "v1:r2" and world.target.replicas == 0


def test_a_release_takes_its_steps_and_little_more() -> None:
    """Three weights held for an interval each, and the time pods take. Nobody waits for the canary's pods to go."""
    world = ready_world({"stepWeight": 10, "maxWeight": 30}, rollout=1.5)
    began = world.now
    world.change("v1:r2").until(Phase.SUCCEEDED, ending=False)
    assert world.now - began == pytest.approx(33, abs=1)


@pytest.mark.parametrize("analysis", [{"stepWeight": 20, "maxWeight": 20}, {"iterations": 1, "mirror": True}])
def test_pods_stay_until_proxies_have_heard_of_the_route(analysis: dict[str, Any]) -> None:
    """All traffic is the primary's, and the canary's pods are there for a moment more; then they go."""
    world = ready_world(analysis, **MESH).change("v1:r2").until(Phase.SUCCEEDED, ending=False)
    assert world.left is not None and world.now - world.left <= 0.5
    assert world.route == ALL_PRIMARY and world.target.replicas > 0
    world.run(world.left + HEARD_SECONDS - 0.5 - world.now)
    assert world.target.replicas > 0
    world.run(0.5)
    assert world.target.replicas == 0


@pytest.mark.parametrize("ending", ["failed checks", "deadline", "revert", "skip"])
@pytest.mark.parametrize("restart", [False, True])
def test_however_a_run_ends_its_pods_stay_until_proxies_have_heard(ending: str, restart: bool) -> None:
    """Visitors are led away at once and told of at once; no new process in between makes it shorter."""
    world = ready_world({"metrics": [RATE], "threshold": 1, "stepWeight": 20}).change("v1:r2").run(10)
    assert world.route is not None and world.route.canary == 20
    if ending == "failed checks":
        world.metrics[RATE["name"]] = 1
    elif ending == "deadline":
        world.target.failing = "deadline"
    elif ending == "revert":
        world.change("v1:r1")
    else:
        world.spec(skip_analysis=True)
    world.fresh_record()
    while world.route != ALL_PRIMARY:
        world.run(0.5)
    assert world.left is not None
    began, pods = world.left, world.target.replicas
    if ending != "skip":
        assert any(text.startswith(("Canary failed!", "Promoted revision is back!")) for text in world.texts)
    world.run(began + HEARD_SECONDS - 0.5 - world.now)
    assert world.target.replicas == pods > 0
    if restart:
        world.restart()
        world.run(1)
        assert world.target.replicas == pods
    world.until(Phase.FAILED, Phase.INITIALIZED, Phase.SUCCEEDED)
    assert world.target.replicas == 0 and world.routes == [ALL_PRIMARY]
    assert world.now - began <= (3 * HEARD_SECONDS if restart else world.rollout + HEARD_SECONDS)


def test_pods_that_do_not_say_since_when_are_given_time_from_when_they_are_seen() -> None:
    """No visitor before proxies know where they are; once more after they were away or the operator was."""
    world = ready_world(**MESH)
    world.target.undated = True
    began = world.change("v1:r2").now
    world.run(world.rollout + SETTLE_SECONDS - 0.5)
    assert world.routes == [] and world.decision.wake == began + world.rollout + SETTLE_SECONDS
    world.target.failing = "busy"
    world.run(0.2)
    world.target.failing = ""
    world.run(SETTLE_SECONDS - 0.5)
    assert world.routes == []
    world.run(0.5)
    assert world.weights == [20]
    world.run(9)
    world.restart()
    world.run(SETTLE_SECONDS - 0.5)
    assert world.weights == [20]
    world.until(Phase.SUCCEEDED)
    assert world.weights == [20, 40, 0]


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.9])
def test_pods_settle_two_seconds_after_they_were_seen_to_be_available(fraction: float) -> None:
    """Whatever the API's whole seconds cut off; after a restart by these alone."""
    world = ready_world(**MESH)
    world.rollout = 2 + fraction
    world.target.cut = True
    began = world.change("v1:r2").now
    world.run(world.rollout + SEEN_SETTLE_SECONDS - 0.1)
    assert world.routes == [] and world.decision.wake == began + world.rollout + SEEN_SETTLE_SECONDS
    assert not [text for text in world.texts if "just now" in text]
    world.run(0.2)
    assert world.weights == [20]


def test_a_restart_or_another_revision_sees_the_pods_anew() -> None:
    """What was seen of other pods, or by another process, says nothing."""
    world = ready_world(**MESH)
    world.rollout, world.target.cut = 2.9, True
    began = world.change("v1:r2").now
    world.run(world.rollout + SEEN_SETTLE_SECONDS - 0.5)
    world.restart()
    world.run(0.1)
    assert world.routes == [] and world.decision.wake == int(began + world.rollout) + SETTLE_SECONDS
    again = world.change("v1:r3").now
    world.run(world.rollout + SEEN_SETTLE_SECONDS - 0.1)
    assert world.routes == []
    world.run(0.2)
    assert world.weights == [20] and world.now >= again + world.rollout + SEEN_SETTLE_SECONDS


def test_at_the_beginning_the_target_serves_until_proxies_have_heard_of_the_primary() -> None:
    """The apex Service leads to the primary from now on; who has not heard of it still finds pods."""
    world = World(canary())
    while world.parts[Part.APEX_SERVICE] != "ok":
        world.run(0.5)
    world.run(HEARD_SECONDS - 1)
    assert world.target.replicas > 0 and world.status.phase is Phase.INITIALIZING
    world.run(1)
    assert world.target.replicas == 0 and world.status.phase is Phase.INITIALIZED


def test_a_canary_that_served_everybody_by_its_service_stays_until_that_is_heard_of() -> None:
    """Provider kubernetes splits nothing, but after a failed promotion its Service leads to the canary."""
    world = ready_world({"iterations": 1}, fate={"v1:r2": "deadline"}, **KUBERNETES)
    world.change("v1:r2").until(Phase.FAILED)
    assert world.route == ALL_CANARY
    world.change("v1:r3").until(Phase.SUCCEEDED, ending=False)
    assert world.route == ALL_PRIMARY
    world.run(HEARD_SECONDS - 0.5)
    assert world.target.replicas > 0
    world.run(0.5)
    assert world.target.replicas == 0


def test_where_nothing_is_routed_nobody_has_to_hear_of_it() -> None:
    """Blue/green by Services: the release ends at once."""
    world = ready_world({"iterations": 1}, **KUBERNETES).change("v1:r2").until(Phase.PROMOTING)
    began = world.now
    world.until(Phase.SUCCEEDED, ending=False)
    assert world.now - began <= world.rollout


def test_from_the_first_look_to_success() -> None:
    """With an autoscaler and hooks: who is paused, resumed, scaled and asked when, from bootstrap to the end."""
    analysis = {
        "stepWeight": 10,
        "maxWeight": 30,
        "metrics": [RATE],
        "webhooks": [hook("pre-rollout", "smoke"), hook("rollout", "load"), hook("post-rollout", "bye")],
    }
    world = World(canary(analysis), paused=False, parts={AUTOSCALER: "missing"}, **MESH)
    world.until(Phase.INITIALIZED)
    assert scaled(world) == [Ensure(AUTOSCALER), PauseAutoscaler(True), ScaleTarget(None)]
    assert world.texts == ["all the metrics providers are available!", "Initialization done! shop.test"]
    assert world.alerts == [("info", "New Deployment detected, initialization completed.")]
    assert world.fresh_record().run(100).said == [], "no change, no word"
    world.parts[AUTOSCALER] = "drift"
    assert play(world) == [
        ([BEGIN[0], BEGIN[1], "Pre-rollout check smoke passed", weight(10)], "Progressing w10 i0 f0", "90/10"),
        ([weight(20)], "Progressing w20 i0 f0", "80/20"),
        ([weight(30)], "Progressing w30 i0 f0", "70/30"),
        ([COPY, HOME[0], "Post-rollout check bye passed", HOME[1]], "Succeeded w0 i0 f0", "100/0"),
    ]
    assert scaled(world) == [
        PauseAutoscaler(False),
        ScaleTarget(2),
        Ensure(AUTOSCALER),
        PauseAutoscaler(True),
        ScaleTarget(None),
    ]
    assert [name for name, *_ in world.calls] == ["smoke", *["load", RATE["name"]] * 3, "bye"]


def scaled(world: World) -> list[object]:
    """What was done to workloads and autoscalers."""
    return [a for a in world.actions if isinstance(a, PauseAutoscaler | ScaleTarget) or a == Ensure(AUTOSCALER)]


def test_a_bad_metric_rolls_back() -> None:
    """Two failed checks at one weight, then everything is put back; the counter's last value is acted on at once."""
    world = ready_world({"stepWeight": 10, "maxWeight": 30, "metrics": [RATE]}, metrics={RATE["name"]: 91.256})
    assert play(world) == [
        ([*BEGIN, weight(10)], "Progressing w10 i0 f0", "90/10"),
        ([BAD], "Progressing w10 i0 f1", "90/10"),
        (
            [
                BAD,
                "Rolling back shop.test failed checks threshold reached 2",
                "Canary failed! Scaling down shop.test",
            ],
            "Failed w0 i0 f0",
            "100/0",
        ),
    ]
    assert ("error", "Failed checks threshold reached 2") in world.alerts
    assert world.counts == [("failure", "completed")]
    assert (world.status.last_applied_spec, world.status.last_promoted_spec) == ("v1:r2", "v1:r1")
    assert world.target.replicas == 0 and world.primary is not None and world.primary.revision == "v1:r1"
    assert world.status.conditions[0].status == "False"


def test_a_good_round_does_not_lower_the_counter() -> None:
    """Failed checks add up over a run; success forgets them."""
    world = ready_world({"stepWeight": 20, "maxWeight": 40, "metrics": [RATE]}, metrics={RATE["name"]: [91.256, 100.0]})
    rows = play(world)
    assert [status for _, status, _ in rows] == [
        "Progressing w20 i0 f0",
        "Progressing w20 i0 f1",
        "Progressing w40 i0 f1",
        "Succeeded w0 i0 f0",
    ]


def test_after_a_failure_a_new_template_tries_again() -> None:
    """A refused revision is left alone; the next one starts a run."""
    world = ready_world({"metrics": [RATE], "stepWeight": 20, "maxWeight": 20}, metrics={RATE["name"]: [1, 1, 100]})
    play(world)
    before = len(world.statuses)
    world.run(100)
    assert len(world.statuses) == before, "a refused revision is not written about again"
    world.change("v1:r3").until(Phase.SUCCEEDED)
    assert world.status.last_promoted_spec == "v1:r3"


def test_a_new_revision_in_the_middle_restarts_at_once() -> None:
    """Traffic leaves the unvetted pods the moment the template changes, not at the next interval."""
    world = ready_world({"stepWeight": 20, "maxWeight": 40, "webhooks": [hook("pre-rollout")], "metrics": [RATE]})
    world.change("v1:r2").run(14)
    assert world.route == Route(60, 40) and world.status.canary_weight == 40
    world.fresh_record().change("v1:r3").look()
    assert world.route == Route(100, 0)
    assert world.texts == ["New revision detected! Restarting analysis for web.test"]
    assert ("info", "New revision detected, restarting canary analysis.") in world.alerts
    assert (world.status.canary_weight, world.status.failed_checks, world.status.iterations) == (0, 0, 0)
    assert world.target.replicas == 2, "the canary is not scaled down"
    assert world.said[0][3] == world.pending
    world.until(Phase.SUCCEEDED)
    assert world.texts[1:4] == [BEGIN[1], "Pre-rollout check pre-rollout passed", weight(20)]
    assert world.status.last_promoted_spec == "v1:r3"


def test_a_new_revision_forgets_the_failed_checks_of_the_one_before() -> None:
    """And its checks begin with the first, once its pods are ready."""
    analysis = {"stepWeight": 20, "maxWeight": 40, "metrics": [RATE]}
    world = ready_world(analysis, metrics={RATE["name"]: [1, 100]}).change("v1:r2").run(14)
    assert (world.route, world.status.canary_weight, world.status.failed_checks) == (Route(80, 20), 20, 1)
    world.fresh_record().change("v1:r3").look()
    assert (world.route, world.status.canary_weight, world.status.failed_checks) == (Route(100, 0), 0, 0)
    world.run(4)
    assert [text for *_, text in world.said] == [
        "New revision detected! Restarting analysis for web.test",
        "canary deployment web.test not ready: rolling",
        *(BEGIN[1], weight(20)),
    ]


@pytest.mark.parametrize("match", [[], [{"headers": {"x-user": {"exact": "insider"}}}]])
def test_the_promotion_gate_keeps_the_iterations(match: list[Any]) -> None:
    """A/B and blue/green: the true count in the status, analysis and gate every interval, not every other one."""
    analysis = {"iterations": 2, "match": match, "webhooks": [hook("confirm-promotion", "go")], "metrics": [RATE]}
    world = ready_world(analysis, hooks={"go": ["no", "no", True]}, **MESH)
    rows, shares = play(world), "0/100" if match else "100/0"
    halt = "Halt shop.test advancement waiting for promotion approval go"
    assert rows[:4] == [
        ([*BEGIN, iteration(1, 2)], "Progressing w0 i1 f0", shares),
        ([iteration(2, 2)], "Progressing w0 i2 f0", shares),
        ([halt], "WaitingPromotion w0 i2 f0", shares),
        ([], "WaitingPromotion w0 i2 f0", shares),
    ]
    assert rows[-1][1:] == ("Succeeded w0 i0 f0", "100/0")
    assert [name for name, *_ in world.calls].count("go") == 3, "and not again once it was open"


def test_the_promotion_gate_keeps_the_weight() -> None:
    """A closed gate: real weight in the status, analysis and gate every interval, one event and one alert."""
    gate = hook("confirm-promotion", "go")
    analysis = {"stepWeight": 30, "maxWeight": 30, "webhooks": [gate], "metrics": [RATE]}
    world = ready_world(analysis, hooks={"go": ["no", "no", "no", True]})
    assert play(world) == [
        ([*BEGIN, weight(30)], "Progressing w30 i0 f0", "70/30"),
        (["Halt shop.test advancement waiting for promotion approval go"], "WaitingPromotion w30 i0 f0", "70/30"),
        ([], "WaitingPromotion w30 i0 f0", "70/30"),
        ([], "WaitingPromotion w30 i0 f0", "70/30"),
        (["Confirm-promotion check go passed", COPY, *HOME], "Succeeded w0 i0 f0", "100/0"),
    ]
    assert world.alerts.count(("warn", "Canary promotion is waiting for approval.")) == 1
    assert [name for name, *_ in world.calls] == ["request-success-rate", "go"] * 4
    assert {phase for name, phase, _ in world.calls if name == "go"} == {"Progressing"}


def test_failing_checks_end_the_wait_for_promotion() -> None:
    """While a gate is closed a canary that turns bad is still rolled back."""
    analysis = {"stepWeight": 30, "maxWeight": 30, "webhooks": [hook("confirm-promotion", "go")], "metrics": [RATE]}
    world = ready_world(analysis, hooks={"go": "no"}, metrics={RATE["name"]: [100, 100, 1]})
    play(world)
    assert world.phases == ["Progressing", "WaitingPromotion", "Failed"]


def test_the_rollout_gate() -> None:
    """Closed: Waiting, one event, one alert, a call each interval and no pods. Open: the run starts."""
    world = ready_world(
        {"stepWeight": 20, "maxWeight": 20, "webhooks": [hook("confirm-rollout", "ok")]},
        hooks={"ok": ["no", "no", "no", True]},
    )
    world.change("v1:r2").run(9)
    assert world.status.phase is Phase.WAITING and world.target.replicas == 0
    assert world.status.last_applied_spec == "v1:r1", "nothing is consumed while it waits"
    world.run(15)
    assert world.texts == ["Halt shop.test advancement waiting for approval ok"]
    assert world.alerts == [("warn", "Canary is waiting for approval.")]
    assert world.calls == [
        ("ok", "Initialized", world.pending),
        ("ok", "Waiting", world.pending),
        ("ok", "Waiting", world.pending),
    ]
    world.until(Phase.SUCCEEDED)
    assert world.texts[1:3] == ["Confirm-rollout check ok passed", BEGIN[0]]


@pytest.mark.parametrize("kind", ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion"])
def test_muted_gates_send_no_alert(kind: str) -> None:
    """`muteAlert` silences a gate's alert, not its event."""
    world = ready_world(
        {"stepWeight": 20, "maxWeight": 20, "webhooks": [hook(kind, "g", muteAlert=True)]}, hooks={"g": "no"}
    )
    world.change("v1:r2").run(30)
    assert not [alert for alert in world.alerts if alert[0] == "warn"]
    assert any("waiting for" in text for text in world.texts)


def test_skipping_the_analysis_waits_for_the_primary() -> None:
    """Copy, wait for the primary, then scale down: users never lose their pods."""
    world = ready_world(spec={"skipAnalysis": True}, hooks={}, rollout=4)
    world.change("v1:r2").run(5)
    assert world.status.phase is Phase.PROMOTING and world.target.replicas == 2
    world.until(Phase.SUCCEEDED)
    assert world.texts == [
        BEGIN[0],
        COPY,
        "Promotion completed! Canary analysis was skipped for web.test",
    ]
    assert world.alerts[-1] == ("info", "Canary analysis was skipped, promotion finished.")
    assert world.counts == [("success", "skipped")]
    assert world.weights == [] and world.target.replicas == 0


def test_skipping_in_the_middle_of_a_run() -> None:
    """Set at any weight, the rest of the analysis is left out."""
    world = ready_world().change("v1:r2").run(5)
    assert world.status.canary_weight == 20
    world.spec(skip_analysis=True).until(Phase.SUCCEEDED)
    assert world.weights == [20, 0]
    assert world.counts == [("success", "skipped")]


def test_skipping_while_promoting_finishes_without_steps() -> None:
    """Set after the copy, traffic goes home at once."""
    world = ready_world({"stepWeight": 50, "maxWeight": 50, "stepWeightPromotion": 10})
    world.change("v1:r2").until(Phase.PROMOTING)
    world.spec(skip_analysis=True).until(Phase.SUCCEEDED)
    assert world.weights == [50, 0]
