"""Every event text that a release may say: text, Normal or Warning, and the phase that event hooks are told.

Each is said in a playing on virtual time, and no playing says anything that the table does not hold. A row that
differs from the reference on purpose says in which way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pytest

from core.world import KUBERNETES, MESH, World, canary, hook, ready_world
from pyflagger.api.facts import Fault, Problem
from pyflagger.core import reasons
from pyflagger.core.situation import NoData, QueryFailed

STEP = {"stepWeight": 20, "maxWeight": 20}
RATE, SPEED = "request-success-rate", "request-duration"
AB = {"iterations": 2, "match": [{"headers": {"x-user": {"exact": "insider"}}}]}


class Row(NamedTuple):
    """An event."""

    said_in: str
    type: str
    phase: str
    text: str
    better: str = ""
    """How it differs from the reference; empty where it does not."""


NEW_PHASE = "told with the phase that it leads to, not with the one before"
ONCE = "said when it changes, not at every look"
NEVER = "the reference never says it"
HOLDS = "holds the run instead of rolling back to a primary that is not ready"

HALT, SILENT = "Halt shop.test advancement", "Halt advancement no values found for"
MORE = "confirm-traffic-increase"
MIRRORING = "Provider nginx does not support traffic mirroring: the release continues without it"
ROLLING = "waiting for rollout to finish: 1 out of 2 new replicas have been updated"
UNREADY = f"not ready: {ROLLING}"
PAST = "canary deployment web.test not ready: deadline"
BROKEN = "web-primary.test not ready: deadline"
RUNNING, DONE = "Progressing", "Succeeded"

TABLE = [
    Row("bootstrap", "N", "Initializing", "all the metrics providers are available!", ONCE),
    Row("bootstrap", "W", "Initializing", "web-primary.test not ready: rolling"),
    Row("bootstrap", "N", "Initialized", "Initialization done! shop.test"),
    Row("no provider", "W", "Initializing", "Error checking metric providers: nobody home", ONCE),
    Row("blocked", "W", "Initializing", 'deployment web.test get query error: deployments.apps "web" not found', ONCE),
    Row("suspended", "N", "Initialized", "skipping canary run as object is suspended", ONCE),
    # A weighted release with a hook of every type.
    Row("weighted", "N", "Initialized", "Confirm-rollout check confirm-rollout passed"),
    Row("weighted", "N", RUNNING, "New revision detected! Scaling up web.test"),
    Row("weighted", "W", RUNNING, "canary deployment web.test not ready: rolling"),
    Row("weighted", "N", RUNNING, "Rollback hook rollback not signaling a rollback", ONCE),
    Row("weighted", "N", RUNNING, "Starting canary analysis for web.test"),
    Row("weighted", "N", RUNNING, "Pre-rollout check pre-rollout passed"),
    Row("weighted", "N", RUNNING, "Confirm-traffic-increase check confirm-traffic-increase passed"),
    Row("weighted", "N", RUNNING, "Advance shop.test canary weight 20"),
    Row("weighted", "N", RUNNING, "Confirm-promotion check confirm-promotion passed"),
    Row("weighted", "N", "Promoting", "Copying web.test template spec to web-primary.test", NEW_PHASE),
    Row("weighted", "W", "Promoting", "web-primary.test not ready: rolling"),
    Row("weighted", "N", "Promoting", "Routing all traffic to primary"),
    Row("weighted", "N", DONE, "Post-rollout check post-rollout passed"),
    Row("weighted", "N", DONE, "Promotion completed! Scaling down web.test"),
    # Other ways from there to here.
    Row("home in steps", "N", "Promoting", "Advance shop.test primary weight 90"),
    Row("home in steps", "N", "Promoting", "Advance shop.test primary weight 100"),
    Row("A/B", "N", RUNNING, "Advance shop.test canary iteration 1/2"),
    Row("blue/green", "N", RUNNING, "Routing all traffic to canary"),
    Row("mirrored", "N", RUNNING, "Stop traffic mirroring and route all traffic to canary"),
    Row("skipped", "N", DONE, "Promotion completed! Canary analysis was skipped for web.test"),
    Row("restarted", "N", RUNNING, "New revision detected! Restarting analysis for web.test"),
    Row("put back", "N", "Initialized", "Promoted revision is back! Cancelling analysis for web.test", NEVER),
    Row("plain A/B", "W", RUNNING, "A/B testing is not supported when using the kubernetes provider", ONCE),
    Row("plain steps", "W", RUNNING, "Progressive traffic is not supported when using the kubernetes provider", ONCE),
    Row("plain steps", "W", RUNNING, "Setting canaryAnalysis.iterations: 10", ONCE),
    Row("no mirror", "W", RUNNING, MIRRORING, NEVER),
    Row("deleted", "N", "Initialized", "Terminating canary shop.test"),
    Row("deleted", "W", "Terminating", f"canary not ready during finalizing: canary deployment web.test {UNREADY}"),
    Row("deleted", "N", "Terminating", "Terminated canary shop.test", NEW_PHASE),
    # What holds.
    Row("rolling", "W", RUNNING, f"canary deployment web.test {UNREADY}"),
    Row("closed rollout gate", "W", "Initialized", f"{HALT} waiting for approval confirm-rollout"),
    Row("closed traffic gate", "W", RUNNING, f"{HALT} waiting for traffic increase approval more", ONCE),
    Row("closed promotion gate", "W", RUNNING, f"{HALT} waiting for promotion approval confirm-promotion"),
    Row("pre-rollout refused", "W", RUNNING, f"{HALT} pre-rollout check pre-rollout failed no"),
    Row("rollout refused", "W", RUNNING, f"{HALT} external check rollout failed no"),
    Row("post-rollout refused", "W", DONE, "Post-rollout hook post-rollout failed no"),
    # How a release fails.
    Row("threshold", "W", RUNNING, "Rolling back shop.test failed checks threshold reached 2"),
    Row("threshold", "W", "Failed", "Canary failed! Scaling down shop.test"),
    Row("threshold", "N", "Failed", "Post-rollout check post-rollout passed", NEW_PHASE),
    Row("by hand", "W", RUNNING, "Rollback check rollback passed"),
    Row("by hand", "W", RUNNING, "Rolling back shop.test manual webhook invoked"),
    Row("deadline", "W", RUNNING, PAST),
    Row("deadline", "W", RUNNING, f"Rolling back shop.test progress deadline exceeded {PAST}", NEVER),
    Row("broken primary", "W", "Promoting", BROKEN),
    Row("broken primary", "W", "Promoting", f"Promotion of web.test failed, primary not ready: {BROKEN}"),
    Row("sick primary", "W", RUNNING, "web-primary.test not ready: busy", HOLDS),
    # Checks.
    Row("low rate", "W", RUNNING, f"{HALT} success rate 98.69% < 99%"),
    Row("high rate", "W", RUNNING, f"{HALT} success rate 99.50% > 99.4%"),
    Row("low duration", "W", RUNNING, f"{HALT} request duration 1ms < 5ms"),
    Row("high duration", "W", RUNNING, f"{HALT} request duration 1.515s > 500ms"),
    Row("low query", "W", RUNNING, f"{HALT} lag 0.25 < 0.5"),
    Row("high template", "W", RUNNING, f"{HALT} lag 7.13 > 5"),
    Row("silent rate", "W", RUNNING, f"{SILENT} nginx metric {RATE} probably web.test is not receiving traffic: why"),
    Row("silent duration", "W", RUNNING, f"{SILENT} nginx metric {SPEED} probably web.test is not receiving traffic"),
    Row("silent query", "W", RUNNING, f"{SILENT} metric: lag"),
    Row("silent template", "W", RUNNING, f"{SILENT} custom metric: lag: why"),
    Row("failed rate", "W", RUNNING, "Prometheus query failed: running query failed: x"),
    Row("failed query", "W", RUNNING, "Prometheus query failed for lag: x"),
    Row("failed template", "W", RUNNING, "Metric query failed for lag: x"),
    Row("no template", "W", RUNNING, "Metric template t.test error: x"),
    Row("no secret", "W", RUNNING, "Metric template t.test secret s error: x"),
    Row("bad provider", "W", RUNNING, "Metric template t.test provider p error: x"),
    Row("bad render", "W", RUNNING, "Metric template t.test query render error: x"),
    Row("bad server", "W", RUNNING, "Error building Prometheus client for u x"),
    Row("no service", "W", RUNNING, "Error fetching Knative service test/web x"),
    Row("unusable", "W", RUNNING, "Metric query failed for no usable metrics template and query were configured"),
]


# The playings -------------------------------------------------------------------------------------------------------


def released(analysis: dict[str, Any], *, no: str = "", mesh: bool = False, **facts: Any) -> World:
    """A release as far as a minute takes it; the hook named `no` refuses."""
    hooks = {no: "no", "rollback": "no"}
    return ready_world(analysis, hooks=hooks, **({**MESH, **facts} if mesh else facts)).change("v1:r2").run(60)


def hooked(*kinds: str) -> dict[str, Any]:
    """One step, with hooks of these types."""
    return {**STEP, "webhooks": [hook(kind) for kind in kinds]}


def checked(metric: dict[str, Any], answer: Any) -> Callable[[], World]:
    """A release whose only check is answered so."""
    return lambda: released({**STEP, "metrics": [metric]}, metrics={metric["name"]: answer})


def bootstrapped(**facts: Any) -> World:
    """From the first look on."""
    return World(canary({**STEP, "metrics": [{"name": RATE}]}), **facts).run(20)


def changed(act: Callable[[World], Any], analysis: dict[str, Any] | None = None) -> Callable[[], World]:
    """A release in the middle of which something happens."""

    def play() -> World:
        world = ready_world(analysis or {"stepWeight": 20, "maxWeight": 60}).change("v1:r2").run(8)
        act(world)
        return world.run(40)

    return play


def suspended() -> World:
    """Nothing is under way."""
    return ready_world().spec(suspend=True).run(60)


def deleted() -> World:
    """With `revertOnDeletion`."""
    world = ready_world(spec={"revertOnDeletion": True})
    world.target.failing = ROLLING
    world.delete().run(5).target.failing = ""
    return world.run(40)


def refusing(text: str) -> QueryFailed:
    """A provider's failure."""
    return QueryFailed(Problem(Fault.PROVIDER, text))


def ranged(name: str, low: float | None = None, high: float | None = None, **source: Any) -> dict[str, Any]:
    """A metric within limits."""
    return {"name": name, "thresholdRange": {"min": low, "max": high}, **source}


QUERY: dict[str, Any] = {"query": "x"}
TEMPLATE: dict[str, Any] = {"templateRef": {"name": "t"}}
EVERY = (
    *("confirm-rollout", "rollback", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion"),
    "post-rollout",
)
ABSENT = Problem(Fault.CLUSTER, 'deployment web.test get query error: deployments.apps "web" not found')

PLAYINGS: dict[str, Callable[[], World]] = {
    "bootstrap": bootstrapped,
    "no provider": lambda: bootstrapped(probe="nobody home"),
    "blocked": lambda: bootstrapped(target_problem=ABSENT),
    "suspended": suspended,
    "weighted": lambda: released(hooked(*EVERY)),
    "home in steps": lambda: released({**STEP, "stepWeightPromotion": 10}),
    "A/B": lambda: released(AB),
    "blue/green": lambda: released({"iterations": 1}, mesh=True),
    "mirrored": lambda: released({"iterations": 1, "mirror": True}, mesh=True),
    "skipped": lambda: ready_world(spec={"skipAnalysis": True}).change("v1:r2").run(30),
    "restarted": changed(lambda world: world.change("v1:r3")),
    "put back": changed(lambda world: world.change("v1:r1")),
    "plain A/B": lambda: released(AB, **KUBERNETES),
    "plain steps": lambda: released(STEP, **KUBERNETES),
    "no mirror": lambda: released({**STEP, "mirror": True}),
    "deleted": deleted,
    "rolling": changed(lambda world: setattr(world.target, "failing", ROLLING)),
    "closed rollout gate": lambda: released(hooked("confirm-rollout"), no="confirm-rollout"),
    "closed traffic gate": lambda: released(
        {**STEP, "webhooks": [hook("confirm-traffic-increase", "more")]}, no="more"
    ),
    "closed promotion gate": lambda: released(hooked("confirm-promotion"), no="confirm-promotion"),
    "pre-rollout refused": lambda: released(hooked("pre-rollout"), no="pre-rollout"),
    "rollout refused": lambda: released(hooked("rollout"), no="rollout"),
    "post-rollout refused": lambda: released(hooked("post-rollout"), no="post-rollout"),
    "threshold": lambda: released(hooked("rollout", "post-rollout"), no="rollout"),
    "by hand": changed(lambda world: world.hooks.update(rollback=True), hooked("rollback")),
    "deadline": lambda: ready_world().change("v1:r2", failing="deadline").run(30),
    "broken primary": lambda: released(STEP, fate={"v1:r2": "deadline"}),
    "sick primary": changed(lambda world: setattr(world.primary, "failing", "busy")),
    "low rate": checked(ranged(RATE, 99), 98.694),
    "high rate": checked(ranged(RATE, None, 99.4), 99.5),
    "low duration": checked(ranged(SPEED, 5), 1.5),
    "high duration": checked(ranged(SPEED, None, 500), 1515),
    "low query": checked(ranged("lag", 0.5, **QUERY), 0.25),
    "high template": checked(ranged("lag", None, 5, **TEMPLATE), 7.126),
    "silent rate": checked(ranged(RATE), NoData("why")),
    "silent duration": checked(ranged(SPEED), NoData("why")),
    "silent query": checked(ranged("lag", **QUERY), NoData("why")),
    "silent template": checked(ranged("lag", **TEMPLATE), NoData("why")),
    "failed rate": checked(ranged(RATE), refusing("running query failed: x")),
    "failed query": checked(ranged("lag", **QUERY), refusing("x")),
    "failed template": checked(ranged("lag", **TEMPLATE), refusing("x")),
    "no template": checked(ranged("lag", **TEMPLATE), refusing("Metric template t.test error: x")),
    "no secret": checked(ranged("lag", **TEMPLATE), refusing("Metric template t.test secret s error: x")),
    "bad provider": checked(ranged("lag", **TEMPLATE), refusing("Metric template t.test provider p error: x")),
    "bad render": checked(ranged("lag", **TEMPLATE), refusing("Metric template t.test query render error: x")),
    "bad server": checked(ranged(RATE), refusing("Error building Prometheus client for u x")),
    "no service": checked(ranged(RATE), refusing("Error fetching Knative service test/web x")),
    "unusable": checked({"name": "lag"}, 0),
}


@cache
def said(playing: str) -> list[tuple[str, str, str]]:
    """What a playing says: type, phase, text."""
    return [(kind, phase, text) for _, kind, phase, _, text in PLAYINGS[playing]().said]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.said_in}: {row.text}")
def test_an_event_is_said(row: Row) -> None:
    """With this text, as Normal or Warning, with this phase; and what differs by being rare is said once."""
    rows = said(row.said_in)
    assert (row.type, row.phase, row.text) in rows
    if row.better == ONCE:
        assert rows.count((row.type, row.phase, row.text)) == 1


def told(text: str) -> str:
    """A text without the number of its step."""
    return re.sub(r"(weight|iteration) \d+(/\d+)?$", r"\1 N", text)


@pytest.mark.parametrize("playing", PLAYINGS)
def test_nothing_else_is_said(playing: str) -> None:
    """The table is whole: no playing has an event that it does not hold, and no text is of two types."""
    known = {(row.type, told(row.text)) for row in TABLE}
    assert {(kind, told(text)) for kind, _, text in said(playing)} - known == set()


def test_every_playing_is_in_the_table() -> None:
    """And the other way round."""
    assert {row.said_in for row in TABLE} == set(PLAYINGS)


def test_what_is_told_once_the_canary_is_gone() -> None:
    """Nobody decides any more, so no playing says it: both names, and what would have spared it."""
    reason = reasons.left_asleep(canary())
    assert reason.text == "Canary shop.test is deleted and web.test runs no pods: scale it up"
    assert "spec.revertOnDeletion" in reason.todo and reason.fault is Fault.MANIFEST
