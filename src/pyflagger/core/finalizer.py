"""Deletion with a way back: the target takes over again before anything that serves is taken away.

In order: the target's pods, and only once they are ready the apex Service and the routes, then our finalizer. Runs
whatever the manifest's problems are, and nothing else runs once deletion began. The steps of `transitions.DELETION`.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.core import reasons, takeover
from pyflagger.core.case import Case
from pyflagger.core.decision import Decision, PauseAutoscaler, ReleaseFinalizer, Revert
from pyflagger.core.memory import AT_WRITE


def begin(case: Case) -> Decision:
    """Say and write that deletion began."""
    reason = reasons.terminating(case.canary)
    written = case.write(Phase.TERMINATING, rollback="over")
    return case.act(reason, case.say(reason), written, memory=case.clean_slate(AT_WRITE))


def unread(case: Case) -> Decision | None:
    """What cannot be read cannot be handed back: wait for the right to."""
    unread = case.situation.unread
    return case.hold(reasons.blocked(unread[0])) if unread else None


def target(case: Case) -> Decision | None:
    """The target gets the primary's size and its autoscaler back. Repeated after a restart, which does no harm."""
    if not case.target.scalable or (case.memory.target_reverted and not case.target_asleep):
        return None
    resume = (PauseAutoscaler(False),) if case.situation.generated.target_autoscaler_paused else ()
    memory = replace(case.memory, target_reverted=True)
    return case.act(reasons.HANDING_BACK, *resume, Revert("target"), memory=memory)


def pods(case: Case) -> Decision | None:
    """Wait for the target's pods; until then the primary serves as before."""
    readiness = case.target.readiness
    if readiness.ready:
        return None
    wake = readiness.look_again if readiness.look_again is not None else case.now + case.situation.interval
    return case.hold(reasons.handing_back_holds(readiness.text), wake=wake)


def hand_back(case: Case) -> Decision | None:
    """Users go back to the target, and what served them stays until proxies have heard of it."""
    handed = case.memory.handed_back
    if handed is None:
        back = (*takeover.handed(case), Revert("apex-service"), Revert("routing"))
        return case.act(reasons.HANDING_BACK, *back, memory=replace(case.memory, handed_back=AT_WRITE))
    return case.until_heard(handed, reasons.HANDING_BACK)


def release(case: Case) -> Decision:
    """The object may go, and with it whatever is its own."""
    reason = reasons.terminated(case.canary)
    return case.act(reason, case.say(reason), ReleaseFinalizer())
