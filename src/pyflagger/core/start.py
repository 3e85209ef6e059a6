"""From idle to a run: is there something new, may it start, and the start itself.

Phases Initialized, Succeeded, Failed and Waiting. A revision is taken note of only together with the write that starts
its run (or refuses it), so none is lost to a crash or to a primary that is not ready just then.
"""

from __future__ import annotations

from pyflagger.api.canary import HookType, Phase
from pyflagger.api.facts import ALL_PRIMARY
from pyflagger.core import gates, handover, reasons, rollback
from pyflagger.core.case import Case, no_progress
from pyflagger.core.conditions import SCALING_DOWN, stand
from pyflagger.core.decision import Action, Alert, Decision, Ensure, Part, Say, WriteStatus
from pyflagger.core.evidence import agrees, call
from pyflagger.core.holding import hold_for_primary, overdue
from pyflagger.core.memory import AT_WRITE, DUE
from pyflagger.core.revision import Change, idle_change, refused


def change(case: Case) -> Change:
    """What the target is to an idle canary."""
    return idle_change(case.status, case.target, case.matches)


# Idle ---------------------------------------------------------------------------------------------------------------


def scale_down(case: Case) -> Decision | None:
    """After a release that succeeded, scale the target to zero once proxies know that it gets no traffic.

    The two seconds count from the end of the release, whoever was routed: they cost the release nothing.
    A new revision that may start reuses the pods. One that waits for approval or for the primary does not run.
    """
    if not any(told.type == SCALING_DOWN for told in case.status.conditions):
        return None
    if not case.awake:
        return case.act(reasons.SCALED_DOWN, WriteStatus(stand(case.status, SCALING_DOWN, (), case.now)))
    ready = case.primary_readiness.ready
    if ready and case.status.phase is not Phase.WAITING and change(case) is Change.NEW:
        return None
    if case.exposed:
        return case.act(reasons.ROUTING_TO_PRIMARY, *case.route_to(ALL_PRIMARY)) if ready else None
    return case.sleep(reasons.SCALING_DOWN)


def rebase(case: Case) -> Decision | None:
    """Write hashes anew that say the same as those that are there, or that cannot be compared with."""
    found = change(case)
    if found is Change.REBASE:
        taken = case.take_revision()
        if case.matches:
            taken["last_promoted_spec"] = case.target.revision
        return case.act(reasons.REBASED, case.write(**taken))
    if found is Change.REVERTED:
        return case.act(reasons.REFRESHED, case.write(**case.take_revision()))
    return None


def tidy(case: Case) -> Decision | None:
    """With nothing new: no traffic for a canary without pods, no pods for a canary that is not asked for, no litter."""
    if change(case) is Change.NEW or case.rescued:
        return None
    if case.exposed and case.target_asleep and case.primary_readiness.ready:
        return case.act(reasons.STRAY_TRAFFIC, *case.route_to(ALL_PRIMARY))
    if case.situation.generated.stale_configs != "ok":
        return case.act(reasons.CLEANING, Ensure(Part.STALE_CONFIGS))
    if case.situation.reassert_zero and not case.exposed:
        return case.sleep(reasons.SCALING_DOWN, led=case.leads)
    return None


def rest(case: Case) -> Decision | None:
    """Nothing to do until the target changes."""
    if change(case) is Change.NEW:
        return None
    failed = case.status.phase is Phase.FAILED
    reason = reasons.SERVING if case.rescued else reasons.REFUSED if failed else reasons.IDLE
    return Decision(reasons=(reason,))


# Waiting ------------------------------------------------------------------------------------------------------------


def retract(case: Case) -> Decision | None:
    """What waited for approval is no longer there: back to where the canary was."""
    found = change(case)
    if found is Change.NEW:
        return None
    if found is Change.NONE and (case.rescued or refused(case.status, case.matches)):
        return case.act(reasons.REFUSED, case.write(Phase.FAILED))
    reason = reasons.cancelled(case.canary)
    taken = case.take_revision()
    return case.act(
        reason, case.say(reason), case.write(Phase.INITIALIZED, message=reasons.CONDITION_CANCELLED, **taken)
    )


def poll(case: Case) -> Decision | None:
    """A closed gate is asked again every interval."""
    if case.last_tick is None:
        return case.act(reasons.INTERVAL, memory=case.memory.round_ended())
    return Decision(reasons=(reasons.INTERVAL,), wake=case.due) if case.now < case.due else None


def called_off(case: Case) -> Decision | None:
    """A rollback hook may call a run off before it starts; its revision is refused without having run."""
    hooks = call(case, HookType.ROLLBACK, case.status.phase, checksum=case.pending, stops=agrees)
    if hooks.ask:
        return hooks.ask
    if hooks.stopped is None:
        return None
    return rollback.before_start(case, hooks.stopped[0].name)


# Starting -----------------------------------------------------------------------------------------------------------


def unjudged(case: Case) -> Decision | None:
    """No release is begun that nothing could judge, but for one that replaces a primary which serves nobody."""
    missing = case.situation.unjudged
    if not missing or case.rescued or not case.primary_readiness.ready:
        return None
    return Decision(reasons=tuple(map(reasons.blocked, missing)))


def primary_first(case: Case) -> Decision | None:
    """Without a primary to fall back on nothing starts, but for what mends or replaces the primary.

    One that serves nobody is waited for until its deadline: then the new revision is judged on its own pods.
    """
    if case.skip or case.rescued or case.primary_readiness.ready:
        return None
    empty = case.primary is not None and case.primary.empty
    if case.primary_broken or (empty and overdue(case)):
        return rollback.owe_all(case)
    return None if case.primary_gone else hold_for_primary(case)


def unserved(case: Case) -> Decision | None:
    """A revision that cannot serve is taken on, so that it is refused: no pods are started, and no gate is asked."""
    if case.target.unserved is None:
        return None
    return case.act(
        reasons.unserved(case.canary, case.target.unserved),
        case.write(Phase.PROGRESSING, **no_progress(case.status.canary_weight), **case.take_revision()),
        memory=case.clean_slate(),
    )


def start(case: Case) -> Decision:
    """Ask the confirm-rollout gate, and start."""
    gate = call(case, HookType.CONFIRM_ROLLOUT, case.status.phase, checksum=case.pending)
    if gate.ask:
        return gate.ask
    passed = gate.passed(case, "Confirm-rollout", checksum=case.pending)
    if gate.stopped is None:
        return _go(case, passed)
    hook = gate.stopped[0]
    reason = reasons.waiting(case.canary, "", hook.name)
    if case.status.phase is Phase.WAITING:
        told = gates.told(case, gate, Phase.WAITING, case.pending)
        return case.act(reason, *told, *gates.stays(case, gate, hook), memory=case.memory.round_ended())
    alert = () if hook.mute_alert else (Alert("warn", reasons.ALERT_WAITING),)
    return case.act(
        reason,
        *passed,
        case.say(reason, warn=True, checksum=case.pending),
        *alert,
        *gates.told(case, gate, Phase.WAITING, case.pending),
        case.write(Phase.WAITING, halted=gates.fault(case, gate), waits=gates.waits(case, gate, hook), **case.tick()),
        memory=case.clean_slate(AT_WRITE),
    )


def _go(case: Case, passed: tuple[Say, ...]) -> Decision:
    """Scale up and take the revision. While the primary is broken the canary keeps all traffic, and is judged so."""
    rescued = case.rescued and not case.primary_readiness.ready
    home: tuple[Action, ...] = () if rescued or not case.primary_readiness.ready else case.route_to(ALL_PRIMARY)
    reason = reasons.new_revision(case.canary)
    tick = case.tick() if rescued else {"last_tick_time": None}
    return case.act(
        reason,
        *passed,
        case.say(reason, phase=Phase.PROGRESSING, checksum=case.pending),
        Alert("info", reasons.ALERT_NEW, with_fields=True),
        *handover.warnings(case),
        *home,
        *case.wake_up(),
        case.write(Phase.PROGRESSING, **no_progress(100 if rescued else 0), **tick, **case.take_revision()),
        memory=case.clean_slate(AT_WRITE if rescued else DUE),
    )
