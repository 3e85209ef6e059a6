"""Pauses: what a hold stops, how it ends by itself, and the reminder of a long one.

A hold stops steps, promotions and starts. Rounds go on being judged, and roll back as ever, unless `onFailure: hold`.
Deadlines of pods, repairs and deletion go on. Called by `transitions`, and by the phases before each step.
"""

from __future__ import annotations

from pyflagger.api.canary import Phase
from pyflagger.api.defaults import threshold
from pyflagger.api.durations import epoch_or_none
from pyflagger.core import answers, rollback
from pyflagger.core.actions import act, announce, say
from pyflagger.core.clocks import ticked, waking
from pyflagger.core.decision import Action, Alert, Decision, WriteStatus
from pyflagger.core.memory import Memory
from pyflagger.core.view import View
from pyflagger.core.writing import write

DAY_SECONDS, HOUR_SECONDS = 86400.0, 3600.0

JUDGING = (Phase.PROGRESSING, Phase.WAITING_PROMOTION)
ABORTABLE = (*JUDGING, Phase.WAITING)


def stands(view: View) -> Decision | None:
    """Do nothing while a person holds the release."""
    hold = view.status.hold
    return None if hold is None else Decision(reasons=(answers.held(view.canary, hold),))


def start(view: View) -> Decision | None:
    """Do not start the release of a canary that waits at its gate. The gate is asked again in an interval."""
    hold = view.status.hold
    return None if hold is None else act(answers.held(view.canary, hold), memory=view.memory.round_ended())


def step(view: View, said: tuple[Action, ...]) -> Decision | None:
    """Take no step after a round that passed."""
    hold = view.status.hold
    if hold is None:
        return None
    written = write(view)
    news = (written,) if written.status != view.status else ()
    return act(answers.held(view.canary, hold), *said, *news, memory=view.memory.round_ended())


def shielded(view: View) -> bool:
    """Whether failed checks are only counted."""
    return view.status.hold is not None and view.status.hold.on_failure == "hold"


def released(view: View) -> tuple[WriteStatus, Memory]:
    """The end of a hold. A release under way holds its weight for one more interval and is judged then.

    Failed checks that were only counted do not roll it back before.
    """
    if view.status.phase not in JUDGING or view.status.rollback is not None:
        return WriteStatus(view.status.but(hold=None)), view.memory
    failed = view.status.failed_checks
    if shielded(view):
        failed = min(failed, max(0, threshold(view.canary) - 1))
    kept = {"results": view.status.results, "round": view.status.round, "failed_checks": failed}
    return WriteStatus(view.status.but(hold=None, **ticked(view, **kept))), view.memory.round_ended()


def over(view: View) -> Decision | None:
    """The end of a pause that has one, and a reminder of one that has lasted for another day."""
    hold = view.status.hold
    if hold is None:
        return None
    until = epoch_or_none(hold.until)
    if until is None or view.now < until:
        return _reminds(view)
    if hold.then == "abort" and view.status.phase in ABORTABLE and view.status.rollback is None:
        return rollback.aborted(view, answers.over_aborts(view.canary, hold))
    reason, (written, memory) = answers.over(view.canary, hold), released(view)
    return act(reason, say(view, reason), Alert("info", reason.text), written, memory=memory)


def _reminds(view: View) -> Decision | None:
    days = _days(view)
    if view.status.hold is None or days < 1:
        return None
    reason = answers.still_held(view.canary, view.status.hold, int(days * DAY_SECONDS / HOUR_SECONDS))
    said = announce(view, reason, reason.code)
    return act(reason, *said, Alert("warn", reason.text)) if said else None


def _days(view: View) -> int:
    """The whole days of a hold."""
    since = epoch_or_none(view.status.hold.since) if view.status.hold else None
    return 0 if since is None else int((view.now - since) // DAY_SECONDS)


def timed(view: View, decision: Decision) -> Decision:
    """The decision, with a wake-up when the hold ends or has lasted another day."""
    hold = view.status.hold
    if hold is None:
        return decision
    until, since = epoch_or_none(hold.until), epoch_or_none(hold.since)
    return waking(view, decision, until, None if since is None else since + (_days(view) + 1) * DAY_SECONDS)
