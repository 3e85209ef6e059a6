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
    remember,
    start,
    takeover,
)
from pyflagger.core.case import Case, Step, Steps
from pyflagger.core.decision import Decision
from pyflagger.core.situation import Situation

GUARDS: tuple[Step, ...] = (
    guards.gone,
    guards.unreadable,
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

PHASES: Mapping[Phase, Steps] = {
    Phase.NEW: bootstrap.BOOTSTRAP.after(*GUARDS),
    Phase.INITIALIZING: bootstrap.BOOTSTRAP.after(*GUARDS),
    Phase.INITIALIZED: start.IDLE.after(*GUARDS),
    Phase.WAITING: start.WAITING.after(*GUARDS),
    Phase.PROGRESSING: analysis.JUDGING.after(*GUARDS),
    Phase.WAITING_PROMOTION: analysis.JUDGING.after(*GUARDS),
    Phase.PROMOTING: promotion.PROMOTING.after(*GUARDS),
    Phase.FINALISING: promotion.FINALISING.after(*GUARDS),
    Phase.SUCCEEDED: start.IDLE.after(*GUARDS),
    Phase.FAILED: start.IDLE.after(*GUARDS),
    Phase.TERMINATING: bootstrap.AGAIN.after(guards.gone),
    Phase.TERMINATED: bootstrap.AGAIN.after(guards.gone),
    Phase.UNKNOWN: bootstrap.AGAIN.after(guards.gone),
}


def decide(situation: Situation) -> Decision:
    """What to do next for one canary."""
    case = Case.of(situation)
    if situation.deleting:
        return remember.noted(case, finalizer.DELETION.decide(case))
    return remember.noted(case, _told(case, PHASES[case.status.phase].decide(case)))


def _told(case: Case, decision: Decision) -> Decision:
    """With what has to be told or waited for before it is carried out."""
    return takeover.told(case, contest.damped(case, holding.ended(case, decision)))
