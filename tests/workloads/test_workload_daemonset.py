"""DaemonSets as targets: the mark that stands for zero, what is copied, and readiness with a deadline of its own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from targets import canary, target

from pyflagger.api.canary import Phase
from pyflagger.api.durations import epoch
from pyflagger.api.facts import Problem
from pyflagger.objects import Create, Obj, Patch, merge_apply
from pyflagger.workloads.base import Workload
from pyflagger.workloads.configs import NOTHING
from pyflagger.workloads.daemonset import ZERO, DaemonSet
from pyflagger.workloads.options import WorkloadOptions

KIND, OPTIONS = DaemonSet(), WorkloadOptions()
SINCE = "2026-01-01T00:00:00Z"
NOW = epoch(SINCE) + 100


def daemonset(spec: Any = None) -> Obj:
    """A DaemonSet `web.test`."""
    of = target(spec=merge_apply({"replicas": None}, spec or {}))
    return {**of, "kind": "DaemonSet"}


def asleep(of: Obj) -> Obj:
    """Told to run nothing."""
    (patch,) = KIND.scale(of, None)
    assert isinstance(patch, Patch)
    return merge_apply(of, patch.body)  # type: ignore[no-any-return]


def built(of: Obj) -> Obj:
    """Its primary."""
    writes = KIND.create_primary(canary(), of, NOTHING, OPTIONS, "mark")
    assert isinstance(writes, tuple) and isinstance(writes[0], Create)
    return writes[0].obj


def test_it_is_a_workload() -> None:
    """What the registry demands."""
    assert isinstance(KIND, Workload) and KIND.scalable


def test_to_zero_and_back() -> None:
    """The mark is set beside other selectors and taken away again; a revision does not see it."""
    of = daemonset({"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}})
    zero = asleep(of)
    assert KIND.at_zero(zero) and not KIND.at_zero(of)
    assert zero["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd", ZERO: "true"}
    assert KIND.revision(zero) == KIND.revision(of)
    (patch,) = KIND.restore(canary(), zero, None, None)
    assert isinstance(patch, Patch) and merge_apply(zero, patch.body) == of
    assert KIND.restore(canary(), of, None, None) == ()
    assert KIND.revision(asleep(daemonset())) == KIND.revision(daemonset())


def test_a_primary_never_has_the_mark() -> None:
    """Made or promoted while the target sleeps, it runs everywhere the target would."""
    of = daemonset({"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}})
    primary = built(asleep(of))
    assert primary["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert "replicas" not in primary["spec"]
    marked = asleep(primary)
    assert not KIND.matches(canary(), of, marked, NOTHING, OPTIONS)
    writes = KIND.promote(canary(), asleep(of), marked, NOTHING, OPTIONS, "again")
    assert isinstance(writes, tuple) and isinstance(writes[0], Patch)
    after = merge_apply(marked, writes[0].body)
    assert not KIND.at_zero(after) and KIND.matches(canary(), of, after, NOTHING, OPTIONS)


def test_what_is_copied() -> None:
    """How it is rolled; affinity to oneself becomes affinity to the primary's pods."""
    settings = {"minReadySeconds": 3, "revisionHistoryLimit": 2, "updateStrategy": {"type": "RollingUpdate"}}
    own = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [own]}}
    primary = built(daemonset({**settings, "template": {"spec": {"affinity": affinity}}}))
    assert {key: primary["spec"][key] for key in settings} == settings
    term = primary["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    labels = term["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"]["matchLabels"]
    assert labels == {"app": "web-primary"}


@pytest.mark.parametrize("strategy, fine", [(None, True), ("RollingUpdate", True), ("OnDelete", False)])
def test_only_rolling_updates(strategy: str | None, fine: bool) -> None:
    """With OnDelete no pod would ever be new."""
    found = KIND.refuses(daemonset({"updateStrategy": {"type": strategy}}))
    assert (found is None) is fine
    if isinstance(found, Problem):
        assert found.text == "daemonset web.test must have RollingUpdate strategy but have OnDelete"


def test_one_of_somebody_else() -> None:
    """It is not taken for the primary."""
    assert KIND.is_primary(canary(), built(daemonset())) is True
    found = KIND.is_primary(canary(), daemonset())
    assert isinstance(found, Problem) and "daemonset web.test exists" in found.text


# Readiness ----------------------------------------------------------------------------------------------------------


def rollout(desired: int = 4, **status: Any) -> Obj:
    """One with this status."""
    counts = {"desiredNumberScheduled": desired, "updatedNumberScheduled": desired, "numberAvailable": desired}
    of = daemonset()
    of["metadata"]["generation"] = 2
    return {**of, "status": {"observedGeneration": 2, **counts, **status}}


def of_phase(phase: Phase, since: str | None, tick: str | None = None, **analysis: Any) -> Any:
    """The Canary in a phase since a time, the last judging round ended at another."""
    of = canary(progressDeadlineSeconds=60, analysis=analysis)
    times = {"last_transition_time": since and epoch(since), "last_tick_time": tick and epoch(tick)}
    status = of.status.but(phase=phase, **times)
    return of.model_copy(update={"status": status})


COUNTS: dict[str, tuple[Obj, int, str]] = {
    "all there": (rollout(), 100, ""),
    "no node": (rollout(0), 100, ""),
    "too few updated": (rollout(updatedNumberScheduled=1), 100, "1 out of 4 new pods have been updated"),
    "not available": (rollout(numberAvailable=1), 100, "1 of 4 (readyThreshold 100%) updated pods are available"),
    "enough": (rollout(numberAvailable=2), 50, ""),
    "rounded up": (rollout(3, numberAvailable=1), 50, "1 of 2 (readyThreshold 50%) updated pods are available"),
}


@pytest.mark.parametrize("case", COUNTS)
def test_by_counts(case: str) -> None:
    """In the reference's words."""
    obj, threshold, text = COUNTS[case]
    of = of_phase(Phase.INITIALIZED, SINCE, canaryReadyThreshold=threshold)
    found = KIND.readiness(of, obj, "canary", NOW)
    prefix = "canary daemonset web.test not ready: waiting for rollout to finish: "
    assert (found.ready, found.text) == (not text, prefix + text if text else "")


def test_what_no_node_runs_is_not_judged() -> None:
    """In a run it is not ready, and says what to do, until its time is up; a primary and a target at rest are fine."""
    of = of_phase(Phase.PROGRESSING, SINCE)
    found = KIND.readiness(of, rollout(0), "canary", NOW - 50)
    assert not found.ready and found.retriable and found.look_again == NOW - 40
    assert found.text.startswith("canary daemonset web.test not ready: waiting for rollout to finish: no node fits its")
    assert not KIND.readiness(of, rollout(0), "canary", NOW).retriable, "its deadline is over"
    assert KIND.readiness(of, rollout(0), "primary", NOW).ready
    for phase in set(Phase) - {Phase.PROGRESSING}:
        assert KIND.readiness(of_phase(phase, SINCE), rollout(0), "canary", NOW).ready


def test_in_a_run_nobody_says_since_when_its_pods_are_available() -> None:
    """Whoever routes to them has to count from when that was first seen."""
    assert KIND.readiness(of_phase(Phase.PROGRESSING, SINCE), rollout(), "canary", NOW).undated
    assert not KIND.readiness(of_phase(Phase.INITIALIZED, SINCE), rollout(), "canary", NOW).undated
    assert not KIND.readiness(of_phase(Phase.PROGRESSING, SINCE), rollout(), "primary", NOW).undated


def test_a_spec_that_has_not_been_seen_yet() -> None:
    """Settling: not worth an event."""
    obj = copy.deepcopy(rollout())
    obj["metadata"]["generation"] = 3
    assert KIND.readiness(canary(), obj, "primary", NOW).settling


LATER = "2026-01-01T00:01:30Z"
DEADLINES: dict[str, tuple[Any, bool, float | None]] = {
    "idle": (of_phase(Phase.SUCCEEDED, SINCE), True, None),
    "in time": (of_phase(Phase.PROGRESSING, LATER), True, epoch(LATER) + 60),
    "too late": (of_phase(Phase.PROGRESSING, SINCE), False, None),
    "promoting too late": (of_phase(Phase.PROMOTING, SINCE), False, None),
    "ready at the last round": (of_phase(Phase.PROGRESSING, SINCE, LATER), True, epoch(LATER) + 60),
    "nothing known": (of_phase(Phase.PROGRESSING, None), True, None),
}


@pytest.mark.parametrize("case", DEADLINES)
def test_the_deadline(case: str) -> None:
    """Counted from the beginning of the rollout, not from the last write of the status."""
    of, retriable, again = DEADLINES[case]
    found = KIND.readiness(of, rollout(updatedNumberScheduled=1), "canary", NOW)
    assert (found.ready, found.retriable, found.look_again) == (False, retriable, again)
    assert ("exceeded its progressDeadlineSeconds: 60" in found.text) is not retriable
