"""From a canary's metric to a number: the names in queries, the built-in checks, and causes of missing data.

Called by `operator.evidence`, which sends the requests.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from pyflagger.api import durations, names
from pyflagger.api.canary import Canary, Metric
from pyflagger.metrics.base import Exchange, NoValues, Provider, ProviderError, Question
from pyflagger.metrics.builtin import BUILTIN, DURATION, SUCCESS_RATE
from pyflagger.metrics.dialect import QUIET, Dialect
from pyflagger.metrics.template import Variables, render

INTERVAL = "1m"
"""The window of a metric without an interval."""

QUERIES_MAX = 1024
"""Maximum number of cached rendered queries of built-in checks: each round repeats them."""


__all__ = ["BUILTIN", "DURATION", "SUCCESS_RATE", "builtin", "cause_of_silence", "requests", "seconds", "variables_for"]


def variables_for(canary: Canary, metric: Metric, revision: str = "") -> Variables:
    """The names for a metric's query. `revision` is the latest of a Knative Service, empty for other targets."""
    spec = canary.spec
    target = names.target(canary)
    return Variables(
        name=canary.metadata.name,
        namespace=canary.metadata.namespace,
        target=target,
        service=names.apex(canary),
        ingress=names.ingress(canary),
        route=revision or (spec.route_ref.name if spec.route_ref else target),
        interval=metric.interval or INTERVAL,
        variables=metric.template_variables,
    )


def seconds(metric: Metric) -> float:
    """The metric's window. Raises ValueError."""
    return durations.parse(metric.interval or INTERVAL)


def builtin(provider: Provider, dialect: Dialect, check: str, named: Variables, now: float) -> Exchange[float]:
    """A built-in check: percent of requests without a 5xx, or milliseconds.

    `named` are the dialect's own names (`builtin.named_for`). If every request fails there are no good requests to
    count: the result is 0 %, not "no values". Raises the errors of a query.
    """
    length = durations.parse(named.interval)

    def ask(template: str) -> Exchange[float]:
        return provider.query(Question(_query(template, named), length, now))

    if check == DURATION:
        value = yield from ask(dialect.duration)
        return value * dialect.milliseconds
    try:
        value = yield from ask(dialect.success)
    except NoValues:
        if not dialect.total:
            raise
        total = yield from ask(dialect.total)
        if total <= 0:
            raise
        value = 0.0
    return value


def requests(provider: Provider, dialect: Dialect, named: Variables, now: float) -> Exchange[float]:
    """How many requests the canary answered within the interval. Raises the errors of a query."""
    length = durations.parse(named.interval)
    rate = yield from provider.query(Question(_query(dialect.requests, named), length, now))
    return rate * length


@lru_cache(maxsize=QUERIES_MAX)
def _query(template: str, named: Variables) -> str:
    return render(template, named)


def cause_of_silence(provider: Provider, dialect: Dialect, named: Variables) -> Exchange[str]:
    """The most likely reason why a built-in check found no data; empty when the clues' queries fail."""
    bare = replace(named, interval=named.interval or INTERVAL)
    for clue in dialect.clues:
        try:
            yield from provider.query(Question(render(clue.query, bare)))
        except NoValues:
            return render(clue.cause, bare)
        except ProviderError:
            return ""
    return QUIET
