"""Traces of releases: one trace for each release, with a span for each step and for each check and hook of it.

`Tracing` is a spectator: it sees decisions and checks, and changes nothing. It hands spans that have ended to a sink.
`operator.otel` exports them. Memory only: after a restart, the rest of a release is a new trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pyflagger.api.canary import Canary
from pyflagger.api.phase import Phase
from pyflagger.api.status import CanaryStatus
from pyflagger.clock import Clock
from pyflagger.core.decision import Decision, Say, WriteStatus
from pyflagger.core.situation import CallHook, CheckMetric, Need, NoData, QueryFailed, Refused, Result, Value
from pyflagger.objects import Key
from pyflagger.operator.spectator import Spectator

RUNNING = frozenset(
    {Phase.WAITING, Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING},
)
PENDING_MAX = 1000
"""Checks that are running at the same time, in all canaries. The oldest is forgotten first."""

Attributes: TypeAlias = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Span:
    """A span that has ended. Times in seconds since the epoch; `parent` is 0 for the release itself."""

    name: str
    trace: int
    id: int
    parent: int
    began: float
    ended: float
    attributes: Attributes
    error: str = ""


Sink: TypeAlias = Callable[[Span], None]


@dataclass(slots=True)
class _Release:
    """A release under way, and the step that it is in."""

    trace: int
    id: int
    began: float
    attributes: dict[str, str | int | float | bool]
    step: str
    step_id: int
    step_began: float
    checks: int = 0
    warning: str = ""


class Tracing(Spectator):
    """Follows the releases of all canaries. `sink` must not block."""

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self._sink, self._clock = sink, clock
        self._releases: dict[Key, _Release] = {}
        self._pending: dict[tuple[Key, Need], float] = {}

    def asking(self, canary: Canary, need: Need) -> None:
        """Remember when a check began."""
        self._pending[_key(canary), need] = self._clock.now()
        while len(self._pending) > PENDING_MAX:
            self._pending.pop(next(iter(self._pending)))

    def asked(self, canary: Canary, need: Need, result: Result) -> None:
        """Hand over the span of a check. A check outside of a release has no trace."""
        key = _key(canary)
        began, release = self._pending.pop((key, need), None), self._releases.get(key)
        if began is None or release is None:
            return
        name, attributes = _check(canary, need)
        error = _error(result)
        value = {"flagger.value": result.value} if isinstance(result, Value) else {}
        release.checks += 1
        self._span(name, release, self._id(), release.step_id, began, {**attributes, **value}, error)

    def decided(self, key: Key, decision: Decision) -> None:
        """Begin and end releases and steps by the status that a decision writes."""
        release = self._releases.get(key)
        status = next((action.status for action in decision.actions if isinstance(action, WriteStatus)), None)
        if status is not None and status.phase in RUNNING:
            release = release or self._begin(key, status)
            self._goes_on(release, status)
        elif status is not None and release is not None:
            self._end(key, release, status.phase)
        if release is not None:
            release.warning = _cause(decision) or release.warning

    def _begin(self, key: Key, status: CanaryStatus) -> _Release:
        now, step = self._clock.now(), _step(status)
        attributes: dict[str, str | int | float | bool] = {
            "flagger.canary": key.name,
            "k8s.namespace.name": key.namespace,
            "flagger.revision": status.last_applied_spec,
        }
        trace = int(self._clock.unique().replace("-", ""), 16)
        release = _Release(trace, self._id(), now, attributes, step, self._id(), now)
        self._releases[key] = release
        return release

    def _goes_on(self, release: _Release, status: CanaryStatus) -> None:
        step = _step(status)
        if step != release.step:
            self._end_step(release)
            release.step, release.step_id, release.step_began = step, self._id(), self._clock.now()
        release.attributes["flagger.failed_checks"] = status.failed_checks

    def _end_step(self, release: _Release) -> None:
        self._span(release.step, release, release.step_id, release.id, release.step_began, {})

    def _end(self, key: Key, release: _Release, phase: Phase) -> None:
        del self._releases[key]
        self._end_step(release)
        error = "" if phase is Phase.SUCCEEDED else release.warning or f"the release ended as {phase.value}"
        attributes = {**release.attributes, "flagger.phase": phase.value, "flagger.checks": release.checks}
        self._span(f"release {key}", release, release.id, 0, release.began, attributes, error)

    def _span(
        self,
        name: str,
        release: _Release,
        span: int,
        parent: int,
        began: float,
        attributes: Attributes,
        error: str = "",
    ) -> None:
        self._sink(Span(name, release.trace, span, parent, began, self._clock.now(), attributes, error))

    def _id(self) -> int:
        """A random span identifier: 64 bits, not zero."""
        return int(self._clock.unique().replace("-", "")[:16], 16) or 1


def _key(canary: Canary) -> Key:
    return Key(canary.metadata.namespace, canary.metadata.name)


def _cause(decision: Decision) -> str:
    """The last warning of a decision, without the one that only says that the release failed."""
    said = (action for action in decision.actions if isinstance(action, Say) and action.type == "Warning")
    return next(reversed([action.reason.text for action in said if action.reason.code != "failed"]), "")


def _step(status: CanaryStatus) -> str:
    """The name of a step: its phase, with the weight or the iteration."""
    if status.phase is not Phase.PROGRESSING:
        return status.phase.value
    if status.iterations:
        return f"iteration {status.iterations}"
    return f"weight {status.canary_weight}"


def _check(canary: Canary, need: Need) -> tuple[str, Attributes]:
    match need:
        case CheckMetric(index=index):
            metric = canary.spec.analysis.metrics[index].name if canary.spec.analysis else ""
            return f"metric {metric}", {"flagger.metric": metric, "flagger.source": need.source}
        case CallHook(index=index):
            hook = canary.spec.analysis.webhooks[index] if canary.spec.analysis else None
            return (f"hook {hook.name}", {"flagger.hook": hook.name}) if hook else ("hook", {})
    return "metric providers", {}


def _error(result: Result) -> str:
    match result:
        case Refused(text=text) | NoData(text=text):
            return text
        case QueryFailed(problem=problem):
            return problem.text
    return ""
