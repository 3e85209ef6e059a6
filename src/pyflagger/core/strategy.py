"""The step after a passed round: a weight, an iteration, a mirror or the promotion, and the gates before it.

flagger reads the canary's weight from the routes and never computes it from the status. `analysis` calls this with the
events of the round so far. The last action of a step is its status write. If it was lost, `record` repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyflagger.api.canary import Analysis, HookType, Phase
from pyflagger.api.defaults import max_weight
from pyflagger.api.facts import ALL_CANARY, Route
from pyflagger.core import conflicts, gates, handover, pausing, reasons
from pyflagger.core.actions import act, once, route_to, say
from pyflagger.core.clocks import last_tick, ticked
from pyflagger.core.decision import Action, Alert, Decision, Reason
from pyflagger.core.evidence import call
from pyflagger.core.gates import Advance
from pyflagger.core.lint import can_mirror
from pyflagger.core.view import View
from pyflagger.core.writing import write

MIRROR = Route(100, 0, mirrored=True)


def advance(view: View, said: tuple[Action, ...]) -> Decision:
    """Take the next step, or give the reason to wait."""
    said += _remarks(view)
    if held := pausing.step(view, said):
        return held
    if reason := conflicts.holds(view):
        return act(reason, *said, memory=view.memory.round_ended())
    if view.rescued and view.strategy != "canary":
        return _promote(view, said)
    return _STRATEGIES[view.strategy](view, said)


def next_weight(analysis: Analysis, weight: int) -> int:
    """The weight after this one, in percent; the same one if there is no next.

    With stepWeights, the smallest larger one, so that an unlisted weight never skips a step.
    """
    if analysis.step_weight > 0:
        return min(100, weight + analysis.step_weight)
    larger = [step for step in analysis.step_weights if step > weight]
    return min(100, *larger) if larger else weight


def record(view: View) -> Decision | None:
    """Record a weight that the routes have and the status does not, and hold it for a full interval.

    If it is not the next step, another client set it, and flagger reports that.
    """
    found = _unrecorded(view)
    if found is None:
        return None
    reason, changes = found
    moved = reason.code == reasons.MOVED
    said = (say(view, reason, warn=moved),) if moved or reason.code == "advanced" else ()
    written = write(view, **ticked(view, **changes))
    return act(reasons.RECORDED, *said, written, memory=view.memory.round_ended())


def _unrecorded(view: View) -> tuple[Reason, dict[str, int]] | None:
    status, route, done = view.status, view.route, max(view.status.iterations, 0)
    if view.strategy == "canary" or view.rescued:
        if route.mirrored and last_tick(view) is None:
            return reasons.weight(view.canary, 0), {"canary_weight": 0}
        if route.canary == status.canary_weight:
            return None
        due = route.canary in (next_weight(view.analysis, status.canary_weight), _retreated(view))
        reason = (reasons.weight if due else reasons.moved)(view.canary, route.canary)
        return reason, {"canary_weight": route.canary}
    if view.strategy == "ab-testing" and route == ALL_CANARY and not done:
        return reasons.iteration(view.canary, 1, view.iterations), {"iterations": 1}
    if view.strategy == "blue-green" and route.mirrored and not done:
        return reasons.iteration(view.canary, 1, view.iterations), {"iterations": 1}
    if view.strategy == "blue-green" and route == ALL_CANARY and done <= view.iterations:
        return reasons.ROUTING_TO_CANARY, {"iterations": view.iterations + 1}
    return None


def _retreated(view: View) -> int | None:
    """The weight to which a comparison in doubt returns. None without a comparison."""
    compares = any(metric.compare for metric in view.analysis.metrics)
    return next_weight(view.analysis, 0) if compares else None


# Strategies ---------------------------------------------------------------------------------------------------------


def _weighted(view: View, said: tuple[Action, ...]) -> Decision:
    weight = view.route.canary
    following = next_weight(view.analysis, weight)
    if weight >= max_weight(view.analysis) or following == weight > 0:
        return _increase(view, said, _promote)
    if following == weight:
        said += once(view, reasons.NO_STEPS, warn=True)
        return act(reasons.NO_STEPS, *said, memory=view.memory.round_ended())
    if _mirrors(view) and weight == 0 and not view.route.mirrored:
        return _increase(view, said, lambda v, s: _step(v, s, reasons.weight(v.canary, 0), MIRROR, canary_weight=0))
    route = Route(100 - following, following)
    reason = reasons.weight(view.canary, following)
    return _increase(view, said, lambda v, s: _step(v, s, reason, route, canary_weight=following))


def _ab(view: View, said: tuple[Action, ...]) -> Decision:
    return _promote(view, said) if _iterated(view) else _iterate(view, said, ALL_CANARY)


def _blue_green(view: View, said: tuple[Action, ...]) -> Decision:
    if view.status.iterations > view.iterations:
        return handover.copy(view, *said)
    if _iterated(view):
        return _confirm(view, said, _switch)
    return _iterate(view, said, MIRROR if _mirrors(view) else view.route)


def _iterated(view: View) -> bool:
    return view.status.iterations >= view.iterations


def _iterate(view: View, said: tuple[Action, ...], route: Route) -> Decision:
    done = max(view.status.iterations, 0) + 1
    return _step(view, said, reasons.iteration(view.canary, done, view.iterations), route, iterations=done)


def _switch(view: View, said: tuple[Action, ...]) -> Decision:
    """Send all traffic to the canary for one more round. flagger does not ask for approval again."""
    reason = reasons.MIRROR_OFF if view.route.mirrored else reasons.ROUTING_TO_CANARY
    told = () if view.virtual else (say(view, reason), *route_to(view, ALL_CANARY))
    return act(
        reason,
        *said,
        *told,
        write(view, Phase.PROGRESSING, **ticked(view, iterations=view.iterations + 1)),
        memory=view.memory.round_ended(),
    )


def _step(view: View, said: tuple[Action, ...], reason: Reason, route: Route, **progress: int) -> Decision:
    return act(
        reason,
        *said,
        *route_to(view, route),
        say(view, reason),
        write(view, **ticked(view, **progress)),
        memory=view.memory.round_ended(),
    )


def _mirrors(view: View) -> bool:
    return view.analysis.mirror and not view.virtual and can_mirror(view.analysis, view.situation.capabilities)


_STRATEGIES: Mapping[str, Advance] = {"canary": _weighted, "ab-testing": _ab, "blue-green": _blue_green}


# Gates --------------------------------------------------------------------------------------------------------------


def _increase(view: View, said: tuple[Action, ...], then: Advance) -> Decision:
    """The gate before more traffic, including the promotion. flagger reports a closed gate once for each weight."""
    if view.status.phase is Phase.WAITING_PROMOTION:
        return then(view, said)
    gate = call(view, HookType.CONFIRM_TRAFFIC_INCREASE, Phase.PROGRESSING)
    if gate.ask:
        return gate.ask
    passed = gate.passed(view, "Confirm-traffic-increase")
    if gate.stopped is None:
        return then(view, (*said, *passed))
    hook = gate.stopped[0]
    if gates.over(view, hook):
        return gates.defaults(view, hook, said, lambda v, s: _increase(v, s, then))
    reason = reasons.waiting(view.canary, "traffic increase ", hook.name)
    told: tuple[Action, ...] = once(view, reason, warn=True, route=view.route)
    if told:
        alert = () if hook.mute_alert else (Alert("warn", reasons.ALERT_WAITING_INCREASE),)
        told = (*passed, *told, *alert)
    told += gates.told(view, gate, hook, Phase.PROGRESSING)
    return act(reason, *said, *told, *gates.stays(view, gate, hook), memory=view.memory.round_ended())


def _promote(view: View, said: tuple[Action, ...]) -> Decision:
    return _confirm(view, said, lambda v, s: handover.copy(v, *s))


def _confirm(view: View, said: tuple[Action, ...], then: Advance) -> Decision:
    """The gate before the promotion. While it is closed, the analysis continues, and flagger asks every interval."""
    gate = call(view, HookType.CONFIRM_PROMOTION, Phase.PROGRESSING)
    if gate.ask:
        return gate.ask
    passed = gate.passed(view, "Confirm-promotion")
    if gate.stopped is None:
        return then(view, (*said, *passed))
    hook = gate.stopped[0]
    if gates.over(view, hook):
        return gates.defaults(view, hook, said, lambda v, s: _confirm(v, s, then))
    reason = reasons.waiting(view.canary, "promotion ", hook.name)
    told = gates.told(view, gate, hook, Phase.WAITING_PROMOTION)
    if view.status.phase is Phase.WAITING_PROMOTION:
        return act(reason, *said, *told, *gates.stays(view, gate, hook), memory=view.memory.round_ended())
    alert = () if hook.mute_alert else (Alert("warn", reasons.ALERT_WAITING_PROMOTION),)
    return act(
        reason,
        *said,
        *passed,
        say(view, reason, warn=True),
        *alert,
        *told,
        write(view, Phase.WAITING_PROMOTION, **gates.stands(view, gate, hook), **ticked(view)),
        memory=view.memory.round_ended(),
    )


# Limits of the provider ----------------------------------------------------------------------------------------------


def _remarks(view: View) -> tuple[Action, ...]:
    """Warnings, once in a run, about settings that the provider does not support."""
    said: tuple[Action, ...] = ()
    if view.virtual and view.analysis.match:
        said += once(view, reasons.AB_UNSUPPORTED, warn=True)
    if view.virtual and view.analysis.iterations < 1:
        said += once(view, reasons.STEPS_UNSUPPORTED, warn=True)
        said += once(view, reasons.iterations_assumed(view.iterations), warn=True)
    if view.analysis.mirror and not can_mirror(view.analysis, view.situation.capabilities):
        said += once(view, reasons.mirror_unsupported(view.situation.provider), warn=True)
    return said
