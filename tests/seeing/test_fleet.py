"""The row of a canary in a list: one verdict, what it waits for, and how far it is, from any Canary that can exist."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyflagger.api.canary import Analysis, CanaryStatus
from pyflagger.api.defaults import max_weight
from pyflagger.api.durations import precise_stamp, stamp
from pyflagger.core.strategy import next_weight
from pyflagger.objects import Obj
from pyflagger.seeing import documents
from pyflagger.seeing.fleet import Assumed, row
from pyflagger.seeing.model import Verdict
from pyflagger.seeing.plan import plan_of

NOW = 1_800_000_000.0
ANALYSIS = {"interval": "30s", "threshold": 5, "stepWeight": 20, "maxWeight": 60}


def canary(phase: str, *conditions: Obj, spec: Any = None, **status: Any) -> Obj:
    """A Canary in a phase."""
    return {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "creationTimestamp": stamp(NOW - 600)},
        "spec": {"provider": "nginx", "analysis": ANALYSIS, **(spec or {})},
        "status": {"phase": phase, "conditions": list(conditions), **status},
    }


def condition(kind: str, status: str = "True", reason: str = "R", message: str = "why", since: float = NOW - 60) -> Obj:
    """A condition."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": stamp(since),
        "lastUpdateTime": precise_stamp(since),
    }


def judged(ago: float) -> Obj:
    """The condition that has the time of the last round."""
    return condition("Judged", since=NOW - ago)


VERDICTS: dict[str, tuple[Obj, Verdict]] = {
    "a canary that nothing happens to": (canary("Succeeded"), Verdict.IDLE),
    "initialized": (canary("Initialized"), Verdict.IDLE),
    "a release under way": (canary("Progressing", judged(10)), Verdict.MOVING),
    "a promotion": (canary("Promoting", judged(300)), Verdict.MOVING),
    "blocked": (canary("Progressing", condition("Blocked"), judged(500)), Verdict.BLOCKED),
    "blocked no more": (canary("Progressing", condition("Blocked", "False"), judged(10)), Verdict.MOVING),
    "a late round": (canary("Progressing", judged(61)), Verdict.SILENT),
    "a round that is a little late": (canary("Progressing", judged(59)), Verdict.MOVING),
    "a late round while it waits": (canary("Progressing", judged(500), condition("Waiting")), Verdict.WAITING),
    "a round of an unknown time": (canary("Progressing"), Verdict.MOVING),
    "a new canary that nobody looks at": (canary(""), Verdict.SILENT),
    "one more failure rolls back": (canary("Progressing", judged(5), failedChecks=4), Verdict.FAILING),
    "failures, but not the last": (canary("Progressing", judged(5), failedChecks=3), Verdict.MOVING),
    "failures of a release that is over": (canary("Succeeded", failedChecks=4), Verdict.IDLE),
    "a rollback": (canary("Progressing", judged(5), condition("RollingBack")), Verdict.FAILING),
    "a threshold of one, nothing failed": (
        canary("Progressing", judged(5), spec={"analysis": {**ANALYSIS, "threshold": 1}}),
        Verdict.MOVING,
    ),
    "a gate before the start": (canary("Waiting"), Verdict.WAITING),
    "a gate before the promotion": (canary("WaitingPromotion", judged(20)), Verdict.WAITING),
    "suspended": (canary("Initialized", spec={"suspend": True}), Verdict.PAUSED),
    "suspended in a release": (canary("Progressing", judged(900), spec={"suspend": True}), Verdict.PAUSED),
    "held": (canary("Progressing", judged(5), hold={"by": "ann"}), Verdict.PAUSED),
    "rolled back": (canary("Failed", condition("Halted")), Verdict.FAILED),
}


@pytest.mark.parametrize("case", VERDICTS.values(), ids=VERDICTS)
def test_one_verdict(case: tuple[Obj, Verdict]) -> None:
    """The first that holds."""
    given_, expected = case
    assert row(given_, NOW).verdict is expected


def test_progress() -> None:
    """Weight, step and failures of a release; none of them between releases."""
    found = row(canary("Progressing", judged(10), canaryWeight=40, failedChecks=2), NOW)
    assert found.weight == (40, 60) and found.step == (2, 3) and found.failed == (2, 5)
    assert found.next is not None and found.next.at == NOW + 20
    idle = row(canary("Succeeded", canaryWeight=0), NOW)
    assert idle.weight is None and idle.step is None and idle.failed is None and idle.next is None


def test_iterations() -> None:
    """A/B testing and blue/green have no weights."""
    spec = {"analysis": {"iterations": 10, "match": [{"headers": {"x": {"exact": "1"}}}]}}
    found = row(canary("Progressing", judged(10), iterations=4, spec=spec), NOW)
    assert found.strategy == "ab-testing" and found.weight is None and found.step == (4, 10)
    assert row(canary("Progressing", spec={"provider": ""}), NOW, Assumed("kubernetes")).step == (0, 10)


def test_what_it_waits_for() -> None:
    """What blocks it comes first, then the wait, then the last failed round; a closed gate is in Promoted."""
    halted, waiting = condition("Halted", message="99 < 100"), condition("Waiting", reason="CanaryNotReady")
    both = row(canary("Progressing", halted, waiting, judged(5)), NOW)
    assert both.wait is not None and both.wait.code == "CanaryNotReady" and both.wait.since == NOW - 60
    failed = row(canary("Progressing", halted, judged(5)), NOW)
    assert failed.wait is not None and failed.wait.text == "99 < 100"
    gate = row(canary("Waiting", condition("Promoted", "Unknown", "Waiting", "Gate g is closed.")), NOW)
    assert gate.wait is not None and gate.wait.text == "Gate g is closed." and gate.wait.code == "GateClosed"
    assert row(canary("Succeeded", halted), NOW).wait is None


@example(step=0, most=0, listed=[1, 0])
@given(
    step=st.integers(-5, 120),
    most=st.integers(-5, 120),
    listed=st.lists(st.integers(-5, 120), max_size=5),
)
def test_the_plan_is_that_of_the_operator(step: int, most: int, listed: list[int]) -> None:
    """The weights of a plan are those that the operator takes one after the other."""
    analysis = {"stepWeight": step, "maxWeight": most, "stepWeights": listed}
    model = Analysis.model_validate({"interval": "1m", "threshold": 1, **analysis})
    weights, weight = [], 0
    while weight < max_weight(model) and (following := next_weight(model, weight)) > weight:
        weights.append(following)
        weight = following
    assert list(plan_of(analysis, "nginx").weights) == weights


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("phase", "conditions", "canaryWeight", "failedChecks", "iterations", "hold", "release", "operator")


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING), ANYTHING, ANYTHING)
def test_any_canary_has_a_row(status: Obj, analysis: Any, whole: Any) -> None:
    """Whatever an API server stores, there is a row, and it has a document."""
    for held in (status, whole):
        made = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"analysis": analysis}, "status": held}
        documents.fleet([row(made, NOW)])


def test_the_document() -> None:
    """Fields in camelCase, times in RFC 3339, unknown values null."""
    document = documents.fleet([row(canary("Progressing", judged(10)), NOW)])
    assert document["apiVersion"] == "view.flagger.app/v1" and document["kind"] == "Fleet"
    one = document["items"][0]
    assert one["verdict"] == "moving" and one["hold"] is None and one["weight"] == {"canary": 0, "max": 60}
    assert one["next"]["at"] == stamp(NOW + 20) and "lastTransition" in one


def test_the_status_that_the_operator_writes() -> None:
    """The row reads what the operator's own model writes."""
    status = CanaryStatus(phase="Progressing", canary_weight=20, last_tick_time=NOW - 10).to_wire()
    found = row({**canary(""), "status": status}, NOW)
    assert found.verdict is Verdict.MOVING and found.step == (1, 3) and found.next is not None
    assert found.next.at == NOW + 20
