"""Actions and decisions, built from a situation. They omit changes that are already made and texts already reported.

Called by the phases of `core`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.api.facts import Route
from pyflagger.core.clocks import until_heard
from pyflagger.core.decision import Action, Decision, PauseAutoscaler, Reason, Say, ScaleTarget, SetRoute
from pyflagger.core.memory import AT_WRITE, Memory, Subject, Time, Told
from pyflagger.core.view import View


def say(view: View, reason: Reason, *, warn: bool = False, phase: Phase | None = None, checksum: str = "") -> Say:
    """An event; it tells of the current phase and the revision last acted on unless told otherwise."""
    of = view.status.phase if phase is None else phase
    return Say("Warning" if warn else "Normal", reason, of.value, checksum or view.running)


def once(
    view: View,
    reason: Reason,
    *,
    warn: bool = False,
    phase: Phase | None = None,
    checksum: str = "",
    item: str = "",
    route: Route | None = None,
) -> tuple[Say, ...]:
    """An event, unless it repeats the last one of this reason, phase and revision, and of this `route` if one is given.

    flagger remembers the last event of each `item` separately.
    """
    said = say(view, reason, warn=warn, phase=phase, checksum=checksum)
    told = Told(reason.text, said.phase, said.checksum, route, Time(view.now))
    return _unless_told(view, said, {Subject(reason.code, item): told})


def announce(view: View, reason: Reason, of: str, *items: str, warn: bool = True) -> tuple[Say, ...]:
    """An event about a lasting problem, once for all releases.

    It is new when one of its `items` is new; without items, when its text is.
    """
    subjects = {Subject(of, item): Told(item, time=Time(view.now)) for item in items}
    told = subjects or {Subject(of): Told(reason.text, time=Time(view.now))}
    return _unless_told(view, say(view, reason, warn=warn), told)


def _unless_told(view: View, said: Say, told: Mapping[Subject, Told]) -> tuple[Say, ...]:
    """The one place where repetition is prevented."""
    news = any(view.memory.told.get(subject) != each for subject, each in told.items())
    return (replace(said, told=tuple(told.items())),) if news else ()


def act(reason: Reason, *actions: Action, memory: Memory | None = None) -> Decision:
    """Do something now, and remember something."""
    return Decision(actions=actions, reasons=(reason,), memory=memory)


def hold(view: View, reason: Reason, *, wake: float | None = None, warn: bool = True) -> Decision:
    """Wait, and say once why."""
    return Decision(actions=once(view, reason, warn=warn), reasons=(reason,), wake=wake)


def route_to(view: View, route: Route) -> tuple[Action, ...]:
    """Split traffic so, unless it is."""
    return () if view.route == route else (SetRoute(route),)


def wake_up(view: View) -> tuple[Action, ...]:
    """Scale the target from zero and give it back to its autoscaler, as far as that is not so."""
    resume: tuple[Action, ...] = ()
    if view.situation.generated.target_autoscaler_paused:
        resume = (PauseAutoscaler(False),)
    return resume + ((ScaleTarget(view.target.restored_replicas),) if view.target_asleep else ())


def awake(view: View) -> bool:
    """Whether the target runs pods, or its autoscaler may start them."""
    return bool(_put_to_sleep(view))


def _put_to_sleep(view: View) -> tuple[Action, ...]:
    """Its autoscaler first."""
    pause: tuple[Action, ...] = ()
    if view.situation.generated.target_autoscaler_paused is False:
        pause = (PauseAutoscaler(True),)
    scale: tuple[Action, ...] = (ScaleTarget(None),) if view.target.scalable and not view.target.at_zero else ()
    return pause + scale


def sleep(view: View, reason: Reason, *, led: bool = True) -> Decision | None:
    """Scale the target to zero, as far as it is not; the one way to do so.

    Proxies hear of a route a moment after its object has it: as long the pods serve on. When visitors left them
    nobody knows after a restart: they did just now. `led` is false where none were, unless memory knows better.
    """
    actions = _put_to_sleep(view)
    if not actions:
        return None
    left = view.memory.left
    if left is None and led:
        return act(reason, memory=replace(view.memory, left=AT_WRITE))
    unheard = None if left is None else until_heard(view, left, reason)
    return unheard or act(reason, *actions)
