"""From idle to a run: is there something new, may it start, and the start itself.

Phases Initialized, Succeeded, Failed and Waiting. A revision is taken note of only together with the write that starts
its run (or refuses it), so none is lost to a crash or to a primary that is not ready just then.
"""

from __future__ import annotations

from pyflagger.api.canary import HookType, Phase
from pyflagger.api.facts import ALL_PRIMARY
from pyflagger.core import gates, handover, reasons, rollback
from pyflagger.core.actions import act, awake, route_to, say, sleep, wake_up
from pyflagger.core.clocks import due, last_tick, ticked
from pyflagger.core.conditions import SCALING_DOWN, stand
from pyflagger.core.decision import Action, Alert, Decision, Ensure, Part, Say, WriteStatus
from pyflagger.core.evidence import agrees, call
from pyflagger.core.memory import AT_WRITE, DUE
from pyflagger.core.remember import clean_slate
from pyflagger.core.revision import Change, idle_change, refused
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_primary, overdue
from pyflagger.core.writing import no_progress, take_revision, write


def change(view: View) -> Change:
    """What the target is to an idle canary."""
    return idle_change(view.status, view.target, view.matches)


# Idle ---------------------------------------------------------------------------------------------------------------


def scale_down(view: View) -> Decision | None:
    """After a release that succeeded, scale the target to zero once proxies know that it gets no traffic.

    The two seconds count from the end of the release, whoever was routed: they cost the release nothing.
    A new revision that may start reuses the pods. One that waits for approval or for the primary does not run.
    """
    if not any(told.type == SCALING_DOWN for told in view.status.conditions):
        return None
    if not awake(view):
        return act(reasons.SCALED_DOWN, WriteStatus(stand(view.status, SCALING_DOWN, (), view.now)))
    ready = view.primary_readiness.ready
    if ready and view.status.phase is not Phase.WAITING and change(view) is Change.NEW:
        return None
    if view.exposed:
        return act(reasons.ROUTING_TO_PRIMARY, *route_to(view, ALL_PRIMARY)) if ready else None
    return sleep(view, reasons.SCALING_DOWN)


def rebase(view: View) -> Decision | None:
    """Write hashes anew that say the same as those that are there, or that cannot be compared with."""
    found = change(view)
    if found is Change.REBASE:
        taken = take_revision(view)
        if view.matches:
            taken["last_promoted_spec"] = view.target.revision
        return act(reasons.REBASED, write(view, **taken))
    if found is Change.REVERTED:
        return act(reasons.REFRESHED, write(view, **take_revision(view)))
    return None


def tidy(view: View) -> Decision | None:
    """With nothing new: no traffic for a canary without pods, no pods for a canary that is not asked for, no litter."""
    if change(view) is Change.NEW or view.rescued:
        return None
    if view.exposed and view.target_asleep and view.primary_readiness.ready:
        return act(reasons.STRAY_TRAFFIC, *route_to(view, ALL_PRIMARY))
    if view.situation.generated.stale_configs != "ok":
        return act(reasons.CLEANING, Ensure(Part.STALE_CONFIGS))
    if view.situation.reassert_zero and not view.exposed:
        return sleep(view, reasons.SCALING_DOWN, led=view.leads)
    return None


def rest(view: View) -> Decision | None:
    """Nothing to do until the target changes."""
    if change(view) is Change.NEW:
        return None
    failed = view.status.phase is Phase.FAILED
    reason = reasons.SERVING if view.rescued else reasons.REFUSED if failed else reasons.IDLE
    return Decision(reasons=(reason,))


# Waiting ------------------------------------------------------------------------------------------------------------


def retract(view: View) -> Decision | None:
    """What waited for approval is no longer there: back to where the canary was."""
    found = change(view)
    if found is Change.NEW:
        return None
    if found is Change.NONE and (view.rescued or refused(view.status, view.matches)):
        return act(reasons.REFUSED, write(view, Phase.FAILED))
    reason = reasons.cancelled(view.canary)
    taken = take_revision(view)
    return act(reason, say(view, reason), write(view, Phase.INITIALIZED, message=reasons.CONDITION_CANCELLED, **taken))


def poll(view: View) -> Decision | None:
    """A closed gate is asked again every interval."""
    if last_tick(view) is None:
        return act(reasons.INTERVAL, memory=view.memory.round_ended())
    return Decision(reasons=(reasons.INTERVAL,), wake=due(view)) if view.now < due(view) else None


def called_off(view: View) -> Decision | None:
    """A rollback hook may call a run off before it starts; its revision is refused without having run."""
    hooks = call(view, HookType.ROLLBACK, view.status.phase, checksum=view.pending, stops=agrees)
    if hooks.ask:
        return hooks.ask
    if hooks.stopped is None:
        return None
    return rollback.before_start(view, hooks.stopped[0].name)


# Starting -----------------------------------------------------------------------------------------------------------


def unjudged(view: View) -> Decision | None:
    """No release is begun that nothing could judge, but for one that replaces a primary which serves nobody."""
    missing = view.situation.unjudged
    if not missing or view.rescued or not view.primary_readiness.ready:
        return None
    return Decision(reasons=tuple(map(reasons.blocked, missing)))


def primary_first(view: View) -> Decision | None:
    """Without a primary to fall back on nothing starts, but for what mends or replaces the primary.

    One that serves nobody is waited for until its deadline: then the new revision is judged on its own pods.
    """
    if view.skip or view.rescued or view.primary_readiness.ready:
        return None
    empty = view.primary is not None and view.primary.empty
    if view.primary_broken or (empty and overdue(view)):
        return rollback.owe_all(view)
    return None if view.primary_gone else hold_for_primary(view)


def unserved(view: View) -> Decision | None:
    """A revision that cannot serve is taken on, so that it is refused: no pods are started, and no gate is asked."""
    if view.target.unserved is None:
        return None
    return act(
        reasons.unserved(view.canary, view.target.unserved),
        write(view, Phase.PROGRESSING, **no_progress(view.status.canary_weight), **take_revision(view)),
        memory=clean_slate(view),
    )


def start(view: View) -> Decision:
    """Ask the confirm-rollout gate, and start."""
    gate = call(view, HookType.CONFIRM_ROLLOUT, view.status.phase, checksum=view.pending)
    if gate.ask:
        return gate.ask
    passed = gate.passed(view, "Confirm-rollout", checksum=view.pending)
    if gate.stopped is None:
        return _go(view, passed)
    hook = gate.stopped[0]
    reason = reasons.waiting(view.canary, "", hook.name)
    if view.status.phase is Phase.WAITING:
        told = gates.told(view, gate, Phase.WAITING, view.pending)
        return act(reason, *told, *gates.stays(view, gate, hook), memory=view.memory.round_ended())
    alert = () if hook.mute_alert else (Alert("warn", reasons.ALERT_WAITING),)
    return act(
        reason,
        *passed,
        say(view, reason, warn=True, checksum=view.pending),
        *alert,
        *gates.told(view, gate, Phase.WAITING, view.pending),
        write(view, Phase.WAITING, halted=gates.fault(view, gate), waits=gates.waits(view, gate, hook), **ticked(view)),
        memory=clean_slate(view, AT_WRITE),
    )


def _go(view: View, passed: tuple[Say, ...]) -> Decision:
    """Scale up and take the revision. While the primary is broken the canary keeps all traffic, and is judged so."""
    rescued = view.rescued and not view.primary_readiness.ready
    home: tuple[Action, ...] = () if rescued or not view.primary_readiness.ready else route_to(view, ALL_PRIMARY)
    reason = reasons.new_revision(view.canary)
    tick = ticked(view) if rescued else {"last_tick_time": None}
    return act(
        reason,
        *passed,
        say(view, reason, phase=Phase.PROGRESSING, checksum=view.pending),
        Alert("info", reasons.ALERT_NEW, with_fields=True),
        *handover.warnings(view),
        *home,
        *wake_up(view),
        write(view, Phase.PROGRESSING, **no_progress(100 if rescued else 0), **tick, **take_revision(view)),
        memory=clean_slate(view, AT_WRITE if rescued else DUE),
    )
