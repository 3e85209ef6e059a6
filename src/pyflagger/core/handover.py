"""The handover before the copy: all traffic to the canary, if the rollout may leave the primary without pods.

Phases Progressing and WaitingPromotion. The analysis is completed by then, and nothing is copied yet, so a
new revision, a rollback or a deletion still finds an intact primary. The Promoted condition records the handover, so it
continues after a restart. Called by `strategy` and `analysis` in place of `promotion.copy`.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_CANARY
from pyflagger.core import pausing, promotion, reasons
from pyflagger.core.actions import act, once, say
from pyflagger.core.clocks import ticked, until_heard
from pyflagger.core.conditions import PROMOTED
from pyflagger.core.decision import Action, Decision, ScaleTarget, SetRoute
from pyflagger.core.memory import AT_WRITE
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_route
from pyflagger.core.writing import write


def copy(view: View, *before: Action) -> Decision:
    """Copy immediately, or start the handover if the primary may be without pods."""
    if not view.drains or view.canary_carries_all:
        return promotion.copy(view, *before)
    reason = reasons.handing_over(view.canary)
    return act(
        reason,
        *before,
        say(view, reason),
        write(view, Phase.PROGRESSING, message=reasons.CONDITION_HANDOVER, **ticked(view)),
        memory=view.memory.round_ended(),
    )


def under_way(view: View) -> bool:
    """Whether the status records a handover, before or after the route changed."""
    text = reasons.CONDITION_HANDOVER.format(kind=view.kind)
    return any(told.type == PROMOTED and told.message == text for told in view.status.conditions)


def carry_on(view: View) -> Decision | None:
    """Enough pods, then the route, then the copy once proxies know the route. Requires ready pods of the canary."""
    if not under_way(view):
        return None
    if holds := pausing.stands(view):
        return holds
    if not view.canary_carries_all:
        return _grow(view) or _take_over(view)
    if view.situation.route_waiting:
        return hold_for_route(view)
    taken = view.memory.taken
    if taken is None or not view.rescued:
        return act(reasons.HEARING, *_noted(view), memory=replace(view.memory, taken=AT_WRITE))
    return until_heard(view, taken, reasons.HEARING) or promotion.copy(view)


def _take_over(view: View) -> Decision:
    fewer = reasons.fewer_pods(view.canary, view.target.replicas or 0, _wanted(view))
    short = (view.target.replicas or 0) < _wanted(view)
    return act(
        reasons.HEARING,
        *(once(view, fewer, warn=True) if short else ()),
        SetRoute(ALL_CANARY, everyone=True),
        *_noted(view),
    )


def _noted(view: View) -> tuple[Action, ...]:
    """The write that records that the canary gets all traffic."""
    return () if view.rescued else (write(view, canary_weight=100),)


def _grow(view: View) -> Decision | None:
    """Scale to the primary's replicas within the limits of the canary's autoscaler, once: the autoscaler may scale down
    again. A canary without an autoscaler has the size that the user wants."""
    most, now = view.target.most, view.target.replicas
    wanted = _wanted(view) if most is None else min(_wanted(view), most)
    if most is None or now is None or now >= wanted or view.memory.grown == view.running:
        return None
    reason = reasons.growing(view.canary, wanted)
    memory = replace(view.memory, grown=view.running)
    return act(reason, say(view, reason), ScaleTarget(wanted), memory=memory)


def _wanted(view: View) -> int:
    """The replicas of the primary; 0 for kinds whose nodes decide."""
    return (view.primary.replicas if view.primary is not None and view.target.most is not None else None) or 0


def warnings(view: View) -> tuple[Action, ...]:
    """Warnings before a release about its handover."""
    if not view.drains or view.target.most is None or view.target.most >= _wanted(view):
        return ()
    return once(view, reasons.too_few_allowed(view.canary, view.target.most, _wanted(view)), warn=True)
