"""The steps of a release, as the operator's own strategy takes them.

It calls `core.strategy` for a canary whose checks all pass and whose gates are open, and follows its decisions. So the
steps are those of the operator by construction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pyflagger.api.canary import Canary, CanaryStatus, Phase
from pyflagger.api.facts import ALL_PRIMARY, READY, Capabilities, Route
from pyflagger.core import promotion, strategy
from pyflagger.core.decision import Decision, SetRoute, WriteStatus
from pyflagger.core.situation import Primary, Situation, Target
from pyflagger.core.view import View

T = TypeVar("T")

STEPS_MAX = 1000
"""No plan is longer. One that does not end by then never ends."""

REVISION = "new"
LONG_AGO, NOW = 0.0, 1e9


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the split that a check judges. `copied`: the share of requests that the canary gets a copy of."""

    route: Route
    iteration: int = 0
    copied: float = 0.0

    @property
    def visitors(self) -> float:
        """The share of visitors that the canary answers, from 0 to 1."""
        return 0.0 if self.route.mirrored else self.route.canary / 100

    @property
    def share(self) -> float:
        """The share of requests that reach the canary, copies included, from 0 to 1."""
        return self.copied if self.route.mirrored else self.visitors


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a release whose checks all pass, each judged once.

    `home`: the weights at which traffic returns to the primary after the promotion, one for each interval. `interval`
    in seconds.
    """

    steps: tuple[Step, ...]
    interval: float
    strategy: str
    home: tuple[int, ...] = ()

    @property
    def matched(self) -> bool:
        """Whether only requests that match the rules of the analysis reach the canary."""
        return self.strategy == "ab-testing"

    @property
    def seconds(self) -> float:
        """How long a release takes whose checks all pass, without the time that pods need."""
        return self.interval * (len(self.steps) + len(self.home))


def plan(canary: Canary, *, provider: str, capabilities: Capabilities, interval: float) -> Plan:
    """The plan of a valid Canary with an analysis."""
    first = begun(canary, provider, capabilities, interval)
    views = list(_walk(first))
    last = views[-1]
    steps = tuple(_step(view) for view in views[1:] if view.status.phase is Phase.PROGRESSING)
    home = tuple(_home(last)) if last.status.phase is Phase.PROMOTING else ()
    return Plan(steps, interval, first.strategy, home)


def begun(canary: Canary, provider: str, capabilities: Capabilities, interval: float) -> View:
    """The run of a new revision whose pods are ready. Its hooks are left out: they pass."""
    analysis = canary.spec.analysis
    open_ = analysis.model_copy(update={"webhooks": ()}) if analysis else None
    spec = canary.spec.model_copy(update={"analysis": open_})
    status = CanaryStatus(phase=Phase.PROGRESSING, last_applied_spec=REVISION, last_tick_time=LONG_AGO)
    situation = Situation(
        canary=canary.model_copy(update={"spec": spec, "status": status}),
        now=NOW,
        interval=interval,
        provider=provider,
        capabilities=capabilities,
        target=Target(REVISION, None, READY, at_zero=False),
        primary=Primary(READY, keeps=1),
        route=ALL_PRIMARY,
    )
    return View.of(situation)


def _walk(view: View) -> Iterator[View]:
    """The view, and the views after each step, up to the promotion."""
    yield view
    for _ in range(STEPS_MAX):
        decision = strategy.advance(view, ())
        if _last(decision, WriteStatus) is None:
            return
        view = _after(view, decision)
        yield view
        if view.status.phase is not Phase.PROGRESSING:
            return


def _home(view: View) -> Iterator[int]:
    """The canary's weights on the way of the traffic back to the primary; nothing if it returns at once."""
    while promotion.go_home(view) is None and (decision := promotion.step_home(view)) is not None:
        view = _after(view, decision)
        yield view.route.canary
        if view.status.phase is Phase.FINALISING:
            return


def _after(view: View, decision: Decision) -> View:
    """The view once the decision is carried out and an interval has passed."""
    written, split = _last(decision, WriteStatus), _last(decision, SetRoute)
    status = written.status.but(last_tick_time=LONG_AGO) if written else view.status
    canary = view.canary.model_copy(update={"status": status})
    return View.of(replace(view.situation, canary=canary, route=split.route if split else view.situation.route))


def _last(decision: Decision, kind: type[T]) -> T | None:
    found: Sequence[T] = [action for action in decision.actions if isinstance(action, kind)]
    return found[-1] if found else None


def _step(view: View) -> Step:
    return Step(view.route, max(view.status.iterations, 0), (view.analysis.mirror_weight or 100) / 100)
