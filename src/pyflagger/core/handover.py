"""Before the copy: all traffic to the canary, when the rollout may leave the primary without a pod.

Phases Progressing and WaitingPromotion. The judging is over by then, and nothing is copied yet: a new revision, a
rollback or a deletion finds a primary that is whole. The Promoted condition says that the handover is under way, so a
restart goes on with it. Called by `strategy` and `analysis` in place of `promotion.copy`.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_CANARY
from pyflagger.core import promotion, reasons
from pyflagger.core.case import Case
from pyflagger.core.conditions import PROMOTED
from pyflagger.core.decision import Action, Decision, ScaleTarget, SetRoute
from pyflagger.core.holding import hold_for_route
from pyflagger.core.memory import AT_WRITE


def copy(case: Case, *before: Action) -> Decision:
    """Copy at once, or begin the handover when visitors of the primary would find no pod."""
    if not case.drains or case.canary_carries_all:
        return promotion.copy(case, *before)
    reason = reasons.handing_over(case.canary)
    return case.act(
        reason,
        *before,
        case.say(reason),
        case.write(Phase.PROGRESSING, message=reasons.CONDITION_HANDOVER, **case.tick()),
        memory=case.memory.round_ended(),
    )


def under_way(case: Case) -> bool:
    """Whether the status says that everybody is about to be, or has been, led to the canary before the copy."""
    text = reasons.CONDITION_HANDOVER.format(kind=case.kind)
    return any(told.type == PROMOTED and told.message == text for told in case.status.conditions)


def carry_on(case: Case) -> Decision | None:
    """Enough pods, then the route, then the copy once proxies have heard of it. The canary's pods are ready here."""
    if not under_way(case):
        return None
    if not case.canary_carries_all:
        return _grow(case) or _take_over(case)
    if case.situation.route_waiting:
        return hold_for_route(case)
    taken = case.memory.taken
    if taken is None or not case.rescued:
        return case.act(reasons.HEARING, *_noted(case), memory=replace(case.memory, taken=AT_WRITE))
    return case.until_heard(taken, reasons.HEARING) or promotion.copy(case)


def _take_over(case: Case) -> Decision:
    fewer = reasons.fewer_pods(case.canary, case.target.replicas or 0, _wanted(case))
    short = (case.target.replicas or 0) < _wanted(case)
    return case.act(
        reasons.HEARING,
        *(case.once(fewer, warn=True) if short else ()),
        SetRoute(ALL_CANARY, everyone=True),
        *_noted(case),
    )


def _noted(case: Case) -> tuple[Action, ...]:
    """The status of a canary that is owed everybody."""
    return () if case.rescued else (case.write(canary_weight=100),)


def _grow(case: Case) -> Decision | None:
    """As many pods as the primary has, within the limits of the canary's autoscaler. It is asked once: an autoscaler
    that takes them back knows better. A canary without an autoscaler has the size that the user wants."""
    most, now = case.target.most, case.target.replicas
    wanted = _wanted(case) if most is None else min(_wanted(case), most)
    if most is None or now is None or now >= wanted or case.memory.grown == case.running:
        return None
    reason = reasons.growing(case.canary, wanted)
    memory = replace(case.memory, grown=case.running)
    return case.act(reason, case.say(reason), ScaleTarget(wanted), memory=memory)


def _wanted(case: Case) -> int:
    """The pods that serve everybody now; none for kinds of which the nodes decide."""
    return (case.primary.replicas if case.primary is not None and case.target.most is not None else None) or 0


def warnings(case: Case) -> tuple[Action, ...]:
    """Said before a release begins: what the handover at its end will lack."""
    if not case.drains or case.target.most is None or case.target.most >= _wanted(case):
        return ()
    return case.once(reasons.too_few_allowed(case.canary, case.target.most, _wanted(case)), warn=True)
