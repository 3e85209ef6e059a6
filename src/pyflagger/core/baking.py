"""Baking: flagger judges the primary for some time after a promotion, and undoes a release that fails there.

Both sides run the new version then, so nothing is compared: the limits of the metrics judge. Only a value outside its
limits is a failed check. No data, an error and a dry run are none, because a fault of a metrics server is no reason to
take back a release that visitors already have. Phase Succeeded; a new revision ends it. Called through `transitions`.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import Canary
from pyflagger.api.durations import epoch_or_none
from pyflagger.core import reasons, undo
from pyflagger.core.actions import act, once, say
from pyflagger.core.clocks import due
from pyflagger.core.decision import Action, Alert, Decision, Reason, WriteStatus
from pyflagger.core.policy import bare
from pyflagger.core.revision import RevisionChange
from pyflagger.core.situation import CheckMetric
from pyflagger.core.start import change
from pyflagger.core.verdict import Check, checks, judge, lacks_data
from pyflagger.core.view import View
from pyflagger.core.writing import bakes

BY = "flagger"
JUDGING = Reason("baking", "Judging the promoted version.")


def carry_on(view: View) -> Decision | None:
    """Judge the primary every interval, until the bake ends."""
    bake, spec = view.status.bake, view.analysis.bake
    if bake is None or change(view) is RevisionChange.NEW:
        return None
    until = epoch_or_none(bake.until)
    if spec is None or until is None or view.now >= until:
        return _over(view)
    if view.now < due(view):
        return Decision(reasons=(JUDGING,), wake=min(until, due(view)))
    rounds = [(check, replace(check.need, primary=True)) for check in checks(view.analysis) if check.need is not None]
    missing = tuple(need for _, need in rounds if need not in view.situation.evidence)
    if missing:
        return Decision(needs=missing, reasons=(reasons.ASKING,))
    failed = [reason for check, need in rounds if (reason := _failure(view, check, need)) is not None]
    if not failed:
        return _noted(view, 0)
    if bake.failed + 1 < spec.threshold:
        return _noted(view, bake.failed + 1, failed[0])
    return _undo(view, failed[0], bake.failed + 1)


def _failure(view: View, check: Check, need: CheckMetric) -> Reason | None:
    """Why a check of the primary fails. None if it passes or says nothing."""
    reason = judge(view.canary, view.situation.provider, check.metric, need.source, view.situation.evidence[need])
    silent = reason is None or reason.fault is not None or lacks_data(reason)
    return None if silent or check.metric.dry_run else reason


def _noted(view: View, failed: int, why: Reason | None = None) -> Decision:
    """The end of a round. The status changes only with the number of failed checks in a row."""
    bake = view.status.bake
    said: tuple[Action, ...] = ()
    if why is not None and view.analysis.bake is not None:
        said = (say(view, _bad(bare(why), why.todo, failed, view.analysis.bake.threshold), warn=True),)
    if bake is not None and failed != bake.failed:
        said += (WriteStatus(bakes(view, view.status.but(bake=replace(bake, failed=failed)))),)
    return act(JUDGING, *said, memory=view.memory.round_ended())


def _undo(view: View, why: Reason, failed: int) -> Decision:
    """Take the release back, or say why that is impossible, and end the bake."""
    text = f"{bare(why)} ({failed} failed checks in a row after the promotion)"
    found = undo.begin(view, 0, BY, text)
    if isinstance(found, Decision):
        return found
    reason = _stuck(view.canary, text, found.text)
    return _ended(view, reason, *once(view, reason, warn=True), Alert("error", reason.text))


def _over(view: View) -> Decision:
    """The time is over, or the Canary has no bake any longer."""
    reason = _passed(view.canary)
    return _ended(view, reason, say(view, reason), Alert("info", reason.text))


def _ended(view: View, reason: Reason, *said: Action) -> Decision:
    return act(reason, *said, WriteStatus(bakes(view, view.status.but(bake=None))))


# Texts --------------------------------------------------------------------------------------------------------------


def _bad(why: str, todo: str, failed: int, threshold: int) -> Reason:
    """A check of the primary failed after a promotion."""
    return Reason("bake-failed", f"After the promotion: {why} ({failed} of {threshold} in a row)", todo)


def _stuck(canary: Canary, why: str, refused: str) -> Reason:
    """A promoted version fails its checks, and nothing can be undone."""
    text = f"The promoted version of {reasons.whose(canary)} fails, and flagger cannot undo it: {refused}. {why}"
    return Reason("bake-not-undone", text, "Release a version that works.")


def _passed(canary: Canary) -> Reason:
    """The bake ended well."""
    return Reason("baked", f"Bake of {reasons.whose(canary)} is over: its checks passed after the promotion")
