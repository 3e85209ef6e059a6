"""From an approved canary to a primary that runs the same: copy, wait, move traffic back.

Phases Promoting and Finalising. After the copy only the primary decides: it becomes ready and takes all traffic, or the
promotion has failed and the canary keeps serving. What the canary's pods do by then stops nothing.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Route
from pyflagger.core import reasons, rollback
from pyflagger.core.case import Case, no_progress
from pyflagger.core.conditions import Cause, Rollback
from pyflagger.core.decision import (
    Action,
    Alert,
    Count,
    Decision,
    Ensure,
    Part,
    Promote,
    SetRoute,
)
from pyflagger.core.holding import hold_for_primary
from pyflagger.core.memory import AT_WRITE
from pyflagger.core.revision import configs_changed, ours


def copy(case: Case, *before: Action) -> Decision:
    """Replace the primary's template by the one that was judged."""
    reason = reasons.copying(case.canary)
    return case.act(
        reason,
        *before,
        case.say(reason, phase=Phase.PROMOTING),
        Promote(case.target.revision),
        case.write(Phase.PROMOTING, last_tick_time=None),
        memory=case.clean_slate(),
    )


def already_copied(case: Case) -> Decision:
    """The copy was made, and the operator stopped before it could say so."""
    written = case.write(Phase.PROMOTING, last_tick_time=None)
    return case.act(reasons.copying(case.canary), written, memory=case.clean_slate())


# Promoting and Finalising -------------------------------------------------------------------------------------------


def rebase(case: Case) -> Decision | None:
    """A foreign hash becomes ours once the primary is known to run the target's template."""
    if ours(case.status.last_applied_spec) or not case.matches or configs_changed(case.status, case.target):
        return None
    return case.act(reasons.REBASED, case.write(**case.take_revision()))


def give_up(case: Case) -> Decision | None:
    """Go on with a failed promotion that has begun: the canary keeps all traffic, if it can take it."""
    if case.status.rollback is None:
        return None
    reason = reasons.promotion_failed(case.canary, case.primary_readiness.text)
    if case.canary_ready and case.route != ALL_CANARY:
        return case.act(reason, SetRoute(ALL_CANARY, everyone=True))
    return rollback.fail(case, reason, 100)


def primary_ready(case: Case) -> Decision | None:
    """Wait for the primary; past its deadline the promotion has failed."""
    readiness = case.primary_readiness
    if readiness.ready:
        return None
    if readiness.retriable:
        return hold_for_primary(case)
    reason = reasons.promotion_failed(case.canary, readiness.text)
    return case.act(
        reason,
        *case.once(reasons.primary_not_ready(readiness.text), warn=True),
        case.say(reason, warn=True),
        Alert("error", reasons.alert_promotion(readiness.text)),
        *((SetRoute(ALL_CANARY, everyone=True),) if case.canary_ready else ()),
        case.write(halted=reason, rollback=Rollback(Cause.PROMOTION, reason), canary_weight=100),
    )


def settled(case: Case) -> Decision | None:
    """Proxies learn where the primary's pods are: after a rollout that kept none of them, they know of no one."""
    if not (case.drains and case.canary_carries_all):
        return None
    seen = case.memory.primary_seen
    if seen is None:
        return case.act(reasons.SETTLING_PRIMARY, memory=replace(case.memory, primary_seen=AT_WRITE))
    return case.until_settled(seen, reasons.SETTLING_PRIMARY)


def autoscaler(case: Case) -> Decision | None:
    """The primary's autoscaler follows the target's with each promotion."""
    made = case.situation.generated
    if made.primary_autoscaler == "ok":
        return None
    reason = reasons.autoscaler_follows(case.canary, made.autoscaler_edit)
    told = (case.say(reason),) if made.autoscaler_edit else ()
    return case.act(reason if told else reasons.REPAIRING, Ensure(Part.PRIMARY_AUTOSCALER), *told)


def go_home(case: Case) -> Decision | None:
    """Move all traffic to the primary at once, unless it is to go back in steps.

    With a newer revision in the target the canary's pods are unvetted: no more steps with them.
    """
    if _stepped(case):
        return None
    if case.skip:
        return case.act(reasons.ROUTING_TO_PRIMARY, *case.route_to(ALL_PRIMARY)) if case.exposed else None
    reason = reasons.ROUTING_TO_PRIMARY
    told = () if case.virtual else (case.say(reason),)
    return case.act(
        reason, *told, *case.route_to(ALL_PRIMARY), case.write(Phase.FINALISING, canary_weight=0, iterations=0)
    )


def _stepped(case: Case) -> bool:
    """Whether traffic goes back in steps. Match rules (A/B) and a provider that splits nothing have none."""
    if case.skip or case.virtual or case.strategy == "ab-testing" or _stale(case):
        return False
    return case.analysis.step_weight_promotion > 0 and max(case.route.canary, case.status.canary_weight) > 0


def _stale(case: Case) -> bool:
    """Whether the target is no longer what was copied."""
    return case.target.revision != case.status.last_applied_spec or configs_changed(case.status, case.target)


def step_home(case: Case) -> Decision | None:
    """Move traffic to the primary by a step each interval."""
    if case.skip:
        return None
    if case.route.canary < case.status.canary_weight:
        return _stepped_to(case, case.route.primary)
    if case.last_tick is None:
        return case.act(reasons.INTERVAL, memory=case.memory.round_ended())
    if case.now < case.due:
        return Decision(reasons=(reasons.INTERVAL,), wake=case.due)
    return _stepped_to(case, min(100, case.route.primary + case.analysis.step_weight_promotion))


def _stepped_to(case: Case, share: int) -> Decision:
    """The primary has, or gets, this share. A step that the routes show already is only written down."""
    reason = reasons.primary_weight(case.canary, share)
    progress = {"canary_weight": 0, "iterations": 0} if share == 100 else {"canary_weight": 100 - share}
    return case.act(
        reason,
        *case.route_to(Route(share, 100 - share)),
        case.say(reason),
        case.write(Phase.FINALISING if share == 100 else None, **case.tick(**progress)),
        memory=case.memory.round_ended(),
    )


def leave(case: Case) -> Decision | None:
    """All traffic to the primary. The canary's pods are removed after the end of the release (`start.scale_down`)."""
    return case.act(reasons.ROUTING_TO_PRIMARY, *case.route_to(ALL_PRIMARY)) if case.exposed else None


def finish(case: Case) -> Decision:
    """The end of a release. What was copied is what is promoted, whatever the target says by now."""
    told, ask = rollback.post_rollout(case, Phase.SUCCEEDED)
    if ask is not None:
        return ask
    reason = reasons.completed(case.canary, case.skip)
    return case.act(
        reason,
        *told,
        case.say(reason, phase=Phase.SUCCEEDED),
        Alert("info", reasons.ALERT_SKIPPED if case.skip else reasons.ALERT_COMPLETED),
        Count("success", "skipped" if case.skip else "completed"),
        case.write(
            Phase.SUCCEEDED,
            **no_progress(),
            last_promoted_spec=case.status.last_applied_spec,
        ),
        memory=case.clean_slate(AT_WRITE),
    )
