"""Clocks: when the last judging round ended, when the next may begin, and pauses until proxies have heard.

Times are seconds since the epoch. Called by the phases of `core`.
"""

from __future__ import annotations

from typing import Any

from pyflagger.api import defaults
from pyflagger.api.canary import Phase
from pyflagger.api.durations import microsecond
from pyflagger.core.decision import Decision, Reason
from pyflagger.core.memory import DUE
from pyflagger.core.view import View


def last_tick(view: View) -> float | None:
    """When the last judging round ended; None when nobody knows and something may have been stepped.

    One that is still to come was written by a clock that was ahead of ours: it says nothing.
    """
    both = (view.status.last_tick_time, view.memory.tick)
    known = [tick for tick in both if tick is not None and tick <= view.now]
    if known:
        return max(known)
    fresh = view.status.phase is Phase.PROGRESSING and view.first_round and not view.status.failed_checks
    return DUE if fresh else None


def due(view: View) -> float:
    """When the next judging round may begin."""
    last = last_tick(view)
    return view.now if last is None else last + view.situation.interval


def ticked(view: View, **changes: Any) -> dict[str, Any]:
    """The changes of a status that a judging round makes."""
    return {**changes, "last_tick_time": microsecond(view.now)}


def until_heard(view: View, since: float, reason: Reason) -> Decision | None:
    """Wait until proxies have heard of what was routed then; a time that is to come was told by another clock."""
    return _pause(view, since, defaults.HEARD_SECONDS, reason)


def until_settled(view: View, since: float, reason: Reason) -> Decision | None:
    """Wait until proxies have learned of pods that became available then."""
    return _pause(view, since, defaults.SETTLE_SECONDS, reason)


def _pause(view: View, since: float, seconds: float, reason: Reason) -> Decision | None:
    by = since + seconds
    return Decision(reasons=(reason,), wake=by) if since <= view.now < by else None
