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
    """An event. By default it has the current phase and the revision last acted on."""
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

    It is new if one of its `items` is new, or without items, if its text is new.
    """
    subjects = {Subject(of, item): Told(item, time=Time(view.now)) for item in items}
    told = subjects or {Subject(of): Told(reason.text, time=Time(view.now))}
    return _unless_told(view, say(view, reason, warn=warn), told)


def _unless_told(view: View, said: Say, told: Mapping[Subject, Told]) -> tuple[Say, ...]:
    """The one place that prevents repetition."""
    news = any(view.memory.told.get(subject) != each for subject, each in told.items())
    return (replace(said, told=tuple(told.items())),) if news else ()


def act(reason: Reason, *actions: Action, memory: Memory | None = None) -> Decision:
    """The decision for actions and a new memory."""
    return Decision(actions=actions, reasons=(reason,), memory=memory)


def hold(view: View, reason: Reason, *, wake: float | None = None, warn: bool = True) -> Decision:
    """The decision to wait, with an event about the reason, once."""
    return Decision(actions=once(view, reason, warn=warn), reasons=(reason,), wake=wake)


def route_to(view: View, route: Route) -> tuple[Action, ...]:
    """Split traffic like this, unless it already is."""
    return () if view.route == route else (SetRoute(route),)


def wake_up(view: View) -> tuple[Action, ...]:
    """Scale the target from zero and resume its autoscaler. Omits what is already done."""
    resume: tuple[Action, ...] = ()
    if view.situation.generated.target_autoscaler_paused:
        resume = (PauseAutoscaler(False),)
    return resume + ((ScaleTarget(view.target.restored_replicas),) if view.target_asleep else ())


def awake(view: View) -> bool:
    """Whether the target runs pods, or its autoscaler may start them."""
    return bool(_put_to_sleep(view))


def _put_to_sleep(view: View) -> tuple[Action, ...]:
    """Pause the autoscaler first, then scale to zero."""
    pause: tuple[Action, ...] = ()
    if view.situation.generated.target_autoscaler_paused is False:
        pause = (PauseAutoscaler(True),)
    scale: tuple[Action, ...] = (ScaleTarget(None),) if view.target.scalable and not view.target.at_zero else ()
    return pause + scale


def sleep(view: View, reason: Reason, *, led: bool = True) -> Decision | None:
    """Scale the target to zero, unless it already is. The only way to do so.

    Proxies learn of a changed route with a delay, and the pods keep serving for that time. After a restart it starts
    again, because the time of the change is unknown. `led`: false if no visitors used the pods. Memory overrides it.
    """
    actions = _put_to_sleep(view)
    if not actions:
        return None
    left = view.memory.left
    if left is None and led:
        return act(reason, memory=replace(view.memory, left=AT_WRITE))
    unheard = None if left is None else until_heard(view, left, reason)
    return unheard or act(reason, *actions)
