"""What `flagger lint` prints about releases that it foresees: figures, a picture of the steps, JSON.

Called by `lint`, which finds the canaries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import click

from pyflagger.api import defaults
from pyflagger.api.canary import Canary
from pyflagger.api.durations import show
from pyflagger.api.facts import Problem
from pyflagger.cli.amounts import Rate, Share, count, number, percent
from pyflagger.cli.people import Duration
from pyflagger.foresight.chain import Ending
from pyflagger.foresight.judges import Traffic
from pyflagger.foresight.outlook import Health, Outlook, check, outlook, rate
from pyflagger.foresight.plan import Step
from pyflagger.metrics.builtin import dialect_for
from pyflagger.routing.registry import router_for

ROWS_MAX = 12
"""Rows of the picture. A longer plan shows some of its steps."""

BAR = 10
"""Columns of a bar that stands for 100 %."""

OPTIONS = (
    click.option("--traffic", type=Rate(), help="foresee releases at this rate of visitors' requests, such as 50/s"),
    click.option("--base", type=Share(), help="share of requests that fail in a healthy release (default 0.5%)"),
    click.option("--harm", type=click.FloatRange(1), help="times more requests that fail in a bad one (default 2)"),
    click.option("--slow", type=Share(), help="share of requests over the limit of request-duration"),
    click.option("--load", type=Rate(), help="requests that load tests send to the canary directly"),
    click.option("--scrape", type=Duration(), help="scrape interval of the metrics server (default 15s)"),
    click.option("--query-errors", "errors", type=Share(), help="share of metric queries that fail (default 0%)"),
)


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of what to foresee."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def traffic(given: dict[str, float | None]) -> Traffic | None:
    """The traffic that the options state, or None. Raises UsageError."""
    stated = {name: value for name, value in given.items() if value is not None}
    rate_ = stated.pop("traffic", None)
    if rate_ is not None:
        return replace(Traffic(rate_), **stated)
    if stated:
        raise click.UsageError(f"--{next(iter(stated))} needs --traffic: it foresees nothing alone")
    return None


def foreseen(canary: Canary, traffic: Traffic, provider: str) -> Outlook | None:
    """The outlook of a valid Canary; None if no analysis judges its releases."""
    router = router_for(provider)
    if isinstance(router, Problem) or defaults.skip(canary):
        return None
    dialect = dialect_for(provider, "")
    mean = not isinstance(dialect, Problem) and "histogram_quantile" not in dialect.duration
    interval = defaults.interval(canary)
    return outlook(canary, traffic, provider=provider, capabilities=router.capabilities, interval=interval, mean=mean)


# Text ---------------------------------------------------------------------------------------------------------------


def lines(name: str, found: Outlook, *, unicode: bool = True) -> Iterator[str]:
    """The figures and the picture of one Canary."""
    at = found.traffic
    load = f" and {number(at.load)} of load tests" if at.load else ""
    rates = f"{percent(at.base)} of them fail, and {percent(min(1.0, at.base * at.harm))} in a bad release"
    yield f"{name} at {number(at.rate)} requests a second{load}: {rates}"
    plan = found.setting.plan
    checks = "1 check" if len(plan.steps) == 1 else f"{len(plan.steps)} checks"
    yield f"  good release   promoted after {checks} and {show(plan.seconds)}, plus the time that its pods need"
    yield f"                 its canary answers {count(found.served)} requests of visitors"
    if not found.setting.judges:
        yield "  judgement      no metric of this Canary can be foreseen"
    else:
        healthy, missed = percent(found.healthy.rolled_back), percent(found.missed)
        yield f"  false alarm    {healthy} of healthy releases are rolled back{_about(found.healthy)}"
        yield f"  missed fault   {missed} of bad releases are promoted{_about(found.bad)}"
        yield f"                 {count(found.harmed)} more requests fail than without a bad release"
        yield from (f"  {line}" for line in _picture(found, unicode))
    for other in found.unforeseen:
        yield f"  not included   metric {other.name}: {other.why}"


def _about(ending: Ending) -> str:
    """The standard error of a simulated probability."""
    return f" (± {percent(ending.error)}, simulated)" if ending.error else ""


def _picture(found: Outlook, unicode: bool) -> Iterator[str]:
    steps = found.setting.plan.steps
    yield f"{'step':<8}{'requests':>9}  {'a check fails: healthy':<{BAR + 14}}bad"
    for step in _some(steps):
        rate_ = rate(step, found.traffic)
        requests = min(judge.requests(rate_) for judge in found.setting.judges)
        bars = [f"{_bar(fails, unicode)} {percent(fails):>6}" for fails in _fails(found, step)]
        yield f"{_title(step):<8}{count(requests):>9}  {bars[0]:<{BAR + 14}}{bars[1]}".rstrip()


def _some(steps: tuple[Step, ...]) -> list[Step]:
    """The first, the last, and some in between."""
    if len(steps) <= ROWS_MAX:
        return list(steps)
    return [steps[round(at * (len(steps) - 1) / (ROWS_MAX - 1))] for at in range(ROWS_MAX)]


def _title(step: Step) -> str:
    if step.route.mirrored:
        return "mirror"
    return f"{step.iteration}." if step.iteration else f"{step.route.canary}%"


def _fails(found: Outlook, step: Step) -> list[float]:
    """The probability that a round does not pass at a step, healthy and bad."""
    healths: tuple[Health, ...] = ("healthy", "bad")
    passed = [1.0, 1.0]
    for at, health in enumerate(healths):
        for judge in found.setting.judges:
            passed[at] *= check(judge, step, found.setting, found.traffic, health).passed
    return [1 - each for each in passed]


def _bar(share: float, unicode: bool) -> str:
    if not unicode:
        return ("#" * round(share * BAR)).ljust(BAR)
    eighths = round(share * BAR * 8)
    return ("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()).ljust(BAR)
