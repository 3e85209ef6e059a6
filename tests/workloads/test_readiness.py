"""When a Deployment is ready, and why it is not, by its status alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from targets import canary, target

from pyflagger.api.canary import Canary, Phase
from pyflagger.api.defaults import SETTLE_SECONDS
from pyflagger.api.durations import epoch, stamp
from pyflagger.objects import Obj
from pyflagger.workloads.deployment import Deployment
from pyflagger.workloads.readiness import WAITING, deployment

SINCE = "2026-01-01T00:00:00Z"
NOW = epoch(SINCE) + 100
SHORT = {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "lastUpdateTime": SINCE}
QUOTA = {
    "type": "ReplicaFailure",
    "status": "True",
    "reason": "FailedCreate",
    "message": 'pods "web-7d9f-x2x" is forbidden: exceeded quota: q, limited: pods=3',
}
PROGRESSING = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}


def rollout(desired: int = 3, /, *conditions: Obj, **status: Any) -> Obj:
    """A Deployment with this status."""
    counts = {"replicas": desired, "updatedReplicas": desired, "availableReplicas": desired}
    of = target(spec={"replicas": desired}, meta={"generation": 2})
    return {**of, "status": {"observedGeneration": 2, **counts, "conditions": list(conditions), **status}}


CASES: dict[str, tuple[Obj, int, str]] = {
    "all there": (rollout(), 100, ""),
    "none wanted": (rollout(0), 100, ""),
    "too few updated": (rollout(updatedReplicas=2), 100, "2 out of 3 new replicas have been updated"),
    "no status yet": (
        {**rollout(), "status": {"observedGeneration": 2}},
        100,
        "0 out of 3 new replicas have been updated",
    ),
    "surplus": (rollout(replicas=5), 100, "2 old replicas are pending termination"),
    "not available": (
        rollout(availableReplicas=1),
        100,
        "1 of 3 (readyThreshold 100%) updated replicas are available",
    ),
    "enough available": (rollout(availableReplicas=2), 60, ""),
    "no pods allowed": (
        rollout(3, QUOTA, updatedReplicas=2),
        100,
        "2 out of 3 new replicas have been updated: a pod is forbidden: exceeded quota: q, limited: pods=3",
    ),
    "refused, without a word": (
        rollout(3, {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}, updatedReplicas=2),
        100,
        "2 out of 3 new replicas have been updated: FailedCreate",
    ),
    "no pods allowed once": (
        rollout(3, {**QUOTA, "status": "False"}, updatedReplicas=2),
        100,
        "2 out of 3 new replicas have been updated",
    ),
    "paused": (
        {**rollout(updatedReplicas=0), "spec": {"replicas": 3, "paused": True}},
        100,
        "0 out of 3 new replicas have been updated: it is paused (spec.paused)",
    ),
    "one too few": (rollout(availableReplicas=1), 60, "1 of 2 (readyThreshold 60%) updated replicas are available"),
    "none needed": (rollout(availableReplicas=0), 0, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_by_counts(case: str) -> None:
    """In the words of `kubectl rollout status`."""
    obj, threshold, text = CASES[case]
    found = deployment(obj, threshold, 60, None, NOW)
    assert found.ready is (not text)
    assert found.text == (WAITING + text if text else "")
    assert found.retriable


def test_a_spec_that_has_not_been_seen_yet() -> None:
    """Its status is about the one before: settling, not worth an event."""
    obj = rollout()
    obj["metadata"]["generation"] = 3
    found = deployment(obj, 100, 60, None, NOW)
    assert not found.ready and found.settling and "observed deployment generation less than desired" in found.text


def test_the_controllers_own_deadline() -> None:
    """It is past saving."""
    exceeded = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    found = deployment(rollout(3, exceeded, availableReplicas=0), 100, 600, None, NOW)
    assert not found.ready and not found.retriable
    assert found.text == 'deployment "web" exceeded its progress deadline'


DEADLINES: dict[str, tuple[tuple[Obj, ...], float, bool, float | None]] = {
    "time is left": ((PROGRESSING, SHORT), 101, True, epoch(SINCE) + 101),
    "time is up": ((PROGRESSING, SHORT), 99, False, None),
    "time is up this instant": ((PROGRESSING, SHORT), 100, False, None),
    "enough pods all along": ((PROGRESSING, {**SHORT, "status": "True"}), 1, True, None),
    "another reason": ((PROGRESSING, {**SHORT, "reason": "x"}), 1, True, None),
    "not progressing": ((SHORT,), 1, True, None),
    "no time stamp": ((PROGRESSING, {**SHORT, "lastUpdateTime": None}), 1, True, None),
    "a time stamp that is none": ((PROGRESSING, {**SHORT, "lastUpdateTime": "soon"}), 1, True, None),
    "nothing known": ((), 1, True, None),
}


@pytest.mark.parametrize("case", DEADLINES)
def test_our_own_deadline(case: str) -> None:
    """Counted while there are too few pods; until it passes the time to look again is known."""
    conditions, seconds, retriable, again = DEADLINES[case]
    found = deployment(rollout(3, *conditions, availableReplicas=0), 100, seconds, None, NOW)
    assert not found.ready
    assert (found.retriable, found.look_again) == (retriable, again)
    assert again is None or again > NOW, "a time to look again that has passed would be looked at for ever"


COMPLETED = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "lastUpdateTime": SINCE}
ENOUGH = {**SHORT, "status": "True", "reason": "MinimumReplicasAvailable"}
BEGAN = NOW - 50
OVERLOOKED: dict[str, tuple[Obj, float | None, bool, float | None]] = {
    "time is left": (rollout(1, COMPLETED, ENOUGH, replicas=2), BEGAN, True, BEGAN + 60),
    "time is up": (rollout(1, COMPLETED, ENOUGH, replicas=2), BEGAN - 10, False, None),
    "nothing was changed": (rollout(1, COMPLETED, ENOUGH, replicas=2), None, True, None),
    "its controller counts": (rollout(1, PROGRESSING, ENOUGH, replicas=2), 0.0, True, None),
    "more pods are asked for": (rollout(3, COMPLETED, ENOUGH, availableReplicas=2), 0.0, True, None),
}


@pytest.mark.parametrize("case", OVERLOOKED)
def test_a_rollout_that_its_controller_overlooked(case: str) -> None:
    """Old pods, and the condition tells of the rollout before: nobody counts its deadline but us."""
    obj, began, retriable, again = OVERLOOKED[case]
    found = deployment(obj, 100, 60, began, NOW)
    assert not found.ready
    assert (found.retriable, found.look_again) == (retriable, again)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 100))
def test_ready_means_enough(desired: int, replicas: int, updated: int, available: int, threshold: int) -> None:
    """Whatever the counts: ready only if every pod is new and as many as asked for are available."""
    obj = rollout(desired, replicas=replicas, updatedReplicas=updated, availableReplicas=available)
    if deployment(obj, threshold, 60, None, NOW).ready:
        assert updated >= desired and replicas <= updated and available * 100 >= updated * threshold


@pytest.mark.parametrize(
    "role, text",
    [
        ("primary", "web.test not ready: waiting for rollout to finish: 1 of 3"),
        ("canary", "canary deployment web.test not ready: waiting for rollout to finish: 1 of 2"),
    ],
)
def test_whose_it_is(role: str, text: str) -> None:
    """Each with its threshold and its prefix."""
    of = canary(analysis={"primaryReadyThreshold": 100, "canaryReadyThreshold": 50})
    found = Deployment().readiness(of, rollout(availableReplicas=1), role, NOW)
    assert found.text.startswith(text)


def in_phase(phase: Phase) -> Canary:
    """A Canary that is there."""
    found = canary()
    return found.model_copy(update={"status": found.status.but(phase=phase)})


def available(seconds: float) -> Obj:
    """A condition that turned true so many seconds before NOW."""
    return {"type": "Available", "status": "True", "lastTransitionTime": stamp(NOW - seconds)}


def progressed(seconds: float) -> Obj:
    """A condition that tells of progress so many seconds before NOW."""
    return {**PROGRESSING, "reason": "NewReplicaSetAvailable", "lastUpdateTime": stamp(NOW - seconds)}


SETTLING: dict[str, tuple[tuple[Obj, ...], float | None]] = {
    "just now": ((available(1),), NOW - 1 + SETTLE_SECONDS),
    "the last pod just now": ((available(60), progressed(2)), NOW - 2 + SETTLE_SECONDS),
    "scaled up just now": ((available(0), progressed(60)), NOW + SETTLE_SECONDS),
    "by a clock that is a little ahead": ((available(-1),), NOW + 1 + SETTLE_SECONDS),
    "long enough ago": ((available(SETTLE_SECONDS), progressed(60)), None),
    "by a clock that is an hour ahead": ((available(-3600),), None),
    "nobody knows when": ((), None),
    "no time that can be read": (({**available(1), "lastTransitionTime": "soon"},), None),
}


@pytest.mark.parametrize("case", SETTLING)
def test_others_learn_of_new_pods_before_they_are_judged(case: str) -> None:
    """A canary whose pods became available just now waits a moment, silently; a primary and an ended run never do."""
    conditions, again = SETTLING[case]
    obj, kind = rollout(3, *conditions), Deployment()
    found = kind.readiness(in_phase(Phase.PROGRESSING), obj, "canary", NOW)
    assert (found.ready, found.settling, found.look_again) == (again is None, again is not None, again)
    assert found.retriable
    assert kind.readiness(in_phase(Phase.PROGRESSING), obj, "primary", NOW).ready
    for phase in set(Phase) - {Phase.PROGRESSING}:
        assert kind.readiness(in_phase(phase), obj, "canary", NOW).ready


def test_pods_that_are_missing_are_told_whenever_they_came() -> None:
    """Settling hides no reason."""
    obj = rollout(3, available(1), availableReplicas=1)
    found = Deployment().readiness(in_phase(Phase.PROGRESSING), obj, "canary", NOW)
    assert not found.ready and not found.settling and "1 of 3" in found.text
