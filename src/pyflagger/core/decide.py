"""From a situation to what to do next.

Pure and total: every situation has a decision with at least one reason. A phase is a list of questions in order; the
first that has an answer decides, and the last always has one. A decision is one small step whose status write comes
last: the operator carries it out and asks again, until there is nothing left to do. What somebody else undoes each time
is not done at once again (`contest`). Called by `operator` alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyflagger.api.canary import Phase
from pyflagger.core import (
    analysis,
    bootstrap,
    contest,
    finalizer,
    guards,
    holding,
    promotion,
    reasons,
    remember,
    start,
    takeover,
)
from pyflagger.core.case import Case, Step
from pyflagger.core.decision import Decision
from pyflagger.core.situation import Situation

GUARDS: tuple[Step, ...] = (
    guards.gone,
    guards.finalizer,
    guards.suspended,
    guards.begun,
    guards.blocked,
    guards.bind,
    guards.degraded,
    guards.repair,
    guards.bounds,
    guards.left_behind,
    guards.narrow,
)

PHASES: Mapping[Phase, tuple[Step, ...]] = {
    Phase.NEW: bootstrap.STEPS,
    Phase.INITIALIZING: bootstrap.STEPS,
    Phase.INITIALIZED: start.IDLE,
    Phase.WAITING: start.WAITING,
    Phase.PROGRESSING: analysis.JUDGING,
    Phase.WAITING_PROMOTION: analysis.JUDGING,
    Phase.PROMOTING: promotion.PROMOTING,
    Phase.FINALISING: promotion.FINALISING,
    Phase.SUCCEEDED: start.IDLE,
    Phase.FAILED: start.IDLE,
    Phase.TERMINATING: (),
    Phase.TERMINATED: (),
}


def decide(situation: Situation) -> Decision:
    """What to do next for one canary."""
    case = Case.of(situation)
    steps = finalizer.STEPS if situation.deleting else (*GUARDS, *PHASES[case.status.phase])
    for step in steps:
        decision = step(case)
        if decision is not None:
            return remember.noted(case, decision if situation.deleting else _told(case, decision))
    return Decision(reasons=(reasons.DELETED,))


def _told(case: Case, decision: Decision) -> Decision:
    """With what has to be told or waited for before it is carried out."""
    return takeover.told(case, contest.damped(case, holding.ended(case, decision)))
