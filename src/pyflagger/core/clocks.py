"""Times: the end of the last judging round, the start of the next, and pauses until proxies learn a change.

Times are seconds since the epoch. Called by the phases of `core`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyflagger.api import defaults
from pyflagger.api.canary import Phase
from pyflagger.api.durations import microsecond
from pyflagger.core.decision import Decision, Reason
from pyflagger.core.memory import DUE
from pyflagger.core.view import View


def last_tick(view: View) -> float | None:
    """When the last judging round ended; None if unknown after a step.

    Ignores a time in the future, which another clock wrote.
    """
    both = (view.status.last_tick_time, view.memory.tick)
    known = [tick for tick in both if tick is not None and tick <= view.now]
    if known:
        return max(known)
    fresh = view.status.phase is Phase.PROGRESSING and view.first_round and not view.status.failed_checks
    return DUE if fresh else None


def due(view: View) -> float:
    """When the next judging round may start."""
    last = last_tick(view)
    return view.now if last is None else last + view.situation.interval


def ticked(view: View, **changes: Any) -> dict[str, Any]:
    """The changes of the status after a judging round. It has no results unless `changes` have them."""
    return {"results": "", "round": None, **changes, "last_tick_time": microsecond(view.now)}


def until_heard(view: View, since: float, reason: Reason) -> Decision | None:
    """Wait until proxies know a route that was written at `since`. Ignores a time in the future, from another clock."""
    return _pause(view, since, defaults.HEARD_SECONDS, reason)


def until_settled(view: View, since: float, reason: Reason) -> Decision | None:
    """Wait until proxies know pods that became available at `since`."""
    return _pause(view, since, defaults.SETTLE_SECONDS, reason)


def waking(view: View, decision: Decision, *moments: float | None) -> Decision:
    """The decision, with a wake-up at the first of these moments too, if it is not over. Needs have no wake-up."""
    if decision.needs:
        return decision
    ahead = [each for each in (decision.wake, *moments) if each is not None and each > view.now]
    return replace(decision, wake=min(ahead, default=None))


def _pause(view: View, since: float, seconds: float, reason: Reason) -> Decision | None:
    by = since + seconds
    return Decision(reasons=(reason,), wake=by) if since <= view.now < by else None
