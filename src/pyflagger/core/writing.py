"""The status to write: progress, phase, and the conditions that follow from them.

The only place where a status enters a phase. `transitions` says which rule may write which phase. Called by the phases
of `core`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pyflagger.api import cookies
from pyflagger.api.canary import CanaryStatus, Phase
from pyflagger.api.durations import second
from pyflagger.api.hashes import SameRevision
from pyflagger.core import answers, reasons
from pyflagger.core.actions import awake
from pyflagger.core.conditions import (
    BAKING,
    HALTED,
    SCALING_DOWN,
    Rollback,
    Waits,
    enter,
    explain,
    roll_back,
    stand,
    standing,
)
from pyflagger.core.decision import Reason, WriteStatus
from pyflagger.core.releases import BEGINS, IDLE, numbered
from pyflagger.core.revision import ours
from pyflagger.core.view import View

_ENDS: Mapping[Phase | None, tuple[str, ...]] = {
    Phase.PROGRESSING: ("again",),
    Phase.PROMOTING: ("promote", "bake"),
    **dict.fromkeys(IDLE, ("again", "gates", "promote")),
}
"""What people asked for, and the bake, which end with a phase."""


def write(
    view: View,
    to: Phase | None = None,
    *,
    message: str = "",
    halted: Reason | None = None,
    rollback: Rollback | Literal["over", "as it is"] = "as it is",
    waits: Waits | None = None,
    **changes: Any,
) -> WriteStatus:
    """The status with changes, in phase `to` if given. Cookies follow the weight.

    `halted`: the reason that stops the run. Without it the condition ends, except in a run that fails. `rollback`:
    starts or ends a rollback. `waits`: the gate that the release waits for. A release that writes here waits for
    nothing else, so another condition `Waiting` ends. The condition `ScalingDown` lasts from success until the target
    is at zero, or until the next run.
    """
    changes["unread"] = ()
    changes |= dict.fromkeys(_ENDS.get(to, ()))
    if "canary_weight" in changes:
        changes |= cookies.changes(view.canary, changes["canary_weight"])
    if changes.get("last_tick_time", view.status.last_tick_time) is None:
        changes["results"] = ""
        if to in BEGINS:
            changes |= {"round": None, "comparisons": None, "bake": None}
    status = view.status.but(**changes)
    if to is not None:
        status = enter(view.status, to, now=view.now, kind=view.kind, message=message, **changes)
        status = status.but(release=numbered(view, status, to))
    if rollback != "as it is":
        status = roll_back(status, None if rollback == "over" else rollback, view.now)
    failing = to is Phase.FAILED or status.rollback is not None
    if halted is not None or not failing:
        status = stand(status, HALTED, (halted,) if halted else (), view.now)
    if to is Phase.SUCCEEDED and awake(view):
        status = stand(status, SCALING_DOWN, (reasons.SCALING_DOWN,), view.now)
    elif to not in (None, Phase.WAITING):
        status = stand(status, SCALING_DOWN, (), view.now)
    status = bakes(view, status)
    if waits or status.phase is Phase.PROGRESSING:
        status = explain(status, waits, view.now)
    held = answers.held(view.canary, status.hold) if status.hold else None
    return WriteStatus(_remembered(standing(status, held, view.now)))


def bakes(view: View, status: CanaryStatus) -> CanaryStatus:
    """The status with the condition of its bake, or without one."""
    bake, spec = status.bake, view.analysis.bake
    if bake is None or spec is None:
        return stand(status, BAKING, (), view.now)
    done = f"Failed checks in a row: {bake.failed} of {spec.threshold}"
    told = Reason("baking", f"flagger judges the promoted version until {bake.until}. {done}")
    return stand(status, BAKING, (told,), view.now)


def _remembered(status: CanaryStatus) -> CanaryStatus:
    """The status, without the reference's hash of a revision that it no longer names."""
    same = status.same_revision
    named = same is not None and same.ours in (status.last_applied_spec, status.last_promoted_spec)
    return status if same is None or named else status.but(same_revision=None)


def take_revision(view: View) -> dict[str, Any]:
    """The changes of a status that records the current revision of the target."""
    configs = view.target.configs
    return {
        "last_applied_spec": view.target.revision,
        "tracked_configs": None if configs is None else dict(configs),
    }


def adopt_revision(view: View, theirs: str, **changes: Any) -> dict[str, Any]:
    """The changes of a status that records the current revision. `theirs` is the hash of it in the reference.

    flagger keeps that hash beside its own, unless the status still names another revision by it.
    """
    taken = {"last_promoted_spec": view.status.last_promoted_spec, **take_revision(view), **changes}
    if theirs and not ours(theirs) and theirs != taken["last_promoted_spec"]:
        taken["same_revision"] = SameRevision(theirs, view.target.revision, second(view.now))
    return taken


def no_progress(weight: int = 0) -> dict[str, Any]:
    """The changes of a status at the start or end of a run."""
    return {"failed_checks": 0, "canary_weight": weight, "iterations": 0, "rollback": "over"}
