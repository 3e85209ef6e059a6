"""Deletion with a way back: the target takes over again before anything that serves is taken away.

In order: the target's pods, and only once they are ready the apex Service and the routes, then our finalizer. Runs
whatever the manifest's problems are, and nothing else runs once deletion began. The rules of `transitions.DELETION`.
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
    """Say and write that deletion began."""
    reason = reasons.terminating(view.canary)
    written = write(view, Phase.TERMINATING, rollback="over")
    return act(reason, say(view, reason), written, memory=clean_slate(view, AT_WRITE))


def unread(view: View) -> Decision | None:
    """What cannot be read cannot be handed back: wait for the right to."""
    unread = view.situation.unread
    return hold(view, reasons.blocked(unread[0])) if unread else None


def target(view: View) -> Decision | None:
    """The target gets the primary's size and its autoscaler back. Repeated after a restart, which does no harm."""
    if not view.target.scalable or (view.memory.target_reverted and not view.target_asleep):
        return None
    resume = (PauseAutoscaler(False),) if view.situation.generated.target_autoscaler_paused else ()
    memory = replace(view.memory, target_reverted=True)
    return act(reasons.HANDING_BACK, *resume, Revert("target"), memory=memory)


def pods(view: View) -> Decision | None:
    """Wait for the target's pods; until then the primary serves as before."""
    readiness = view.target.readiness
    if readiness.ready:
        return None
    wake = readiness.look_again if readiness.look_again is not None else view.now + view.situation.interval
    return hold(view, reasons.handing_back_holds(readiness.text), wake=wake)


def hand_back(view: View) -> Decision | None:
    """Users go back to the target, and what served them stays until proxies have heard of it.

    Routes that begin to lead to other Services by it are written several times.
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
    """The object may go, and with it whatever is its own."""
    reason = reasons.terminated(view.canary)
    return act(reason, say(view, reason), ReleaseFinalizer())
