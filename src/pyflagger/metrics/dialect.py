"""A row of built-in checks: PromQL templates for one traffic provider, and the shapes that most rows share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clue:
    """A query, and what it means when it finds nothing."""

    query: str
    cause: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one traffic provider's metrics are asked.

    `success` gives percent, `duration` a time of which one is `milliseconds`. `total` is the rate of all requests: when
    the success rate finds nothing and this is above zero, every request failed. Empty where `success` sees to that.
    `clues` tell why there is no data: asked in order and only then, the first that finds nothing names the cause.
    `ascii_names`: characters that the provider replaces by an underscore are replaced in names too.
    """

    name: str
    success: str
    duration: str
    total: str = ""
    milliseconds: float = 1.0
    clues: tuple[Clue, ...] = ()
    ascii_names: bool = False


# Shapes of queries --------------------------------------------------------------------------------------------------


def rate(*series: str) -> str:
    """The rate of all requests in these series, which have no labels in common."""
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
    "point spec.metricsServer (or the operator's -metrics-server) at the Prometheus that has them,"
    " or give the metric a templateRef to a MetricTemplate with the right address and query."
)
QUIET = (
    "The canary's series are there, but no request came within the metric's interval: send more traffic through the"
    " route that is being shifted, or make the interval longer. When its first requests have only just come, wait for"
    " the next round."
)


def scraped(what: str, *counters: str) -> Clue:
    """Whether the metrics server knows the provider's series at all."""
    names = " or ".join(counters)
    return Clue(f"count({names})", f"The metrics server has no series {names}: it does not scrape {what}; {_ELSEWHERE}")


def _own(counter: str, labels: str) -> Clue:
    return Clue(
        f"count({counter}{{{labels}}})",
        f"No series {counter} is of this canary: no request has reached it, or its labels differ from {labels}.",
    )


def row(
    name: str,
    what: str,
    counter: str,
    labels: str,
    good: str,
    duration: str,
    *,
    extra: str = "",
    more: tuple[Clue, ...] = (),
) -> Dialect:
    """A dialect of the usual shape; `extra` are matchers of the counter alone."""
    counted = f"{labels}, {extra}" if extra else labels
    return Dialect(
        name=name,
        success=share(counter, counted, good),
        duration=duration,
        total=rate(f"{counter}{{{counted}}}"),
        clues=(scraped(what, counter), *more, _own(counter, counted)),
    )
