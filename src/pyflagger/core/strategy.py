"""The step that a passed round takes: a weight, an iteration, a mirror, or promotion; and the gates before it.

What the canary carries is read from the routes, never computed from the status. Called by `analysis` with the events of
the round so far; the status write of a step is its last action, and `record` catches up when that write was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyflagger.api.canary import Analysis, HookType, Phase
from pyflagger.api.defaults import max_weight
from pyflagger.api.facts import ALL_CANARY, Route
from pyflagger.core import contest, gates, handover, reasons
from pyflagger.core.case import Case
from pyflagger.core.decision import Action, Alert, Decision, Reason
from pyflagger.core.evidence import call
from pyflagger.core.lint import can_mirror

MIRROR = Route(100, 0, mirrored=True)

Advance = Callable[[Case, tuple[Action, ...]], Decision]


def advance(case: Case, said: tuple[Action, ...]) -> Decision:
    """Take the next step, or name what it waits for."""
    said += _remarks(case)
    if reason := contest.holds(case):
        return case.act(reason, *said, memory=case.memory.round_ended())
    if case.rescued and case.strategy != "canary":
        return _promote(case, said)
    return _STRATEGIES[case.strategy](case, said)


def next_weight(analysis: Analysis, weight: int) -> int:
    """The weight after this one, in percent; the same when there is no next.

    Of listed weights the smallest that is larger, so that a weight which is not listed never jumps.
    """
    if analysis.step_weight > 0:
        return min(100, weight + analysis.step_weight)
    larger = [step for step in analysis.step_weights if step > weight]
    return min(100, *larger) if larger else weight


def record(case: Case) -> Decision | None:
    """Take note of a weight that the routes show and the status does not: it is held for an interval from now on.

    One that is not the next step was set by somebody else, which is told.
    """
    found = _unrecorded(case)
    if found is None:
        return None
    reason, changes = found
    moved = reason.code == reasons.MOVED
    said = (case.say(reason, warn=moved),) if moved or reason.code == "advanced" else ()
    written = case.write(**case.tick(**changes))
    return case.act(reasons.RECORDED, *said, written, memory=case.memory.round_ended())


def _unrecorded(case: Case) -> tuple[Reason, dict[str, int]] | None:
    status, route, done = case.status, case.route, max(case.status.iterations, 0)
    if case.strategy == "canary" or case.rescued:
        if route.mirrored and case.last_tick is None:
            return reasons.weight(case.canary, 0), {"canary_weight": 0}
        if route.canary == status.canary_weight:
            return None
        due = route.canary == next_weight(case.analysis, status.canary_weight)
        reason = (reasons.weight if due else reasons.moved)(case.canary, route.canary)
        return reason, {"canary_weight": route.canary}
    if case.strategy == "ab-testing" and route == ALL_CANARY and not done:
        return reasons.iteration(case.canary, 1, case.iterations), {"iterations": 1}
    if case.strategy == "blue-green" and route.mirrored and not done:
        return reasons.iteration(case.canary, 1, case.iterations), {"iterations": 1}
    if case.strategy == "blue-green" and route == ALL_CANARY and done <= case.iterations:
        return reasons.ROUTING_TO_CANARY, {"iterations": case.iterations + 1}
    return None


# Strategies ---------------------------------------------------------------------------------------------------------


def _weighted(case: Case, said: tuple[Action, ...]) -> Decision:
    weight = case.route.canary
    following = next_weight(case.analysis, weight)
    if weight >= max_weight(case.analysis) or following == weight > 0:
        return _increase(case, said, _promote)
    if following == weight:
        said += case.once(reasons.NO_STEPS, warn=True)
        return case.act(reasons.NO_STEPS, *said, memory=case.memory.round_ended())
    if _mirrors(case) and weight == 0 and not case.route.mirrored:
        return _increase(case, said, lambda c, s: _step(c, s, reasons.weight(c.canary, 0), MIRROR, canary_weight=0))
    route = Route(100 - following, following)
    reason = reasons.weight(case.canary, following)
    return _increase(case, said, lambda c, s: _step(c, s, reason, route, canary_weight=following))


def _ab(case: Case, said: tuple[Action, ...]) -> Decision:
    return _promote(case, said) if _iterated(case) else _iterate(case, said, ALL_CANARY)


def _blue_green(case: Case, said: tuple[Action, ...]) -> Decision:
    if case.status.iterations > case.iterations:
        return handover.copy(case, *said)
    if _iterated(case):
        return _confirm(case, said, _switch)
    return _iterate(case, said, MIRROR if _mirrors(case) else case.route)


def _iterated(case: Case) -> bool:
    return case.status.iterations >= case.iterations


def _iterate(case: Case, said: tuple[Action, ...], route: Route) -> Decision:
    done = max(case.status.iterations, 0) + 1
    return _step(case, said, reasons.iteration(case.canary, done, case.iterations), route, iterations=done)


def _switch(case: Case, said: tuple[Action, ...]) -> Decision:
    """All traffic to the green side, to be judged once more there. Approval was given; it is not asked again."""
    reason = reasons.MIRROR_OFF if case.route.mirrored else reasons.ROUTING_TO_CANARY
    told = () if case.virtual else (case.say(reason), *case.route_to(ALL_CANARY))
    return case.act(
        reason,
        *said,
        *told,
        case.write(Phase.PROGRESSING, **case.tick(iterations=case.iterations + 1)),
        memory=case.memory.round_ended(),
    )


def _step(case: Case, said: tuple[Action, ...], reason: Reason, route: Route, **progress: int) -> Decision:
    return case.act(
        reason,
        *said,
        *case.route_to(route),
        case.say(reason),
        case.write(**case.tick(**progress)),
        memory=case.memory.round_ended(),
    )


def _mirrors(case: Case) -> bool:
    return case.analysis.mirror and not case.virtual and can_mirror(case.analysis, case.situation.capabilities)


_STRATEGIES: Mapping[str, Advance] = {"canary": _weighted, "ab-testing": _ab, "blue-green": _blue_green}


# Gates --------------------------------------------------------------------------------------------------------------


def _increase(case: Case, said: tuple[Action, ...], then: Advance) -> Decision:
    """The gate before more traffic, promotion included. A closed one is told of once for each weight that it holds."""
    if case.status.phase is Phase.WAITING_PROMOTION:
        return then(case, said)
    gate = call(case, HookType.CONFIRM_TRAFFIC_INCREASE, Phase.PROGRESSING)
    if gate.ask:
        return gate.ask
    passed = gate.passed(case, "Confirm-traffic-increase")
    if gate.stopped is None:
        return then(case, (*said, *passed))
    hook = gate.stopped[0]
    reason = reasons.waiting(case.canary, "traffic increase ", hook.name)
    told: tuple[Action, ...] = case.once(reason, warn=True, route=case.route)
    if told:
        alert = () if hook.mute_alert else (Alert("warn", reasons.ALERT_WAITING_INCREASE),)
        told = (*passed, *told, *alert)
    told += gates.told(case, gate, Phase.PROGRESSING)
    return case.act(reason, *said, *told, *gates.stays(case, gate, hook), memory=case.memory.round_ended())


def _promote(case: Case, said: tuple[Action, ...]) -> Decision:
    return _confirm(case, said, lambda c, s: handover.copy(c, *s))


def _confirm(case: Case, said: tuple[Action, ...], then: Advance) -> Decision:
    """The gate before promotion. While it is closed the analysis goes on, and it is asked again every interval."""
    gate = call(case, HookType.CONFIRM_PROMOTION, Phase.PROGRESSING)
    if gate.ask:
        return gate.ask
    passed = gate.passed(case, "Confirm-promotion")
    if gate.stopped is None:
        return then(case, (*said, *passed))
    hook = gate.stopped[0]
    reason = reasons.waiting(case.canary, "promotion ", hook.name)
    told = gates.told(case, gate, Phase.WAITING_PROMOTION)
    if case.status.phase is Phase.WAITING_PROMOTION:
        return case.act(reason, *said, *told, *gates.stays(case, gate, hook), memory=case.memory.round_ended())
    alert = () if hook.mute_alert else (Alert("warn", reasons.ALERT_WAITING_PROMOTION),)
    return case.act(
        reason,
        *said,
        *passed,
        case.say(reason, warn=True),
        *alert,
        *told,
        case.write(
            Phase.WAITING_PROMOTION,
            halted=gates.fault(case, gate),
            waits=gates.waits(case, gate, hook),
            **case.tick(),
        ),
        memory=case.memory.round_ended(),
    )


# What the provider cannot do ----------------------------------------------------------------------------------------


def _remarks(case: Case) -> tuple[Action, ...]:
    """Said once in a run: what was asked for and is done otherwise."""
    said: tuple[Action, ...] = ()
    if case.virtual and case.analysis.match:
        said += case.once(reasons.AB_UNSUPPORTED, warn=True)
    if case.virtual and case.analysis.iterations < 1:
        said += case.once(reasons.STEPS_UNSUPPORTED, warn=True)
        said += case.once(reasons.iterations_assumed(case.iterations), warn=True)
    if case.analysis.mirror and not can_mirror(case.analysis, case.situation.capabilities):
        said += case.once(reasons.mirror_unsupported(case.situation.provider), warn=True)
    return said
