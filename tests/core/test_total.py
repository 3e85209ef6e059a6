"""Whatever status an API server holds and whatever the situation is: a decision with a reason and a way forward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.schemas import admitted, loosened
from core.world import EVERYTHING, asked, canary, hook
from pyflagger.api.canary import Canary, CanaryStatus, Phase
from pyflagger.api.crds import crds
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, READY, Capabilities, Fault, Managed, Problem, Readiness, Route
from pyflagger.core.conditions import PROMOTED
from pyflagger.core.decide import decide
from pyflagger.core.decision import Decision, WriteStatus
from pyflagger.core.memory import DUE, Conflict, Lapse, Memory, Time, Wait
from pyflagger.core.revision import checksum
from pyflagger.core.situation import (
    FindManager,
    FindTrouble,
    Generated,
    Handed,
    Need,
    NoData,
    Passed,
    Primary,
    QueryFailed,
    ReadRecord,
    Recorded,
    Refused,
    Result,
    Situation,
    Target,
    Trouble,
    Value,
)
from pyflagger.core.strategy import MIRROR
from pyflagger.core.transitions import ALLOWED
from pyflagger.objects import Obj

NOW = 1_700_000_000.0
NEEDS_MAX = 40
PROBLEM = Problem(Fault.CLUSTER, "deployment web is broken", "Mend it.")
PASSING = Problem(Fault.CLUSTER, "somebody is about to mend this", passes_by=NOW + 5)

WATCHED = {
    "idle": "the target",
    "refused": "the target",
    "canary-serving": "the target and the primary",
    "deleted": "the Canary",
    "suspended": "the Canary",
    "blocked": "the object that the problem names",
    "awaited": "the object that the problem names",
    "primary-not-ready": "the primary",
    "canary-not-ready": "the target",
    "rollback-holds": "the primary",
    "handing-back-holds": "the target",
    "paused": "the actions",
}
"""The reasons of a decision that waits for nothing but a change of an object, and that object. Each is watched."""


# Statuses -----------------------------------------------------------------------------------------------------------


def schema() -> Obj:
    """The schema of a Canary's status."""
    (version,) = crds()[0]["spec"]["versions"]
    status: Obj = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    return status


REVISIONS = ("v1:r1", "v1:r2", "v1:r3", "12345678", "")
KINDS = (PROMOTED, "Blocked", "Degraded", "Halted", "Waiting", "RollingBack", "ScalingDown", "Judged", "Other")
WORDS = st.one_of(st.sampled_from([*REVISIONS, *KINDS, "True", "False", "Unknown", "yesterday"]), st.text(max_size=8))
STATUSES = admitted(schema(), text=WORDS)
OLD = admitted(loosened(schema()), text=WORDS)
PAUSE, TOMORROW = {"by": "ann", "since": "2023-11-13T21:13:20Z"}, "2023-11-15T22:13:20Z"
PLAUSIBLE = st.fixed_dictionaries(
    {"phase": st.sampled_from([phase.value for phase in Phase])},
    optional={
        "failedChecks": st.integers(0, 4),
        "canaryWeight": st.sampled_from([0, 20, 40, 100]),
        "iterations": st.integers(-1, 5),
        "lastAppliedSpec": st.sampled_from(REVISIONS),
        "lastPromotedSpec": st.sampled_from(REVISIONS),
        "trackedConfigs": st.sampled_from([{}, {"configmap/a": "1"}]),
        "hold": st.sampled_from([PAUSE, {**PAUSE, "onFailure": "hold"}, {**PAUSE, "until": TOMORROW, "then": "abort"}]),
        "again": st.sampled_from([checksum("v1:r1", None), checksum("v1:r2", None)]),
        "undo": st.sampled_from(
            [{}, {"to": 1, "revision": "v1:r1"}, {"to": 2, "origin": 3, "failed": "web not ready"}]
        ),
        "promote": st.just({"by": "ann", "full": True, "revision": checksum("v1:r2", None)}),
        "conditions": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(KINDS), "status": st.just("True"), "reason": WORDS},
                optional={"lastUpdateTime": st.sampled_from(["2023-11-14T22:13:10Z", "2023-11-14T22:13:30Z"])},
            ),
            max_size=3,
        ),
    },
)
"""Statuses that lead deep into each phase."""


# Situations ---------------------------------------------------------------------------------------------------------

READINESS = st.one_of(
    st.just(READY),
    st.builds(
        Readiness,
        ready=st.booleans(),
        text=st.just("web not ready"),
        retriable=st.booleans(),
        settling=st.booleans(),
        undated=st.booleans(),
        look_again=st.sampled_from([None, NOW + 3]),
    ),
)
SYNC = st.sampled_from(["ok", "ok", "ok", "ok", "untidy", "drift", "missing", PROBLEM])
SOUND = st.just(Generated())
ALIKE = dict.fromkeys(
    (
        "canary_service",
        "primary_service",
        "apex_service",
        "primary_workload",
        "primary_autoscaler",
        "routing",
        "primary_configs",
        "stale_configs",
    ),
    SYNC,
)
GENERATED = st.one_of(
    SOUND,
    st.builds(
        Generated,
        **ALIKE,
        finalizer=st.sampled_from(["ok", "ok", "drift", "missing"]),
        autoscaler_edit=st.sampled_from(["", "maxReplicas"]),
        autoscaler_bounds=st.sampled_from(["", "", "maxReplicas"]),
        autoscaler_unpaused=st.booleans(),
        target_autoscaler_paused=st.sampled_from([None, True, False]),
        unbound=st.sampled_from([(), (), ("Service shop",)]),
        degraded=st.sampled_from([(), (PROBLEM,)]),
        taken=st.sampled_from([(), ("Service shop",)]),
        wanted=st.sampled_from([{}, {"routing": "digest"}]),
    ),
)
TARGETS = st.one_of(
    st.builds(
        Target,
        revision=st.sampled_from(REVISIONS[:3]),
        configs=st.sampled_from([None, {}, {"configmap/a": "1"}]),
        readiness=READINESS,
        at_zero=st.booleans(),
        scalable=st.booleans(),
        unserved=st.sampled_from([None, None, PROBLEM]),
        replicas=st.sampled_from([None, 0, 2]),
        most=st.sampled_from([None, 1, 5]),
        empty=st.booleans(),
    ),
    st.just(PROBLEM),
)
PRIMARIES = st.one_of(
    st.builds(
        Primary,
        readiness=READINESS,
        at_zero=st.booleans(),
        empty=st.booleans(),
        serving_since=st.sampled_from([None, NOW - 1, NOW + 1, NOW - 60]),
        matches_target=st.booleans(),
        unselected=st.sampled_from([(), (), ("tier",)]),
        replicas=st.sampled_from([None, 0, 3]),
        keeps=st.sampled_from([None, None, 0, 1]),
    ),
    st.just(PROBLEM),
    st.none(),
)
ROUTES = st.sampled_from([ALL_PRIMARY, ALL_PRIMARY, ALL_CANARY, Route(80, 20), Route(60, 40), MIRROR, PROBLEM, None])
MOMENTS = st.sampled_from([None, Time(NOW - 20), Time(NOW - 1), Time(NOW), Time(NOW + 60)])
SUMS = st.sampled_from(["", checksum("v1:r1", None), checksum("v1:r2", None)])
MEMORIES = st.builds(
    Memory,
    tick=st.one_of(st.just(DUE), MOMENTS),
    conflicts=st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.builds(
            Conflict,
            times=st.integers(1, 50),
            at=st.sampled_from([Time(NOW - 100), Time(NOW), Time(NOW + 100)]),
            by=st.sampled_from([Managed(), Managed("argocd", "service shop")]),
            harmless=st.booleans(),
        ),
    ),
    waits=st.dictionaries(
        st.sampled_from(["primary-not-ready", "canary-not-ready", "route-not-ready"]),
        st.builds(
            Wait,
            phase=st.sampled_from([phase.value for phase in Phase]),
            revision=SUMS,
            since=MOMENTS,
            told_at=st.just(Time(NOW - 15)),
            text=st.just("web not ready"),
        ),
    ),
    troubles=st.dictionaries(st.sampled_from(["canary", "primary"]), st.just("2 pods crash")),
    lapses=st.dictionaries(st.just((0, "builtin")), st.builds(Lapse, MOMENTS, st.integers(0, 2))),
    left=MOMENTS,
    taken=MOMENTS,
    handed_back=MOMENTS,
    canary_seen=MOMENTS,
    primary_seen=MOMENTS,
    probed=st.booleans(),
    target_reverted=st.booleans(),
    grown=SUMS,
    pre_rollout=SUMS,
)
MATCH = [{"headers": {"a": {"exact": "b"}}}]
ANALYSES = st.one_of(
    st.fixed_dictionaries({"stepWeight": st.integers(0, 100), "maxWeight": st.integers(0, 100)}),
    st.fixed_dictionaries({"stepWeights": st.lists(st.integers(1, 120), min_size=1, max_size=3)}),
    st.fixed_dictionaries({"iterations": st.integers(1, 3)}),
    st.fixed_dictionaries({"iterations": st.integers(1, 3), "match": st.just(MATCH)}),
)
HOOKS = (
    *("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "post-rollout"),
    "rollback",
)
PATIENT = {"name": "request-success-rate", "threshold": 99, "noData": "wait", "errorLimit": 1, "minSamples": 5}
DRY = {"name": "request-duration", "threshold": 1, "dryRun": True, "initialDelay": "30s"}
EXTRAS = st.fixed_dictionaries(
    {
        "threshold": st.integers(0, 3),
        "mirror": st.booleans(),
        "stepWeightPromotion": st.sampled_from([0, 30]),
        "webhooks": st.lists(st.sampled_from(HOOKS), max_size=3, unique=True).map(lambda ks: [hook(k) for k in ks]),
        "counting": st.sampled_from(["cumulative", "consecutive"]),
        "metrics": st.sampled_from(
            [[], [{"name": "request-success-rate", "threshold": 99}], [{"name": "odd"}], [PATIENT], [DRY]]
        ),
    }
)
SPECS = st.fixed_dictionaries(
    {
        "suspend": st.sampled_from([False, False, False, True]),
        "skipAnalysis": st.sampled_from([False, False, True]),
        "revertOnDeletion": st.booleans(),
    }
)
PROVIDERS = st.sampled_from(
    [
        ("nginx", Capabilities(ab=True)),
        ("istio", EVERYTHING),
        ("appmesh:v1beta2", Capabilities()),
        ("kubernetes", Capabilities(weights=False)),
    ]
)


ASKED: tuple[dict[str, Any], ...] = (
    {"action": "promote"},
    {"action": "promote", "full": True},
    {"action": "pause"},
    {"action": "pause", "until": "2023-11-14T22:13:10Z", "then": "abort"},
    {"action": "resume"},
    {"action": "abort"},
    {"action": "abort", "expires": "2023-11-14T22:13:10Z"},
    {"action": "retry"},
    {"action": "restart"},
    {"action": "weight", "weight": 30, "hold": True},
    {"action": "weight"},
    {"action": "undo"},
    {"action": "open-gate", "gate": "confirm-promotion"},
    {"action": "close-gate", "gate": "confirm-rollout", "revision": "v1:r1"},
    {"action": "dance"},
)
REQUESTS = st.one_of(
    st.just(()),
    st.lists(st.sampled_from(range(len(ASKED))), max_size=2, unique=True).map(
        lambda found: tuple(asked(f"{at}", "2023-11-14T22:13:00Z", **ASKED[at]) for at in found)
    ),
)


@st.composite
def canaries(draw: st.DrawFn) -> Canary:
    """A valid Canary without a status; of one that is being deleted the finalizer is drawn with the situation."""
    made = canary({**draw(ANALYSES), **draw(EXTRAS)}, **draw(SPECS))
    gone = draw(st.sampled_from([None, None, None, "2023-11-14T22:13:20Z"]))
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"deletion_timestamp": gone})})


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Anything that may be observed of one, but for its status."""
    made, (provider, capabilities) = draw(canaries()), draw(PROVIDERS)
    seldom = st.sampled_from([(), (), (), (PROBLEM,), (PASSING,)])
    return Situation(
        canary=made,
        now=NOW,
        interval=10.0,
        provider=provider,
        capabilities=capabilities,
        target=draw(TARGETS),
        primary=draw(PRIMARIES),
        route=draw(ROUTES),
        generated=draw(GENERATED),
        problems=draw(seldom),
        rivalled=draw(st.booleans()),
        foreign=draw(seldom),
        unread=draw(seldom),
        unjudged=draw(seldom),
        memory=draw(MEMORIES),
        refused=draw(st.sampled_from([None, None, PROBLEM])),
        deleting=made.metadata.deletion_timestamp is not None and draw(st.booleans()),
        reassert_zero=draw(st.booleans()),
        route_waiting=draw(st.sampled_from(["", "", "HTTPRoute shop is not ready"])),
        left=draw(st.sampled_from([(), (), ("Deployment old-primary",)])),
        handed=draw(st.sampled_from([Handed(), Handed(("Service shop",), ("HTTPRoute shop",))])),
        requests=draw(REQUESTS),
    )


ANSWERS = st.sampled_from(
    [
        Passed(),
        Passed(),
        Refused("no"),
        Refused("no answer", erred=True),
        Value(100.0),
        Value(1.0),
        Value(100.0, 3),
        Value(float("nan")),
        NoData(),
        QueryFailed(PROBLEM),
    ]
)


RECORDED = Recorded(revision="v1:r1")
NO_LONGER_RECORDED = Recorded(code="gone", text="there is no record of release 1")


def answer(need: Need, drawn: Result) -> Result:
    """An answer of the sort that the need asks for, or of the wrong sort."""
    if isinstance(need, FindManager):
        return Managed("argocd", "service shop") if isinstance(drawn, Passed) else Managed()
    if isinstance(need, FindTrouble):
        return Trouble("2 pods: container app is in CrashLoopBackOff") if isinstance(drawn, Passed) else Trouble()
    if isinstance(need, ReadRecord):
        return RECORDED if isinstance(drawn, Passed) else NO_LONGER_RECORDED
    return drawn


# The property -------------------------------------------------------------------------------------------------------


def with_status(situation: Situation, stored: Mapping[str, Any]) -> Situation:
    """The situation of a Canary whose API server holds this status."""
    read = CanaryStatus.model_validate(stored)
    return _replaced(situation, canary=situation.canary.model_copy(update={"status": read}))


def _replaced(situation: Situation, **changes: Any) -> Situation:
    fields = {name: getattr(situation, name) for name in Situation.__dataclass_fields__}
    return Situation(**{**fields, **changes})


def goes_on(situation: Situation, decision: Decision) -> bool:
    """Whether there is a way forward."""
    if decision.changes or decision.needs:
        return True
    if decision.wake is not None:
        return decision.wake > situation.now
    codes = {reason.code for reason in decision.reasons}
    assert "deleted" not in codes or situation.canary.metadata.deletion_timestamp is not None
    return bool(codes & set(WATCHED))


def answered(situation: Situation, answers: list[Result]) -> Decision:
    """The decision once every need has an answer; each decision on the way is held to the property."""
    for at in range(NEEDS_MAX):
        decision = decide(situation)
        assert decision.reasons and not (decision.needs and decision.actions)
        assert goes_on(situation, decision), [reason.code for reason in decision.reasons]
        if not decision.needs:
            return decision
        need = decision.needs[0]
        assert need not in situation.evidence, "asked again"
        found = {**situation.evidence, need: answer(need, answers[at % len(answers)])}
        situation = _replaced(situation, evidence=found)
    raise AssertionError("it asks for ever")


def holds(situation: Situation, stored: Mapping[str, Any], answers: list[Result]) -> None:
    """The property, for one status in one situation."""
    situation = with_status(situation, stored)
    before = situation.canary.status
    for action in answered(situation, answers).actions:
        if isinstance(action, WriteStatus):
            after = action.status
            assert after.phase is before.phase or after.phase in ALLOWED[before.phase]
            assert not CanaryStatus.model_validate(after.to_wire()).unread


REFUSING = [Refused("no")]
LOST = Situation(
    canary=canary(),
    now=NOW,
    interval=10.0,
    provider="nginx",
    capabilities=EVERYTHING,
    target=PROBLEM,
    primary=None,
    route=None,
)


@settings(max_examples=400)
@given(situations(), STATUSES, st.lists(ANSWERS, min_size=1, max_size=6))
@example(LOST, {"phase": "Progressing", "lastTickTime": "yesterday"}, REFUSING)
@example(LOST, {"phase": "Terminated"}, REFUSING)
@example(LOST, {"phase": "Terminating"}, REFUSING)
@example(LOST, {"phase": "Promoting", "undo": {}}, [Passed()])
@example(LOST, {"phase": "Promoting", "undo": {}}, REFUSING)
def test_what_the_schema_admits(situation: Situation, stored: Obj, answers: list[Result]) -> None:
    """Any status that our definition of Canary lets in."""
    holds(situation, stored, answers)


@settings(max_examples=200)
@given(situations(), OLD, st.lists(ANSWERS, min_size=1, max_size=6))
@example(LOST, {"phase": "Analysing", "conditions": [{}]}, REFUSING)
def test_what_old_definitions_admit(situation: Situation, stored: Obj, answers: list[Result]) -> None:
    """Any text as a phase, as a time, as a condition's status."""
    holds(situation, stored, answers)


@pytest.mark.long
@settings(max_examples=600)
@given(situations(), PLAUSIBLE, st.lists(ANSWERS, min_size=1, max_size=6))
def test_what_a_release_writes(situation: Situation, stored: Obj, answers: list[Result]) -> None:
    """Statuses that make sense by themselves, in situations that need not."""
    holds(situation, stored, answers)


@pytest.mark.long
@settings(max_examples=10_000)
@given(situations(), st.one_of(STATUSES, OLD, PLAUSIBLE), st.lists(ANSWERS, min_size=1, max_size=6))
def test_many_more_of_all(situation: Situation, stored: Obj, answers: list[Result]) -> None:
    """The same, far more often."""
    holds(situation, stored, answers)
