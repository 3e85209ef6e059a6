"""Answers the operator's requests from a script: queries, hooks, event hooks, alerts. Nothing leaves the process.

The operator announces each check to a Spectator in the task that then sends its requests, so a request belongs to the
check that its task announced last.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pyflagger.api import names
from pyflagger.api.canary import Canary, Metric
from pyflagger.clock import Clock
from pyflagger.core.situation import CallHook, CheckMetric, CompareMetric, Counts, Need, Refused, Result
from pyflagger.core.verdict import judge, measured
from pyflagger.metrics.builtin import DURATION, SUCCESS_RATE, dialect_for, named_for, of_primary
from pyflagger.metrics.dialect import Dialect
from pyflagger.metrics.evaluate import variables_for
from pyflagger.metrics.template import Variables, render
from pyflagger.objects import Key, part
from pyflagger.operator.spectator import Spectator
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest, shown_url
from pyflagger_sandbox.rehearsal.counting import matrix, step_of, times_of
from pyflagger_sandbox.rehearsal.recordings import Recording
from pyflagger_sandbox.rehearsal.script import Hook, Reading, Series
from pyflagger_sandbox.rehearsal.series import Moment, value
from pyflagger_sandbox.rehearsal.stage import vector
from pyflagger_sandbox.rehearsal.timeline import Journal

_ASKED: ContextVar[tuple[Canary, Need] | None] = ContextVar("asked", default=None)
COUNTED = 1.0
"""The answer to a query that counts series: there are some."""


@dataclass(slots=True)
class Cast:
    """What one canary's requests are answered. `images`: side → the images that it runs now.

    `recorded`: answers of a past time, for metrics without a series.
    """

    series: dict[str, Series]
    hooks: dict[str, Hook]
    seed: str
    traffic: float | None = None
    images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    released: tuple[str, ...] = ()
    """The images of the last release."""
    asked: dict[str, int] = field(default_factory=dict)
    missing: dict[str, None] = field(default_factory=dict)
    """Texts about what the script does not answer, in order."""
    recorded: Recording | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What a query asks for. `side`: canary or primary; `kind`: value, samples, requests or clue; `unit`: of a
    duration, in milliseconds."""

    metric: str
    side: str = "canary"
    kind: str = "value"
    unit: float = 1.0


def text_of(request: HttpRequest) -> str:
    """The query of a request to a Prometheus; empty for another request."""
    parts = urlsplit(request.url)
    if not parts.path.endswith("/api/v1/query"):
        return ""
    return parse_qs(parts.query or (request.body or b"").decode()).get("query", [""])[0]


def asked_for(canary: Canary, need: CheckMetric, mesh_provider: str, text: str) -> Query:
    """What a query of a check is about, by its text."""
    metric = (canary.spec.analysis.metrics if canary.spec.analysis else ())[need.index]
    dialect = dialect_for(canary.spec.provider, mesh_provider) if need.source == "builtin" else None
    if isinstance(dialect, Dialect):
        return _builtin(canary, metric, dialect, text)
    samples = render(metric.samples_query, variables_for(canary, metric)) if metric.samples_query else ""
    return Query(metric.name, kind="samples" if samples and text == samples.strip() else "value")


def _builtin(canary: Canary, metric: Metric, dialect: Dialect, text: str) -> Query:
    port = canary.spec.service.port_name if canary.spec.service else ""
    own = named_for(dialect, variables_for(canary, metric), port or "http")
    primary = of_primary(dialect, own, names.primary(canary))
    for side, found in (("canary", (dialect, own)), ("primary", primary)):
        if found is not None and (kind := _kind(metric.name, *found, text)):
            unit = dialect.milliseconds if metric.name == DURATION else 1.0
            return Query(metric.name, side, kind, unit)
    return Query(metric.name, kind="clue")


def _kind(metric: str, dialect: Dialect, named: Variables, text: str) -> str:
    asked = dialect.duration if metric == DURATION else dialect.success
    if text == render(asked, named).strip():
        return "value"
    return "requests" if text == render(dialect.requests, named).strip() else ""


class Answers(Spectator):
    """The other side of every request. `casts` by canary; `mesh_provider`: the operator's."""

    def __init__(self, clock: Clock, journal: Journal, casts: Mapping[Key, Cast], mesh_provider: str) -> None:
        self._clock, self._journal, self._casts = clock, journal, casts
        self._mesh_provider = mesh_provider
        self._events: set[tuple[Any, ...]] = set()

    # The spectator ---------------------------------------------------------------------------------------------------

    def asking(self, canary: Canary, need: Need) -> None:
        """Requests of this task belong to this check from now on."""
        _ASKED.set((canary, need))

    def asked(self, canary: Canary, need: Need, result: Result) -> None:
        """Note a check."""
        _ASKED.set(None)
        key = Key(canary.metadata.namespace, canary.metadata.name)
        if key not in self._casts or canary.spec.analysis is None:
            return
        if isinstance(need, CheckMetric):
            metric = canary.spec.analysis.metrics[need.index]
            provider = names.resolve_provider(canary.spec.provider or self._mesh_provider)
            failure = judge(canary, provider, metric, need.source, result)
            self._journal.tracks[key].checks += 1
            self._journal.note(key, "check", f"{metric.name} {measured(metric, need.source, result)}", failure is None)
        elif isinstance(need, CompareMetric):
            name = canary.spec.analysis.metrics[need.index].name
            self._journal.note(key, "compare", f"{name} {_summed(result)}")
        elif isinstance(need, CallHook):
            hook = canary.spec.analysis.webhooks[need.index]
            refusal = f": {result.text}" if isinstance(result, Refused) else ""
            self._journal.note(key, "hook", f"{hook.name}{refusal}", not refusal)

    # The wire ---------------------------------------------------------------------------------------------------------

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """Answer any request. Raises HttpFailure for a hook that is too late."""
        if text := text_of(request):
            return self._query(text)
        if times := times_of(request):
            return self._counted(times, step_of(request))
        body = _json(request.body)
        meta = part(body, "metadata")
        if "eventMessage" in meta and "eventType" in meta:
            return self._event(body, meta)
        asked = _ASKED.get()
        if asked is not None and isinstance(asked[1], CallHook):
            return await self._hook(asked[0], asked[1], request)
        for key in self._casts if asked is None else ():
            if key.name in f"{request.body!r}":
                self._journal.note(key, "alert", shown_url(request.url))
        return HttpAnswer(200, b"ok")

    def _event(self, body: Mapping[str, Any], meta: Mapping[str, Any]) -> HttpAnswer:
        key = Key(str(body.get("namespace")), str(body.get("name")))
        once = (key, meta.get("timestamp"), meta["eventType"], meta["eventMessage"])
        if key in self._casts and once not in self._events:
            self._events.add(once)
            self._journal.event(key, meta["eventType"], meta["eventMessage"])
        return HttpAnswer(200, b"ok")

    async def _hook(self, canary: Canary, need: CallHook, request: HttpRequest) -> HttpAnswer:
        key = Key(canary.metadata.namespace, canary.metadata.name)
        name = canary.spec.analysis.webhooks[need.index].name if canary.spec.analysis else ""
        if key not in self._casts:
            return HttpAnswer(200, b"ok")
        hook, called = self._casts[key].hooks[name], self._journal.tracks[key].called
        status = hook_status(hook, self._journal.since(key), called.get(name, 0))
        called[name] = called.get(name, 0) + 1
        self._journal.wake()
        if hook.late >= request.timeout:
            await self._clock.sleep(request.timeout)
            raise HttpFailure("timeout", f"no answer within {request.timeout:g} s")
        await self._clock.sleep(hook.late)
        return HttpAnswer(status, b"ok" if status < 300 else b"scripted refusal")

    def _query(self, text: str) -> HttpAnswer:
        asked = _ASKED.get()
        if asked is None or not isinstance(asked[1], CheckMetric):
            return HttpAnswer(200, vector("1"))
        canary = asked[0]
        key = Key(canary.metadata.namespace, canary.metadata.name)
        if key not in self._casts:
            return HttpAnswer(200, vector("100"))
        query = asked_for(canary, asked[1], self._mesh_provider, text)
        cast = self._casts[key]
        if cast.recorded is not None and query.metric not in cast.series and query.kind != "clue":
            return self._replayed(cast, cast.recorded, text, self._journal.since(key))
        return _answered(self._reading(key, query), query)

    def _replayed(self, cast: Cast, recorded: Recording, text: str, now: float) -> HttpAnswer:
        if said := recorded.lacks(text, now):
            cast.missing[said] = None
        found = recorded.answer(text, now)
        return HttpAnswer(200, vector() if found is None else vector(found))

    def _counted(self, times: tuple[float, ...], step: float) -> HttpAnswer:
        """The requests of both sides, for a comparison of success rates."""
        asked = _ASKED.get()
        none = HttpAnswer(200, matrix((), step, 0.0, lambda time, side: (0.0, 1.0)))
        if asked is None or not isinstance(asked[1], CompareMetric) or asked[0].spec.analysis is None:
            return none
        key = Key(asked[0].metadata.namespace, asked[0].metadata.name)
        metric, cast = asked[0].spec.analysis.metrics[asked[1].index], self._casts.get(key)
        if cast is None:
            return none
        series = cast.series.get(metric.name)
        primary = series and (series.primary or (series if series.versions else None))
        if metric.name != SUCCESS_RATE or cast.traffic is None or series is None or primary is None:
            needs = "traffic, and a series for canary and primary: versions, or primary in it"
            only = "" if metric.name == SUCCESS_RATE else " (rehearsals compare success rates only)"
            cast.missing[f"metric {metric.name} has compare, which needs {needs}{only}"] = None
            return none
        began = self._journal.tracks[key].began or 0.0
        whole, weight = cast.traffic, self._journal.tracks[key].weight / 100

        def rates(time: float, side: str) -> tuple[float, float]:
            each, share = (series, weight) if side == "canary" else (primary, 1 - weight)
            good = value(each, metric.name, Moment(time - began, cast.images.get(side, ())), noisy=False)
            return (whole * share, good / 100) if isinstance(good, float) else (0.0, 1.0)

        return HttpAnswer(200, matrix(times, step, began, rates))

    def _reading(self, key: Key, query: Query) -> Reading:
        cast, now = self._casts[key], self._journal.since(key)
        if query.kind == "clue":
            return COUNTED
        series = cast.series.get(query.metric)
        if query.kind == "requests":
            return self._requests(key, query, series)
        if series is not None and query.side == "primary":
            series = series.primary or (series if series.versions else None)
        if series is not None and query.kind == "samples":
            series = series.samples
        if series is None:
            return self._unscripted(cast, query)
        return self._told(cast, series, query, now)

    def _told(self, cast: Cast, series: Series, query: Query, now: float) -> Reading:
        which = f"{query.metric}/{query.side}/{query.kind}"
        nth = cast.asked.get(which, 0)
        cast.asked[which] = nth + 1
        moment = Moment(now, cast.images.get(query.side, ()), nth, f"{cast.seed}/{which}")
        return value(series, query.metric, moment)

    def _unscripted(self, cast: Cast, query: Query) -> Reading:
        """No values. Cast.missing gets the reason, unless it is the primary's value, which is only shown."""
        if query.side == "canary":
            what = "samples in its series" if query.kind == "samples" else "series for it"
            cast.missing[f"metric {query.metric} has no answers: the script has no {what}"] = None
        return "none"

    def _requests(self, key: Key, query: Query, series: Series | None) -> Reading:
        """The rate of the canary's requests. None, where the series says that it has no values now."""
        cast, weight = self._casts[key], self._journal.tracks[key].weight
        nth = max(0, cast.asked.get(f"{query.metric}/canary/value", 0) - 1)
        moment = Moment(self._journal.since(key), cast.images.get("canary", ()), nth)
        if series is None or value(series, query.metric, moment, noisy=False) == "none":
            return "none"
        if cast.traffic is None:
            cast.missing[f"metric {query.metric} has minSamples: the script has no traffic"] = None
            return "none"
        return cast.traffic * weight / 100


def _summed(result: Result) -> str:
    """The requests of both sides in a result."""
    if not isinstance(result, Counts):
        return "no counts"
    canary, primary = ([getattr(each, side) for each in result.units] for side in ("canary", "primary"))
    sums = [(sum(each.bad for each in side), sum(each.requests for each in side)) for side in (canary, primary)]
    return "canary {:g} bad of {:g}, primary {:g} of {:g}".format(*sums[0], *sums[1])


def _answered(reading: Reading, query: Query) -> HttpAnswer:
    if reading == "error":
        return HttpAnswer(500, b"scripted failure")
    if reading == "none":
        return HttpAnswer(200, vector())
    if reading == "nan":
        return HttpAnswer(200, vector("NaN"))
    scaled = reading / query.unit if query.kind == "value" and isinstance(reading, float) else reading
    return HttpAnswer(200, vector(f"{scaled:.12g}" if isinstance(scaled, float) else str(scaled)))


def hook_status(hook: Hook, now: float, nth: int) -> int:
    """The status of a hook's answer: by time for a gate that opens or closes, else the next of its answers."""
    moves = sorted((at, status) for at, status in ((hook.opens, 200), (hook.closes, 403)) if at is not None)
    if moves:
        before = 403 if moves[0][1] == 200 else 200
        return [before, *(status for at, status in moves if at <= now)][-1]
    return hook.answers[min(nth, len(hook.answers) - 1)]


def _json(body: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def images_of(containers: Collection[Mapping[str, Any]]) -> tuple[str, ...]:
    """The images of containers."""
    return tuple(str(each.get("image")) for each in containers)
