"""Run the checks that a decision needs: call webhooks, query metric providers, and probe them.

The gatherer calls this with one need at a time. Every error becomes a result that names whose problem it is. Only
cancellation is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from pyflagger.api import names
from pyflagger.api.canary import Analysis, Canary, Metric
from pyflagger.api.compared import Counted
from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.core.betting import Unit
from pyflagger.core.situation import (
    CallHook,
    CheckMetric,
    CompareMetric,
    Counts,
    Need,
    NoData,
    Passed,
    ProbeProviders,
    QueryFailed,
    Refused,
    Result,
    Value,
)
from pyflagger.core.verdict import passes
from pyflagger.metrics.base import Exchange, MetricError, NoValues, Provider, ProviderError, Question
from pyflagger.metrics.builtin import BUILTIN, DURATION, dialect_for, named_for, of_primary
from pyflagger.metrics.counts import Tally, bound_for, comparable, failures, slow, units_between
from pyflagger.metrics.dialect import Dialect
from pyflagger.metrics.evaluate import builtin, cause_of_silence, requests, seconds, variables_for
from pyflagger.metrics.template import TemplateError, Variables, render
from pyflagger.operator.evidence.hook_token import Identity
from pyflagger.operator.evidence.metric_sources import Failed, Lookups, Sources, prefixed, title
from pyflagger.operator.evidence.webhooks import HookRequest, call
from pyflagger.operator.options import Options
from pyflagger.plugins import PluginFailed, answered
from pyflagger.wire import Http, HttpAnswer, HttpFailure, HttpRequest, hidden, secrets_of, shown_url

__all__ = ["Checks", "Lookups"]

T = TypeVar("T")

RETRY_PAUSE = 0.5
"""Seconds before a request is retried once, after a failed connection or a status of `PASSING`."""

PASSING = frozenset({502, 503, 504})
"""Statuses of a server or proxy that is about to recover. 500 is an answer, and a failed check as in the reference."""

REQUESTS_MAX = 64
"""The maximum number of requests for one query. A provider that needs more is broken."""

CAUSE_SECONDS_MAX = 5.0
PROMETHEUS = "prometheus"
TEXT_MAX = 1024


class Broken(Exception):
    """A provider failed. The text has the error, without credentials."""


class Ended(Exception):
    """An exchange has returned `value`."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


@dataclass(frozen=True, slots=True)
class Asked:
    """A rendered query, and whom to ask. `kind`: the type of a template's provider, else empty."""

    provider: Provider
    text: str
    address: str
    kind: str = ""


class Checks:
    """Runs needs. `gauge` gets every value: in percent, in seconds for durations, or unchanged.

    `count` gets the type of the provider and the outcome of each query.
    """

    def __init__(
        self,
        http: Http,
        clock: Clock,
        lookups: Lookups,
        options: Options,
        gauge: Callable[[Canary, str, float], None],
        identity: Identity | None = None,
        count: Callable[[str, str], None] = lambda provider, outcome: None,
    ) -> None:
        self._identity, self._count = identity, count
        self._http, self._clock, self._gauge = http, clock, gauge
        self._mesh_provider = options.mesh_provider
        self._sources = Sources(lookups, options)

    async def run(self, need: Need, canary: Canary) -> Result:
        """Run one check of a canary."""
        try:
            match need:
                case CallHook():
                    return await self._hook(need, canary)
                case ProbeProviders():
                    return await self._probe(canary)
                case CheckMetric():
                    return await self._metric(need, canary)
                case CompareMetric():
                    return await self._compare(need, canary)
            raise TypeError(f"{need} is not asked here")
        except (Failed, PluginFailed) as failed:
            return _failed(need, failed.problem)
        except Exception as error:
            text = (f"{error}" if isinstance(error, Broken) else f"{type(error).__name__}: {error}")[:TEXT_MAX]
            return _failed(need, Problem(Fault.US, text, "This is a bug in flagger or in a plugin: report it."))

    # Hooks and probes ------------------------------------------------------------------------------------------------

    async def _hook(self, need: CallHook, canary: Canary) -> Passed | Refused:
        hook, meta = _analysis(canary).webhooks[need.index], canary.metadata
        request = HookRequest(meta.name, meta.namespace, need.phase, need.checksum, hook.metadata)
        return await call(self._http, self._clock, hook, request, self._identity)

    async def _probe(self, canary: Canary) -> Passed | Refused:
        for metric in _analysis(canary).metrics:
            provider = await self._probed(canary, metric)
            if provider is None:
                continue
            try:
                await self._drive(provider.online())
            except MetricError as error:
                return Refused(_with_hint(error.problem))
        return Passed()

    async def _probed(self, canary: Canary, metric: Metric) -> Provider | None:
        if metric.name in BUILTIN:
            return self._sources.metrics_server(canary)
        if metric.template_ref is not None:
            return await self._sources.provider(await self._sources.template(canary, metric))
        return None

    # Metrics ---------------------------------------------------------------------------------------------------------

    async def _metric(self, need: CheckMetric, canary: Canary) -> Result:
        metric = _analysis(canary).metrics[need.index]
        _check_interval(metric)
        if need.source == "template":
            return await self._template(canary, metric, need.primary)
        provider = self._sources.metrics_server(canary)
        if need.source == "builtin":
            return await self._builtin(canary, metric, provider, need.primary)
        named = await self._variables(canary, metric, need.primary)
        text = _rendered(metric.query, named, "query render error")
        asked = Asked(provider, text, self._sources.address(canary))
        return await self._ask(canary, metric, asked, named)

    async def _template(self, canary: Canary, metric: Metric, primary: bool) -> Result:
        template = await self._sources.template(canary, metric)
        provider = await self._sources.provider(template)
        named = await self._variables(canary, metric, primary)
        text = _rendered(template.spec.query, named, f"{title(template)} query render error")
        spec = template.spec.provider
        return await self._ask(canary, metric, Asked(provider, text, spec.address, spec.type), named)

    async def _ask(self, canary: Canary, metric: Metric, asked: Asked, named: Variables) -> Result:
        question = Question(asked.text, seconds(metric), self._clock.now())
        try:
            value = await self._counted(asked.kind or PROMETHEUS, asked.provider.query(question), asked.kind)
            samples = await self._samples(metric, asked, named) if metric.min_samples else None
        except NoValues as error:
            place = f" at {shown_url(asked.address)}" if asked.address else ""
            return NoData(
                error.problem.text, f"Try the query{place} by hand: {' '.join(asked.text.split())[:TEXT_MAX]}"
            )
        except MetricError as error:
            return QueryFailed(error.problem)
        self._gauge(canary, metric.name, value)
        return Value(value, samples)

    async def _samples(self, metric: Metric, asked: Asked, named: Variables) -> float:
        """The number of samples of a metric with a samplesQuery. No values are no samples."""
        text = _rendered(metric.samples_query, named, "samplesQuery render error")
        question = Question(text, seconds(metric), self._clock.now())
        try:
            return await self._counted(asked.kind or PROMETHEUS, asked.provider.query(question), asked.kind)
        except NoValues:
            return 0.0

    async def _builtin(self, canary: Canary, metric: Metric, provider: Provider, primary: bool) -> Result:
        dialect, named = await self._dialect(canary, metric)
        if primary:
            dialect, named = _of_primary(canary, dialect, named)
        try:
            exchange = builtin(provider, dialect, metric.name, named, self._clock.now())
            value = await self._counted(PROMETHEUS, exchange)
            count = requests(provider, dialect, named, self._clock.now())
            samples = await self._counted(PROMETHEUS, count) if metric.min_samples else None
        except NoValues as error:
            return NoData(f"running query failed: {error.problem.text}", await self._cause(provider, dialect, named))
        except MetricError as error:
            return QueryFailed(prefixed("running query failed: ", error.problem))
        self._gauge(canary, metric.name, value / 1000 if metric.name == DURATION else value)
        if primary or passes(metric, "builtin", value):
            return Value(value, samples)
        return Value(value, samples, await self._beside(canary, metric, provider, dialect, named))

    async def _dialect(self, canary: Canary, metric: Metric) -> tuple[Dialect, Variables]:
        """The queries of a canary's provider, and the names in them."""
        dialect = dialect_for(canary.spec.provider, self._mesh_provider)
        if isinstance(dialect, Problem):
            raise Failed(dialect)
        port = canary.spec.service.port_name if canary.spec.service else ""
        return dialect, named_for(dialect, await self._variables(canary, metric), port or "http")

    async def _compare(self, need: CompareMetric, canary: Canary) -> Result:
        metric = _analysis(canary).metrics[need.index]
        provider, ours = self._sources.metrics_server(canary), await self._dialect(canary, metric)
        theirs = _of_primary(canary, *ours)
        unit = metric.compare.unit_seconds if metric.compare else 0.0
        times = units_between(need.since, self._clock.now(), unit)
        try:
            bound = need.bound
            if metric.name == DURATION and not bound:
                bound = await self._drive(bound_for(provider, theirs, _limit(metric), times.end))
            sides = (ours, theirs)
            asked = slow(provider, sides, bound, times) if bound else failures(provider, sides, times)
            tallies = await self._drive(asked)
        except NoValues as error:
            return NoData(error.problem.text)
        except MetricError as error:
            return QueryFailed(prefixed("comparing with the primary failed: ", error.problem))
        return Counts(tuple(map(_unit, tallies)), bound, float(bound) * ours[0].bucket_unit if bound else 0.0)

    async def _beside(
        self, canary: Canary, metric: Metric, provider: Provider, dialect: Dialect, named: Variables
    ) -> float | None:
        """The primary's value of the same window, for people. None if the dialect or the provider does not tell it."""
        asked = of_primary(dialect, named, names.primary(canary))
        if asked is None:
            return None
        try:
            async with asyncio.timeout(CAUSE_SECONDS_MAX):
                return await self._drive(builtin(provider, asked[0], metric.name, asked[1], self._clock.now()))
        except (MetricError, HttpFailure, TimeoutError):
            return None

    async def _cause(self, provider: Provider, dialect: Dialect, named: Variables) -> str:
        try:
            async with asyncio.timeout(CAUSE_SECONDS_MAX):
                return await self._drive(cause_of_silence(provider, dialect, named))
        except (MetricError, TimeoutError):
            return ""

    async def _variables(self, canary: Canary, metric: Metric, primary: bool = False) -> Variables:
        named = variables_for(canary, metric, await self._sources.revision(canary))
        return replace(named, target=names.primary(canary)) if primary else named

    # The wire --------------------------------------------------------------------------------------------------------

    async def _counted(self, provider: str, exchange: Exchange[float], kind: str = "") -> float:
        """Run the exchange of a query, and count its outcome."""
        outcome = "error"
        try:
            value = await self._drive(exchange, kind)
            outcome = "value"
            return value
        except MetricError as error:
            outcome = error.outcome
            raise
        finally:
            self._count(provider, outcome)

    async def _drive(self, exchange: Exchange[T], kind: str = "") -> T:
        """Run an exchange to its end. Errors pass through, but none of their texts contains a credential.

        `kind` is the type of the provider. Advice then ends with the provider and the address that flagger asked.
        """
        secrets: frozenset[str] = frozenset()
        request: HttpRequest | None = None
        try:
            request = await answered(partial(_step, partial(next, exchange)))
            for _ in range(REQUESTS_MAX):
                secrets |= secrets_of(request)
                request = await answered(partial(_step, await self._move(exchange, request)))
        except Ended as ended:
            return ended.value  # type: ignore[no-any-return]
        except (MetricError, PluginFailed) as error:
            asked = _asked(kind, request) if kind and isinstance(error, ProviderError) else ""
            problem = error.problem
            error.problem = replace(problem, text=hidden(problem.text, secrets), todo=f"{problem.todo}{asked}".strip())
            raise
        except Exception as error:
            raise Broken(hidden(f"{type(error).__name__}: {error}", secrets)) from None
        finally:
            exchange.close()
        raise ProviderError(f"more than {REQUESTS_MAX} requests for one question", fault=Fault.US)

    async def _move(self, exchange: Exchange[T], request: HttpRequest) -> Callable[[], HttpRequest]:
        """Send a request. Returns the step that its answer makes possible."""
        try:
            return partial(exchange.send, await self._send(request))
        except HttpFailure as failure:
            return partial(exchange.throw, failure)

    async def _send(self, request: HttpRequest) -> HttpAnswer:
        """Send a request. Retries it once after a failed connection or a 5xx, so that neither fails a check alone."""
        created = request.cluster and request.method != "GET"
        try:
            answer = await self._http.send(request)
            if created or answer.status not in PASSING:
                return answer
        except HttpFailure as failure:
            if created or failure.kind != "connect":
                raise
        await self._clock.sleep(RETRY_PAUSE)
        return await self._http.send(request)


def _asked(kind: str, request: HttpRequest | None) -> str:
    if request is None:
        return ""
    place = shown_url(request.url)
    return f" flagger asked {kind} at {f'the API server, {place}' if request.cluster else place}."


def _step(move: Callable[[], HttpRequest]) -> HttpRequest:
    """The next request of an exchange. Raises Ended."""
    try:
        return move()
    except StopIteration as stop:
        raise Ended(stop.value) from None


def _analysis(canary: Canary) -> Analysis:
    if canary.spec.analysis is None:
        raise Failed(Problem(Fault.MANIFEST, "there is no analysis", "Add spec.analysis to the canary."))
    return canary.spec.analysis


def _of_primary(canary: Canary, dialect: Dialect, named: Variables) -> tuple[Dialect, Variables]:
    """The queries about the primary. Raises Failed if its series are not told from the canary's."""
    found = of_primary(dialect, named, names.primary(canary))
    if found is None or not comparable(canary, dialect):
        text = f"the series of provider {dialect.name} do not tell this canary's requests from the primary's"
        raise Failed(Problem(Fault.MANIFEST, text, "Remove compare or bake, or use a MetricTemplate."))
    return found


def _limit(metric: Metric) -> float:
    """The largest accepted duration, in seconds."""
    most = metric.threshold_range.max if metric.threshold_range else metric.threshold
    return (most or 0.0) / 1000


def _unit(tally: Tally) -> Unit:
    ours, theirs = Counted(tally.bad, tally.requests), Counted(tally.primary_bad, tally.primary_requests)
    return Unit(tally.until, ours, theirs)


def _check_interval(metric: Metric) -> None:
    try:
        seconds(metric)
    except ValueError as error:
        raise Failed(Problem(Fault.MANIFEST, f"metric interval {error}", "Write it as 30s or 1m.")) from error


def _rendered(template: str, variables: Variables, about: str) -> str:
    try:
        return render(template, variables)
    except TemplateError as error:
        todo = "Correct the query. The numbers are its line and column."
        raise Failed(Problem(Fault.MANIFEST, f"{about}: {error}", todo)) from error


def _with_hint(problem: Problem) -> str:
    return f"{problem.text}. {problem.todo}" if problem.todo else problem.text


def _failed(need: Need, problem: Problem) -> Result:
    return QueryFailed(problem) if isinstance(need, CheckMetric | CompareMetric) else Refused(_with_hint(problem))
