"""Deletion: the target takes over before flagger removes anything that serves.

In order: the target's pods, once they are ready the apex Service and the routes, and then the finalizer. Problems of
the manifest do not stop it, and nothing else runs once it has started. The rules of `transitions.DELETION`.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.core import reasons, takeover
from pyflagger.core.actions import act, hold, say
from pyflagger.core.clocks import until_heard
from pyflagger.core.decision import Decision, PauseAutoscaler, ReleaseFinalizer, Revert
from pyflagger.core.memory import AT_WRITE
from pyflagger.core.remember import clean_slate
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_backends
from pyflagger.core.writing import write


def begin(view: View) -> Decision:
    """Report and record the start of the deletion."""
    reason = reasons.terminating(view.canary)
    written = write(view, Phase.TERMINATING, rollback="over")
    return act(reason, say(view, reason), written, memory=clean_slate(view, AT_WRITE))


def unread(view: View) -> Decision | None:
    """Wait for the right to read the objects, because flagger cannot restore objects that it cannot read."""
    unread = view.situation.unread
    return hold(view, reasons.blocked(unread[0])) if unread else None


def target(view: View) -> Decision | None:
    """Scale the target to the primary's size and resume its autoscaler. A restart repeats this, which is safe."""
    if not view.target.scalable or (view.memory.target_reverted and not view.target_asleep):
        return None
    resume = (PauseAutoscaler(False),) if view.situation.generated.target_autoscaler_paused else ()
    memory = replace(view.memory, target_reverted=True)
    return act(reasons.HANDING_BACK, *resume, Revert("target"), memory=memory)


def pods(view: View) -> Decision | None:
    """Wait for the target's pods. Until then the primary serves."""
    readiness = view.target.readiness
    if readiness.ready:
        return None
    wake = readiness.look_again if readiness.look_again is not None else view.now + view.situation.interval
    return hold(view, reasons.handing_back_holds(readiness.text), wake=wake)


def hand_back(view: View) -> Decision | None:
    """Return visitors to the target. The primary stays until proxies know the new route.

    flagger writes routes several times if they change to other Services.
    """
    handed, announced = view.memory.handed_back, view.situation.handed.announced
    holds = hold_for_backends(view, announced)
    if holds:
        return holds
    if handed is None or announced:
        told = () if announced else takeover.handed(view)
        back = (*told, Revert("apex-service"), Revert("routing"))
        return act(reasons.HANDING_BACK, *back, memory=replace(view.memory, handed_back=AT_WRITE))
    return until_heard(view, handed, reasons.HANDING_BACK)


def release(view: View) -> Decision:
    """Remove the finalizer. The garbage collector then deletes the objects that the Canary owns."""
    reason = reasons.terminated(view.canary)
    return act(reason, say(view, reason), ReleaseFinalizer())
