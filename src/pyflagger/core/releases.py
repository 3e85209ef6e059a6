"""The number of a release and the images that it changes, for people. Called by `writing` at each change of phase.

flagger decides nothing by it. A release is numbered when a run begins, and again when a new revision restarts it.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import CanaryStatus, Phase
from pyflagger.api.published import ReleaseStatus
from pyflagger.api.steered import Undo
from pyflagger.core.view import View

BEGINS = (Phase.WAITING, Phase.PROGRESSING)
IDLE = (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)


def numbered(view: View, written: CanaryStatus, to: Phase) -> ReleaseStatus | None:
    """The release that a status in phase `to` is about."""
    known = view.status.release or ReleaseStatus()
    found = _numbered(view, written, to, known)
    return found if found.number else None


def _numbered(view: View, written: CanaryStatus, to: Phase, known: ReleaseStatus) -> ReleaseStatus:
    if to in BEGINS:
        return _begun(view, written, known)
    if written.undo is not None and view.status.undo is None:
        found = view.recorded(written.undo.to)
        return replace(known, number=_next(view, known), images=found.images if found else ())
    if view.status.undo is not None:
        return _undone(known, view.status.undo)
    if to is Phase.SUCCEEDED:
        return _promoted(known)
    if to is Phase.INITIALIZED and view.status.phase is Phase.INITIALIZING:
        return known if known.number else first(view)
    return known


def first(view: View) -> ReleaseStatus:
    """The release that the primary of a canary without a number runs. Records of an earlier Canary have theirs."""
    number = view.situation.history.last + 1
    return ReleaseStatus(number=number, promoted=number)


def _begun(view: View, written: CanaryStatus, known: ReleaseStatus) -> ReleaseStatus:
    """The release of a run that begins, or goes on. Its gate stores no revision, so it keeps the number of its wait."""
    before = view.status
    if before.phase is Phase.WAITING:
        return replace(known, images=view.situation.images)
    if before.phase in IDLE or _revision(before) != _revision(written):
        return replace(known, number=_next(view, known), images=view.situation.images)
    return known


def _next(view: View, known: ReleaseStatus) -> int:
    return max(known.number, view.situation.history.last) + 1


def _undone(known: ReleaseStatus, undo: Undo) -> ReleaseStatus:
    """The release, now that the primary runs an earlier one again, or still what it ran before."""
    if undo.failed or undo.to == known.promoted:
        return known
    return replace(known, promoted=undo.to, previous=known.promoted)


def _revision(status: CanaryStatus) -> tuple[object, ...]:
    return status.last_applied_spec, status.tracked_configs


def _promoted(known: ReleaseStatus) -> ReleaseStatus:
    """The release, now that the primary runs it."""
    if known.promoted == known.number:
        return known
    return replace(known, promoted=known.number, previous=known.promoted)
