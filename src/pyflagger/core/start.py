"""From idle to a run: whether there is a new revision, whether it may start, and the start.

Phases Initialized, Succeeded, Failed and Waiting. flagger records a revision only with the write that starts its run
(or refuses it), so that neither a crash nor a primary that is not ready loses one.
"""

from __future__ import annotations

from pyflagger.api.canary import HookType, Phase
from pyflagger.api.facts import ALL_PRIMARY
from pyflagger.core import gates, handover, reasons, rollback
from pyflagger.core.actions import act, awake, route_to, say, sleep, wake_up
from pyflagger.core.clocks import due, last_tick, ticked
from pyflagger.core.conditions import SCALING_DOWN, stand
from pyflagger.core.decision import Action, Alert, Decision, Ensure, Part, WriteStatus
from pyflagger.core.evidence import agrees, call
from pyflagger.core.memory import AT_WRITE, DUE
from pyflagger.core.remember import clean_slate
from pyflagger.core.revision import RevisionChange, idle_change, refused
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_primary, overdue
from pyflagger.core.writing import adopt_revision, no_progress, take_revision, write


def change(view: View) -> RevisionChange:
    """The change of the target, for an idle canary. A failed revision that a person retries is new."""
    if view.status.again == view.pending:
        return RevisionChange.NEW
    return idle_change(view.status, view.target, view.matches)


# Idle ---------------------------------------------------------------------------------------------------------------


def scale_down(view: View) -> Decision | None:
    """After a release that succeeded, scale the target to zero once proxies know that it gets no traffic.

    The two seconds count from the end of the release, so they do not delay it. A new revision that may start reuses the
    pods. One that waits for approval or for the primary does not.
    """
    if not any(told.type == SCALING_DOWN for told in view.status.conditions):
        return None
    if not awake(view):
        return act(reasons.SCALED_DOWN, WriteStatus(stand(view.status, SCALING_DOWN, (), view.now)))
    ready = view.primary_readiness.ready
    if ready and view.status.phase is not Phase.WAITING and change(view) is RevisionChange.NEW:
        return None
    if view.exposed:
        return act(reasons.ROUTING_TO_PRIMARY, *route_to(view, ALL_PRIMARY)) if ready else None
    return sleep(view, reasons.SCALING_DOWN)


def rebase(view: View) -> Decision | None:
    """Rewrite hashes of the same revision, and hashes that cannot be compared."""
    found = change(view)
    if found is RevisionChange.REBASE:
        applied, promoted = view.status.last_applied_spec, view.status.last_promoted_spec
        if not view.matches:
            return act(reasons.REBASED, write(view, **adopt_revision(view, applied)))
        both = adopt_revision(view, promoted or applied, last_promoted_spec=view.target.revision)
        return act(reasons.REBASED, write(view, **both))
    if found is RevisionChange.REVERTED:
        return act(reasons.REFRESHED, write(view, **take_revision(view)))
    return None


def tidy(view: View) -> Decision | None:
    """Without a new revision: remove traffic from a canary without pods, pods of an idle canary, and unused configs."""
    if change(view) is RevisionChange.NEW or view.rescued:
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
    if change(view) is RevisionChange.NEW:
        return None
    failed = view.status.phase is Phase.FAILED
    reason = reasons.SERVING if view.rescued else reasons.REFUSED if failed else reasons.IDLE
    return Decision(reasons=(reason,))


# Waiting ------------------------------------------------------------------------------------------------------------


def retract(view: View) -> Decision | None:
    """The revision that waited for approval was withdrawn: return to the previous phase."""
    found = change(view)
    if found is RevisionChange.NEW:
        return None
    if found is RevisionChange.NONE and (view.rescued or refused(view.status, view.matches)):
        return act(reasons.REFUSED, write(view, Phase.FAILED))
    reason = reasons.cancelled(view.canary)
    taken = take_revision(view)
    return act(
        reason,
        say(view, reason),
        Alert("info", reasons.ALERT_CANCELLED),
        write(view, Phase.INITIALIZED, message=reasons.CONDITION_CANCELLED, **taken),
    )


def poll(view: View) -> Decision | None:
    """Ask a closed gate again every interval."""
    if last_tick(view) is None:
        return act(reasons.INTERVAL, memory=view.memory.round_ended())
    return Decision(reasons=(reasons.INTERVAL,), wake=due(view)) if view.now < due(view) else None


def called_off(view: View) -> Decision | None:
    """A rollback hook can cancel a run before it starts. flagger then refuses its revision."""
    hooks = call(view, HookType.ROLLBACK, view.status.phase, checksum=view.pending, stops=agrees)
    if hooks.ask:
        return hooks.ask
    if hooks.stopped is None:
        return None
    return rollback.before_start(view, hooks.stopped[0].name)


# Starting -----------------------------------------------------------------------------------------------------------


def unjudged(view: View) -> Decision | None:
    """No release starts that flagger could not judge, except one that replaces a primary without available pods."""
    missing = view.situation.unjudged
    if not missing or view.rescued or not view.primary_readiness.ready:
        return None
    return Decision(reasons=tuple(map(reasons.blocked, missing)))


def primary_first(view: View) -> Decision | None:
    """Without a ready primary no release starts, except one that repairs or replaces the primary.

    flagger waits for a primary without available pods until its deadline. Then it judges the new revision on its own
    pods.
    """
    if view.skip or view.full or view.rescued or view.primary_readiness.ready:
        return None
    empty = view.primary is not None and view.primary.empty
    if view.primary_broken or (empty and overdue(view)):
        return rollback.owe_all(view)
    return None if view.primary_gone else hold_for_primary(view)


def unserved(view: View) -> Decision | None:
    """Start a revision that cannot serve, so that the run refuses it. Starts no pods and asks no gate."""
    if view.target.unserved is None or view.status.hold is not None:
        return None
    return act(
        reasons.unserved(view.canary, view.target.unserved),
        write(view, Phase.PROGRESSING, **no_progress(view.status.canary_weight), **take_revision(view)),
        memory=clean_slate(view),
    )


def start(view: View, said: tuple[Action, ...] = ()) -> Decision:
    """Ask the confirm-rollout gate, and start."""
    gate = call(view, HookType.CONFIRM_ROLLOUT, view.status.phase, checksum=view.pending)
    if gate.ask:
        return gate.ask
    passed = gate.passed(view, "Confirm-rollout", checksum=view.pending)
    if gate.stopped is None:
        return _go(view, (*said, *passed))
    hook = gate.stopped[0]
    reason = reasons.waiting(view.canary, "", hook.name)
    told = gates.told(view, gate, hook, Phase.WAITING, view.pending)
    if view.status.phase is Phase.WAITING:
        if gates.over(view, hook):
            return gates.defaults(view, hook, said, start)
        return act(reason, *said, *told, *gates.stays(view, gate, hook), memory=view.memory.round_ended())
    alert = () if hook.mute_alert else (Alert("warn", reasons.ALERT_WAITING),)
    return act(
        reason,
        *passed,
        say(view, reason, warn=True, checksum=view.pending),
        *alert,
        *told,
        write(view, Phase.WAITING, **gates.stands(view, gate, hook), **ticked(view)),
        memory=clean_slate(view, AT_WRITE),
    )


def _go(view: View, passed: tuple[Action, ...]) -> Decision:
    """Scale up and record the revision. While the primary is broken, the canary keeps all traffic."""
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
