"""A row of built-in checks: PromQL templates for one traffic provider, and the shapes that most rows share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Clue:
    """A query, and the cause if it finds nothing."""

    query: str
    cause: str


class Counter(NamedTuple):
    """A counter of requests: its name, the labels of a side, and the further labels of its good requests."""

    name: str
    labels: str
    good: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """The built-in queries for one traffic provider.

    `success` returns percent. `duration` returns a time; `milliseconds` is the length of its unit. `requests` is the
    rate of all requests per second. `total` is the same: if it is above zero while `success` finds nothing, every
    request failed. It is empty if `success` covers this case. `clues` explain missing data: they run in order, and the
    first that finds nothing names the cause.
    `ascii_names`: replace the characters that the provider replaces by underscores in names. `by_target`: the queries
    name the canary by its workload alone. Otherwise `primary` has the words that name it, each with the word for the
    primary; it is empty if there is none.

    `counters`: the series that count requests, each with the labels of all requests and the further labels of good
    ones. `buckets`: the series of the histogram of durations, each with its labels; `bucket_unit` is the length of the
    unit of their bounds in seconds. Comparisons with the primary count by these.
    """

    name: str
    success: str
    duration: str
    requests: str
    total: str = ""
    milliseconds: float = 1.0
    clues: tuple[Clue, ...] = ()
    ascii_names: bool = False
    primary: tuple[tuple[str, str], ...] = ()
    by_target: bool = False
    counters: tuple[Counter, ...] = ()
    buckets: tuple[tuple[str, str], ...] = ()
    bucket_unit: float = 0.001


# Shapes of queries --------------------------------------------------------------------------------------------------


def rate(*series: str) -> str:
    """The rate of all requests in these series, which share no labels."""
    return f"sum(rate({'[{{ interval }}]) or rate('.join(series)}[{{{{ interval }}}}]))"


def share(counter: str, labels: str, good: str) -> str:
    """Requests that also match `good`, in percent of all."""
    return f"{rate(f'{counter}{{{labels}, {good}}}')} / {rate(f'{counter}{{{labels}}}')} * 100"


def p99(buckets: str, labels: str) -> str:
    """The 99th percentile of a histogram, in the histogram's unit."""
    return f"histogram_quantile(0.99, sum(rate({buckets}{{{labels}}}[{{{{ interval }}}}])) by (le))"


def mean(family: str, labels: str) -> str:
    """The mean of a histogram in seconds, in milliseconds."""
    return f"{rate(f'{family}_sum{{{labels}}}')} / {rate(f'{family}_count{{{labels}}}')} * 1000"


# Causes of no data --------------------------------------------------------------------------------------------------

_ELSEWHERE = (
    "set spec.metricsServer (or the operator's -metrics-server) to the Prometheus that has them,"
    " or give the metric a templateRef to a MetricTemplate with the right address and query."
)
QUIET = (
    "The canary's series exist, but it received no requests within the metric's interval. Send more traffic through the"
    " route, or use a longer interval. If its first requests arrived just now, wait for the next round."
)


def scraped(what: str, *counters: str) -> Clue:
    """A clue: the metrics server has no series of the provider at all."""
    names = " or ".join(counters)
    return Clue(f"count({names})", f"The metrics server has no series {names}: it does not scrape {what}; {_ELSEWHERE}")


def _own(counter: str, labels: str) -> Clue:
    return Clue(
        f"count({counter}{{{labels}}})",
        f"No series {counter} belongs to this canary: it received no requests, or its labels differ from {labels}.",
    )


def row(
    name: str,
    what: str,
    counter: str,
    labels: str,
    good: str,
    duration: str,
    *,
    buckets: str,
    extra: str = "",
    more: tuple[Clue, ...] = (),
) -> Dialect:
    """A dialect of the common shape. `extra` are matchers for the counter only. `buckets`: the durations."""
    counted = f"{labels}, {extra}" if extra else labels
    requests = rate(f"{counter}{{{counted}}}")
    return Dialect(
        name=name,
        success=share(counter, counted, good),
        duration=duration,
        requests=requests,
        total=requests,
        clues=(scraped(what, counter), *more, _own(counter, counted)),
        counters=(Counter(counter, counted, good),),
        buckets=((buckets, labels),),
    )
