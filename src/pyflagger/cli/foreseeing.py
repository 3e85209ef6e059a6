"""What `flagger lint` prints about releases that it foresees: figures, a picture of the steps, JSON.

Called by `lint`, which finds the canaries.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import click

from pyflagger.api import defaults
from pyflagger.api.canary import Canary
from pyflagger.api.durations import show
from pyflagger.api.facts import Problem
from pyflagger.cli.amounts import Rate, Share, count, number, percent
from pyflagger.cli.people import Duration
from pyflagger.foresight import loads
from pyflagger.foresight.advice import Change, Wanted, advice, reached
from pyflagger.foresight.judges import Traffic
from pyflagger.foresight.outlook import Health, Outlook, bounds, check, outlook, rate
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
WANTED = (
    click.option("--false-alarms", "alarm", type=Share(), help="healthy releases rolled back, at most (default 1%)"),
    click.option("--missed-faults", "missed", type=Share(), help="bad releases promoted, at most (default 5%)"),
)


_NAMES = {f"--{name.replace('_', '-')}": name for name in ("traffic", "base", "harm", "slow", "load", "scrape")} | {
    "--query-errors": "errors",
    "--false-alarms": "alarm",
    "--missed-faults": "missed",
}


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of what to foresee."""
    for option in reversed((*OPTIONS, *WANTED)):
        function = option(function)
    return function


def stated(given: Mapping[str, float | None]) -> tuple[Traffic, Wanted] | None:
    """The traffic and the wanted rates that the options state, or None. Raises UsageError."""
    amounts = {name: value for name, value in given.items() if value is not None}
    wanted = {name: amounts.pop(name) for name in ("alarm", "missed") if name in amounts}
    rate_ = amounts.pop("traffic", None)
    if rate_ is not None:
        return replace(Traffic(rate_), **amounts), replace(Wanted(), **wanted)
    if amounts or wanted:
        names = ", ".join(_option(name) for name in (*amounts, *wanted))
        raise click.UsageError(f"{names} has no effect without --traffic")
    return None


def _option(name: str) -> str:
    return next(option for option in _NAMES if _NAMES[option] == name)


def foreseen(canary: Canary, traffic: Traffic, provider: str) -> Outlook | None:
    """The outlook of a valid Canary; None if no analysis judges its releases.

    Metrics of pods and sidecars count the load tests of its webhooks, too. Those of an ingress do not see them.
    """
    router = router_for(provider)
    if isinstance(router, Problem) or defaults.skip(canary):
        return None
    dialect = dialect_for(provider, "")
    mean = not isinstance(dialect, Problem) and "histogram_quantile" not in dialect.duration
    if not isinstance(dialect, Problem) and (dialect.by_target or dialect.name == "kuma") and not traffic.load:
        traffic = replace(traffic, load=loads.total(canary))
    interval = defaults.interval(canary)
    return outlook(canary, traffic, provider=provider, capabilities=router.capabilities, interval=interval, mean=mean)


# Text ---------------------------------------------------------------------------------------------------------------


def lines(name: str, found: Outlook, wanted: Wanted) -> Iterator[str]:
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
        yield f"  false alarm    {healthy} of healthy releases are rolled back{_about(found, 'healthy')}"
        yield f"  missed fault   {missed} of bad releases are promoted{_about(found, 'bad')}"
        yield f"                 {count(found.harmed)} more requests fail than without a bad release"
        yield from (f"  {line}" for line in _picture(found))
        yield f"  advice         {advised(found, wanted)}"
    for other in found.unforeseen:
        yield f"  not included   metric {other.name}: {other.why}"


def advised(found: Outlook, wanted: Wanted) -> str:
    """What to change to reach the wanted rates, in a sentence."""
    rates = f"{percent(wanted.alarm)} false alarms and {percent(wanted.missed)} missed faults"
    if reached(found, wanted):
        return f"change nothing: the release has at most {rates}"
    change = advice(found, wanted)
    if change is None:
        return f"compare with the primary: no threshold, interval or window tried has at most {rates}"
    effect = f"{percent(change.healthy.rolled_back)} false alarms, {percent(change.bad.promoted)} missed faults"
    return f"set {_changed(found, change)}: {effect}, and a good release takes {show(change.seconds)}"


def _changed(found: Outlook, change: Change) -> str:
    """The fields of a change, with their values."""
    setting, fields = found.setting, []
    if change.threshold != setting.threshold:
        fields.append(f"threshold {change.threshold}")
    if change.interval != setting.plan.interval:
        fields.append(f"analysis.interval {show(change.interval)}")
    for judge, window, least in zip(setting.judges, change.windows, change.samples, strict=True):
        if window != judge.window:
            fields.append(f"interval {show(window)} of {judge.name}")
        if least != judge.least:
            fields.append(f"minSamples {least} and noData wait of {judge.name}")
    return ", ".join(fields)


def _about(found: Outlook, health: Health) -> str:
    """The standard error of a simulated probability, or the range of an exact one for several metrics."""
    ending = found.healthy if health == "healthy" else found.bad
    if ending.error:
        return f" (± {percent(ending.error)}, simulated)"
    between = bounds(found.setting, found.traffic, health) if len(found.setting.judges) > 1 else None
    if between is None or between[1] - between[0] < 0.001:
        return ""
    low, high = between if health == "healthy" else (1 - between[1], 1 - between[0])
    return f" ({percent(low)} to {percent(high)}, by how its metrics depend on each other)"


def _picture(found: Outlook) -> Iterator[str]:
    steps = found.setting.plan.steps
    yield f"{'step':<8}{'requests':>9}  {'a check fails: healthy':<{BAR + 14}}bad"
    for step in _some(steps):
        rate_ = rate(step, found.traffic)
        requests = min(judge.requests(rate_) for judge in found.setting.judges)
        bars = [f"{_bar(fails)} {percent(fails):>6}" for fails in _fails(found, step)]
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


def _bar(share: float) -> str:
    eighths = round(share * BAR * 8)
    return ("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()).ljust(BAR)


# Forms --------------------------------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """The outlook of one Canary, with its place and its name."""

    file: str
    line: int
    name: str
    outlook: Outlook


def _text(findings: Sequence[str], seen: Sequence[Shown], wanted: Wanted) -> Iterator[str]:
    yield from findings
    for each in seen:
        yield from lines(each.name, each.outlook, wanted)


def _json(findings: Sequence[str], seen: Sequence[Shown], wanted: Wanted) -> Iterator[str]:
    outlooks = [{"file": each.file, "object": each.name, **document(each.outlook, wanted)} for each in seen]
    yield json.dumps({"findings": json.loads("\n".join(findings)), "outlooks": outlooks}, indent=2)


def _github(findings: Sequence[str], seen: Sequence[Shown], wanted: Wanted) -> Iterator[str]:
    yield from findings
    for each in seen:
        healthy, missed = percent(each.outlook.healthy.rolled_back), percent(each.outlook.missed)
        text = f"{each.name}: {healthy} of healthy releases are rolled back, {missed} of bad ones promoted"
        escaped = f"{text}. Advice: {advised(each.outlook, wanted)}".replace("%", "%25")
        yield f"::notice file={each.file},line={each.line}::{escaped}"


FORMS: Mapping[str, Callable[[Sequence[str], Sequence[Shown], Wanted], Iterator[str]]] = {
    "text": _text,
    "json": _json,
    "github": _github,
}


def document(found: Outlook, wanted: Wanted) -> dict[str, Any]:
    """The figures as JSON. Shares and probabilities from 0 to 1, times in seconds."""
    plan = found.setting.plan
    return {
        "requestsPerSecond": found.traffic.rate,
        "loadTestsPerSecond": found.traffic.load,
        "healthyShare": found.traffic.base,
        "badShare": min(1.0, found.traffic.base * found.traffic.harm),
        "seconds": plan.seconds,
        "checks": len(plan.steps),
        "requestsServed": round(found.served, 3),
        "falseAlarms": found.healthy.rolled_back,
        "missedFaults": found.missed,
        "standardErrors": [found.healthy.error, found.bad.error],
        "requestsHarmed": round(found.harmed, 3),
        "steps": [_document_of(step, found) for step in plan.steps],
        "notIncluded": [{"metric": other.name, "why": other.why} for other in found.unforeseen],
        "advice": advised(found, wanted) if found.setting.judges else "",
    }


def _document_of(step: Step, found: Outlook) -> dict[str, Any]:
    healthy, bad = _fails(found, step)
    return {
        "weight": step.route.canary,
        "iteration": step.iteration,
        "mirrored": step.route.mirrored,
        "requestsPerSecond": rate(step, found.traffic),
        "healthyFails": healthy,
        "badFails": bad,
    }
