"""From a situation to a decision.

Pure and total: every situation has a decision with at least one reason. `decide` runs the rows of the table
(`transitions`) for the phase in order. The first row with an answer decides, and the last row always has one. A
decision is one small step that ends with its status write. The operator carries it out and decides again until nothing
is left to do. Writes that another controller keeps undoing wait (`conflicts`). Called by `operator` alone.
"""

from __future__ import annotations

from pyflagger.core import conflicts, pausing, record, remember, steering, takeover, waiting
from pyflagger.core.decision import Decision
from pyflagger.core.situation import Situation
from pyflagger.core.transitions import DELETION, RELEASE
from pyflagger.core.view import View


def decide(situation: Situation) -> Decision:
    """The next decision for one canary."""
    view = View.of(situation)
    if situation.deleting:
        return remember.noted(view, waiting.stands(view, DELETION[view.status.phase].decide(view)))
    return remember.noted(view, _told(view, RELEASE[view.status.phase].decide(view)))


def _told(view: View, decision: Decision) -> Decision:
    """Add events that must precede it and the record of its release, or replace it by a wait."""
    decision = takeover.told(view, conflicts.damped(view, waiting.stands(view, decision)))
    return pausing.timed(view, steering.timed(view, record.recorded(view, decision)))
