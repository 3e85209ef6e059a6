"""Reports the user's objects before the first write to them, and how flagger restores them.

Called by `decide` for every decision, and by `finalizer` when it restores objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pyflagger.core import reasons
from pyflagger.core.actions import announce, once
from pyflagger.core.decision import Action, Decision, Ensure, Part, SetRoute
from pyflagger.core.view import View

TAKEN = "taken-over"
PARTS = (Part.APEX_SERVICE, Part.ROUTING)


def told(view: View, decision: Decision) -> Decision:
    """The decision. If it is the first to write the user's objects, an event that names them comes first."""
    taken = view.situation.generated.taken
    if not taken or not any(map(_writes, decision.actions)):
        return decision
    first = announce(view, reasons.taking_over(view.canary, taken), TAKEN, *taken, warn=False)
    return replace(decision, actions=(*first, *decision.actions)) if first else decision


def _writes(action: Action) -> bool:
    return isinstance(action, SetRoute) or (isinstance(action, Ensure) and action.part in PARTS)


def handed(view: View) -> Iterator[Action]:
    """One event about the objects that deletion restores, and those that it leaves to the user."""
    found = view.situation.handed
    if found.back or found.left:
        yield from once(view, reasons.handed(view.canary, found.back, found.left))
