"""From a situation to what to do next.

Pure and total: every situation has a decision with at least one reason. The rows of the table (`transitions`) for the
phase are asked in order; the first that has an answer decides, and the last always has one. A decision is one small
step whose status write comes last: the operator carries it out and asks again, until there is nothing left to do. What
somebody else undoes each time is not done at once again (`conflicts`). Called by `operator` alone.
"""

from __future__ import annotations

from pyflagger.core import conflicts, remember, takeover, waiting
from pyflagger.core.decision import Decision
from pyflagger.core.situation import Situation
from pyflagger.core.transitions import DELETION, RELEASE
from pyflagger.core.view import View


def decide(situation: Situation) -> Decision:
    """What to do next for one canary."""
    view = View.of(situation)
    if situation.deleting:
        return remember.noted(view, DELETION[view.status.phase].decide(view))
    return remember.noted(view, _told(view, RELEASE[view.status.phase].decide(view)))


def _told(view: View, decision: Decision) -> Decision:
    """With what has to be told or waited for before it is carried out."""
    return takeover.told(view, conflicts.damped(view, waiting.ended(view, decision)))
