"""A deleted primary: from which template flagger creates it again.

Never from a template that was not judged: from the target if that runs the primary's revision, and otherwise from the
record of the promoted release. While neither is possible, a new revision is judged on its own pods. `preconditions`
asks before it reports problems, and when it restores objects.
"""

from __future__ import annotations

from pyflagger.api.canary import Phase
from pyflagger.api.facts import Problem
from pyflagger.core import absent, bootstrap, reasons, rollback, start
from pyflagger.core.actions import act, say
from pyflagger.core.decision import Decision, Ensure, Part, Promote
from pyflagger.core.releases import IDLE
from pyflagger.core.revision import RevisionChange, configs_changed
from pyflagger.core.situation import ReadRecord, Recorded
from pyflagger.core.view import View

COPIED = (Phase.PROMOTING, Phase.FINALISING)
"""Phases after the copy of the judged revision."""

WORKLOADS = ("Deployment ", "DaemonSet ")


def ask(view: View) -> Decision | None:
    """Read the record of the promoted release, if the primary can be created from nothing else."""
    number = _promoted(view)
    if not number or view.recorded(number) or not _lost(view):
        return None
    return Decision(needs=(ReadRecord(number),), reasons=(reasons.REPAIRING,))


def restore(view: View) -> Decision | None:
    """Create a deleted primary again. In a promotion that waits for it, a judged canary serves until then."""
    if view.situation.generated.primary_workload == "ok":
        return None
    if view.primary is None and not _copied(view):
        return _from_record(view) if _lost(view) else None
    covered = rollback.cover_copied(view) if view.status.phase in COPIED else None
    return covered or act(reasons.REPAIRING, Ensure(Part.PRIMARY_WORKLOAD))


def problem(view: View) -> Problem | None:
    """A missing primary that flagger cannot create: the target runs neither the promoted revision nor a new one.

    flagger creates no primary of another target while the primary of the previous target serves.
    """
    if not _gone(view):
        return None
    if _moved(view):
        return absent.other_target(view.canary)
    if not _lost(view):
        return None
    found = view.recorded(_promoted(view))
    return None if _usable(view, found) else absent.not_restorable(view.canary, found.text if found else "")


def _gone(view: View) -> bool:
    """Whether the primary was deleted, and the target's template is not the primary's."""
    gone = view.primary is None and view.primary_gone
    return gone and not bootstrap.under_way(view) and not _copied(view)


def _moved(view: View) -> bool:
    return any(left.startswith(WORKLOADS) for left in view.situation.left)


def _lost(view: View) -> bool:
    """Whether neither the target nor a release under way can replace the primary."""
    if not _gone(view) or _moved(view) or view.status.phase not in IDLE:
        return False
    return not view.rescued and start.change(view) is not RevisionChange.NEW


def _copied(view: View) -> bool:
    """Whether the target runs the primary's revision, and flagger can copy it."""
    if view.status.undo is not None:
        return False
    if view.status.phase in COPIED and view.target.revision == view.status.last_applied_spec:
        return not configs_changed(view.status, view.target)
    return view.target.revision == view.status.last_promoted_spec


def _promoted(view: View) -> int:
    """The release whose record has the primary's template; 0 without records."""
    release = view.status.release
    return release.promoted if release and view.situation.history.keep else 0


def _usable(view: View, found: Recorded | None) -> bool:
    return found is not None and not found.code and found.revision == view.status.last_promoted_spec


def _from_record(view: View) -> Decision:
    """Only with a record that has the primary's template: `problem` stops every other."""
    number = _promoted(view)
    reason = absent.rebuilt(view.canary, number)
    return act(reason, say(view, reason, warn=True), Promote(view.status.last_promoted_spec, number))
