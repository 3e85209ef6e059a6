"""The row of a canary in a list, made of the Canary object alone, so that one LIST shows a whole cluster.

Called by the commands `list` and `explain`, by the dashboard, and by `picture`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pyflagger.api.defaults import INTERVAL_SECONDS, INTERVAL_SECONDS_MIN
from pyflagger.api.durations import show
from pyflagger.objects import Obj, part
from pyflagger.seeing import raw
from pyflagger.seeing.model import Failed, FleetRow, Hold, Image, Next, Step, Time, Verdict, Wait, Weight
from pyflagger.seeing.plan import Plan, plan_of
from pyflagger.seeing.words import since

PROVIDER = "istio"
"""The default of the flag -mesh-provider."""

OVERDUE_SECONDS_MIN = 30.0
"""A round that is late by less, or by less than an interval, is no sign that no operator works."""

MOVING = ("Initializing", "Progressing", "Promoting", "Finalising", "Terminating")
GATED = ("Waiting", "WaitingPromotion")
PROGRESS_FIELDS = (*raw.RUNNING, "Failed")
NEW = ""

SORTS: dict[str, Callable[[FleetRow], Any]] = {
    "verdict": lambda row: row.order,
    "name": lambda row: (row.name, row.namespace),
    "weight": lambda row: (-row.weight.canary if row.weight else 1, row.order),
    "since": lambda row: (-(since(row) or 0.0), row.order),
}
"""The orders of a list, by name."""


class Assumed(NamedTuple):
    """The settings of the operator that a row depends on."""

    provider: str = PROVIDER
    interval_min: float = INTERVAL_SECONDS_MIN


ASSUMED = Assumed()


class Facts(NamedTuple):
    """A Canary, read for a row. `true`: its conditions that are True, by type."""

    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    phase: str
    provider: str
    true: Mapping[str, Mapping[str, Any]]
    plan: Plan
    threshold: int
    interval: float


def row(canary: Obj, now: float, assumed: Assumed = ASSUMED) -> FleetRow:
    """The row of a Canary. `now`: the API server's time."""
    meta, facts = canary["metadata"], _facts(canary, assumed)
    stale = _stale(meta, facts, now)
    running = facts.phase in raw.RUNNING
    hold = _hold(facts)
    return FleetRow(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=raw.text(meta, "uid"),
        labels=raw.texts(meta, "labels"),
        provider=facts.provider,
        strategy=facts.plan.strategy,
        phase=facts.phase,
        verdict=_verdict(facts, stale, hold),
        weight=_weight(facts) if running else None,
        step=_step(facts) if running else None,
        failed=_failed(facts) if facts.phase in PROGRESS_FIELDS else None,
        images=_images(facts),
        release=raw.number(part(facts.status, "release"), "number") or None,
        wait=_wait(facts),
        hold=hold,
        next=_next(facts),
        last_transition=raw.time(facts.status, "lastTransitionTime"),
        stale=stale,
    )


def _facts(canary: Obj, assumed: Assumed) -> Facts:
    spec, status = part(canary, "spec"), part(canary, "status")
    analysis = part(spec, "analysis")
    told = part(status, "operator")
    provider = raw.text(spec, "provider") or raw.text(told, "provider") or assumed.provider
    return Facts(
        spec=spec,
        status=status,
        phase=raw.text(status, "phase"),
        provider=provider,
        true=raw.holding(status),
        plan=plan_of(analysis, provider),
        threshold=max(raw.number(analysis, "threshold"), 1),
        interval=max(
            raw.seconds(analysis, "interval", INTERVAL_SECONDS), raw.seconds(told, "interval", assumed.interval_min)
        ),
    )


# Progress -------------------------------------------------------------------------------------------------------------


def _weight(facts: Facts) -> Weight | None:
    if facts.plan.strategy != "canary":
        return None
    return Weight(raw.number(facts.status, "canaryWeight"), facts.plan.most)


def _step(facts: Facts) -> Step:
    done = facts.plan.done(raw.number(facts.status, "canaryWeight"), raw.number(facts.status, "iterations"))
    return Step(done, facts.plan.length)


def _failed(facts: Facts) -> Failed:
    return Failed(raw.number(facts.status, "failedChecks"), facts.threshold)


def _images(facts: Facts) -> tuple[Image, ...]:
    told = raw.items(part(facts.status, "release"), "images")
    return tuple(Image(raw.text(each, "container"), raw.text(each, "old"), raw.text(each, "new")) for each in told)


# Verdict --------------------------------------------------------------------------------------------------------------


def _verdict(facts: Facts, stale: float, hold: Hold | None) -> Verdict:
    """The first verdict of the list that holds."""
    found = {
        Verdict.BLOCKED: "Blocked" in facts.true,
        Verdict.SILENT: stale > 0,
        Verdict.FAILING: _failing(facts),
        Verdict.PAUSED: hold is not None,
        Verdict.WAITING: facts.phase in GATED or ("Waiting" in facts.true and facts.phase in MOVING),
        Verdict.MOVING: facts.phase in MOVING or facts.phase == NEW,
        Verdict.FAILED: facts.phase == "Failed",
    }
    return next((verdict for verdict, holds in found.items() if holds), Verdict.IDLE)


def _failing(facts: Facts) -> bool:
    """Whether a rollback has begun, or one more failed check begins it."""
    if facts.phase not in raw.RUNNING:
        return False
    failed = raw.number(facts.status, "failedChecks")
    return "RollingBack" in facts.true or 0 < failed >= facts.threshold - 1


def _stale(meta: Mapping[str, Any], facts: Facts, now: float) -> float:
    """How many seconds ago an operator should have acted; 0 if none had to, or if it is at work.

    Only flagger stores the time of its last round: nothing is known of a Canary that another operator runs.
    """
    if facts.spec.get("suspend") is True or "Blocked" in facts.true or "Waiting" in facts.true:
        return 0.0
    due = _due(facts)
    if facts.phase == NEW:
        due = raw.time(meta, "creationTimestamp")
    late = now - due if due is not None else 0.0
    return late if late > max(OVERDUE_SECONDS_MIN, facts.interval) else 0.0


def _due(facts: Facts) -> Time | None:
    """When the next round is due."""
    judged = facts.true.get("Judged")
    last = raw.time(judged, "lastUpdateTime") if judged else None
    return Time(last + facts.interval) if last is not None and facts.phase in raw.JUDGING else None


# Why it stands --------------------------------------------------------------------------------------------------------


def _wait(facts: Facts) -> Wait | None:
    """What it waits for, by its conditions: what blocks it, what it waits for, or why a check failed."""
    for kind in ("Blocked", "RollingBack", "Waiting", "Halted"):
        found = facts.true.get(kind)
        if found and (kind != "Halted" or facts.phase in (*raw.RUNNING, "Failed")):
            return Wait(raw.text(found, "reason"), raw.text(found, "message"), raw.time(found, "lastTransitionTime"))
    return _gate(facts)


def _gate(facts: Facts) -> Wait | None:
    """The gate that a phase waits for. The condition Promoted names it."""
    if facts.phase not in GATED:
        return None
    promoted = dict(raw.conditions(facts.status)).get("Promoted", {})
    return Wait("GateClosed", raw.text(promoted, "message"), raw.time(promoted, "lastUpdateTime"))


def _hold(facts: Facts) -> Hold | None:
    held = part(facts.status, "hold")
    if held:
        return Hold(raw.text(held, "by"), raw.text(held, "reason"), raw.time(held, "until"))
    return Hold("spec.suspend") if facts.spec.get("suspend") is True else None


def _next(facts: Facts) -> Next | None:
    due = _due(facts)
    return None if due is None else Next(due, f"judged every {show(facts.interval)}")
