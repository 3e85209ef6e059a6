"""From an approved canary to a primary with its revision: copy, wait, move traffic back.

Phases Promoting and Finalising. After the copy only the primary matters: it gets ready and takes all traffic, or the
promotion fails and the canary keeps serving. Trouble of the canary's pods stops nothing.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api import durations
from pyflagger.api.canary import Phase
from pyflagger.api.durations import stamp
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Route
from pyflagger.api.published import Bake
from pyflagger.core import reasons, rollback
from pyflagger.core.actions import act, once, route_to, say
from pyflagger.core.clocks import due, last_tick, ticked, until_settled
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
from pyflagger.core.memory import AT_WRITE
from pyflagger.core.remember import clean_slate
from pyflagger.core.revision import configs_changed, ours
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_primary
from pyflagger.core.writing import adopt_revision, no_progress, write


def copy(view: View, *before: Action) -> Decision:
    """Replace the primary's template by the judged one."""
    reason = reasons.copying(view.canary)
    return act(
        reason,
        *before,
        say(view, reason, phase=Phase.PROMOTING),
        Promote(view.target.revision),
        write(view, Phase.PROMOTING, last_tick_time=None),
        memory=clean_slate(view),
    )


def already_copied(view: View) -> Decision:
    """The operator stopped after the copy and before its status write."""
    written = write(view, Phase.PROMOTING, last_tick_time=None)
    return act(reasons.copying(view.canary), written, memory=clean_slate(view))


# Promoting and Finalising -------------------------------------------------------------------------------------------


def rebase(view: View) -> Decision | None:
    """Rewrite a hash of the reference once the primary runs the target's template."""
    if ours(view.status.last_applied_spec) or not view.matches or configs_changed(view.status, view.target):
        return None
    return act(reasons.REBASED, write(view, **adopt_revision(view, view.status.last_applied_spec)))


def give_up(view: View) -> Decision | None:
    """Continue a failed promotion: the canary keeps all traffic, if it can take it."""
    if view.status.rollback is None:
        return None
    reason = reasons.promotion_failed(view.canary, view.primary_readiness.text)
    if view.canary_ready and view.route != ALL_CANARY:
        return act(reason, SetRoute(ALL_CANARY, everyone=True))
    return rollback.fail(view, reason, 100)


def primary_ready(view: View) -> Decision | None:
    """Wait for the primary. Past its deadline, the promotion fails."""
    readiness = view.primary_readiness
    if readiness.ready:
        return None
    if readiness.retriable:
        return hold_for_primary(view)
    reason = reasons.promotion_failed(view.canary, readiness.text)
    return act(
        reason,
        *once(view, reasons.primary_not_ready(readiness.text), warn=True),
        say(view, reason, warn=True),
        Alert("error", reasons.alert_promotion(readiness.text)),
        *((SetRoute(ALL_CANARY, everyone=True),) if view.canary_ready else ()),
        write(view, halted=reason, rollback=Rollback(Cause.PROMOTION, reason), canary_weight=100),
    )


def settled(view: View) -> Decision | None:
    """Wait until proxies know the primary's pods, after a rollout that kept none of them."""
    if not (view.drains and view.canary_carries_all):
        return None
    seen = view.memory.primary_seen
    if seen is None:
        return act(reasons.SETTLING_PRIMARY, memory=replace(view.memory, primary_seen=AT_WRITE))
    return until_settled(view, seen, reasons.SETTLING_PRIMARY)


def autoscaler(view: View) -> Decision | None:
    """Each promotion copies the target's autoscaler to the primary's."""
    made = view.situation.generated
    if made.primary_autoscaler == "ok":
        return None
    reason = reasons.autoscaler_follows(view.canary, made.autoscaler_edit)
    told = (say(view, reason),) if made.autoscaler_edit else ()
    return act(reason if told else reasons.REPAIRING, Ensure(Part.PRIMARY_AUTOSCALER), *told)


def go_home(view: View) -> Decision | None:
    """Move all traffic to the primary at once, unless it returns in steps.

    If the target has a newer revision, nothing judged the canary's pods, so they get no more steps.
    """
    if _stepped(view):
        return None
    if view.skip:
        return act(reasons.ROUTING_TO_PRIMARY, *route_to(view, ALL_PRIMARY)) if view.exposed else None
    reason = reasons.ROUTING_TO_PRIMARY
    told = () if view.virtual else (say(view, reason),)
    return act(
        reason, *told, *route_to(view, ALL_PRIMARY), write(view, Phase.FINALISING, canary_weight=0, iterations=0)
    )


def _stepped(view: View) -> bool:
    """Whether traffic returns in steps. Not with match rules (A/B), nor with a provider that cannot split."""
    if view.skip or view.virtual or view.strategy == "ab-testing" or _stale(view):
        return False
    return view.analysis.step_weight_promotion > 0 and max(view.route.canary, view.status.canary_weight) > 0


def _stale(view: View) -> bool:
    """Whether the target differs from the copied revision."""
    return view.target.revision != view.status.last_applied_spec or configs_changed(view.status, view.target)


def step_home(view: View) -> Decision | None:
    """Move traffic to the primary by one step each interval."""
    if view.skip:
        return None
    if view.route.canary < view.status.canary_weight:
        return _stepped_to(view, view.route.primary)
    if last_tick(view) is None:
        return act(reasons.INTERVAL, memory=view.memory.round_ended())
    if view.now < due(view):
        return Decision(reasons=(reasons.INTERVAL,), wake=due(view))
    return _stepped_to(view, min(100, view.route.primary + view.analysis.step_weight_promotion))


def _stepped_to(view: View, share: int) -> Decision:
    """The primary has, or gets, this share. Only records a step that the routes have already."""
    reason = reasons.primary_weight(view.canary, share)
    progress = {"canary_weight": 0, "iterations": 0} if share == 100 else {"canary_weight": 100 - share}
    return act(
        reason,
        *route_to(view, Route(share, 100 - share)),
        say(view, reason),
        write(view, Phase.FINALISING if share == 100 else None, **ticked(view, **progress)),
        memory=view.memory.round_ended(),
    )


def leave(view: View) -> Decision | None:
    """All traffic to the primary. `start.scale_down` removes the canary's pods after the end of the release."""
    return act(reasons.ROUTING_TO_PRIMARY, *route_to(view, ALL_PRIMARY)) if view.exposed else None


def finish(view: View) -> Decision:
    """The end of a release. The copied revision is the promoted one, even if the target changed since."""
    told, ask = rollback.post_rollout(view, Phase.SUCCEEDED)
    if ask is not None:
        return ask
    reason = reasons.completed(view.canary, view.skip)
    return act(
        reason,
        *told,
        say(view, reason, phase=Phase.SUCCEEDED),
        Alert("info", reasons.ALERT_SKIPPED if view.skip else reasons.ALERT_COMPLETED),
        Count("success", "skipped" if view.skip else "completed"),
        write(
            view,
            Phase.SUCCEEDED,
            **no_progress(),
            last_promoted_spec=view.status.last_applied_spec,
            bake=_bake(view),
        ),
        memory=clean_slate(view, AT_WRITE),
    )


def _bake(view: View) -> Bake | None:
    """The time in which flagger judges the primary from now on. A release without an analysis has none."""
    spec = view.analysis.bake
    if spec is None or view.skip:
        return None
    return Bake(until=stamp(view.now + durations.parse(spec.duration)))
