"""Warnings about a Canary at a stated traffic: settings that work, but not as they look. They stop no release."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pyflagger.api.analysis import GATES
from pyflagger.api.canary import Analysis, Canary, HookType, Webhook
from pyflagger.api.defaults import max_weight
from pyflagger.api.durations import show
from pyflagger.api.facts import Fault, Problem
from pyflagger.foresight import loads
from pyflagger.foresight.judges import Judge
from pyflagger.foresight.outlook import Outlook, check, rate, share
from pyflagger.foresight.plan import Step
from pyflagger.foresight.rules import Policy

SELDOM, MOSTLY, NEVER = 0.05, 0.5, 0.99
"""Shares of checks without data from which lint says so."""

GATE_ROUNDS_MAX = 10_000
APPROVED = "/gate/approve"
"""The path of a gate of the load tester that is always open."""


def remarks(canary: Canary, found: Outlook) -> tuple[Problem, ...]:
    """All warnings about the releases of a valid Canary with an analysis."""
    analysis = canary.spec.analysis or Analysis()
    each = (problem for judge in found.setting.judges for problem in _judge(judge, found))
    return (*_weights(analysis, found), *each, *_undecided(analysis), *_gates(analysis, found), *_loads(canary, found))


def _warning(path: str, text: str, todo: str) -> Problem:
    return Problem(Fault.MANIFEST, text, todo, path)


# Weights ------------------------------------------------------------------------------------------------------------


def _weights(analysis: Analysis, found: Outlook) -> Iterator[Problem]:
    visited = [step.route.canary for step in found.setting.plan.steps]
    if analysis.iterations > 0 or not visited:
        return
    if analysis.step_weight > 0 and visited[-1] > max_weight(analysis):
        text = f"The last step has weight {visited[-1]}, because steps of {analysis.step_weight} pass over maxWeight"
        yield _warning("spec.analysis.maxWeight", text, f"Set maxWeight to {visited[-1]}, or use stepWeights.")
    if analysis.step_weight > 0:
        return
    if missed := [weight for weight in analysis.step_weights if weight not in visited]:
        listed = ", ".join(map(str, missed))
        text = f"No release has weight {listed}: the promotion follows weight {visited[-1]}"
        yield _warning("spec.analysis.stepWeights", text, "Sort the weights. The last one is the largest.")
    if analysis.max_weight and analysis.max_weight != visited[-1]:
        text = f"With stepWeights, maxWeight has no effect: the last step has weight {visited[-1]}"
        yield _warning("spec.analysis.maxWeight", text, "Remove it.")


# Metrics ------------------------------------------------------------------------------------------------------------


def _judge(judge: Judge, found: Outlook) -> Iterator[Problem]:
    path = f"spec.analysis.metrics[{judge.index}]"
    if found.setting.plan.steps:
        yield from _window(judge, found, path)
        yield from _data(judge, found, path)
        yield from _limits(judge, found, path)


def _window(judge: Judge, found: Outlook, path: str) -> Iterator[Problem]:
    interval, path = found.setting.plan.interval, f"{path}.interval"
    if judge.blind:
        text = (
            f"Metric {judge.name} has windows of {show(judge.window)} and a scrape interval of"
            f" {show(found.traffic.scrape)}: {_percent(judge.blind)} of them have fewer than two samples, and no data"
        )
        yield _warning(path, text, f"Use at least {show(2 * found.traffic.scrape)}.")
    elif judge.window < interval:
        unseen = 1 - judge.window / interval
        text = f"Metric {judge.name} sees {show(judge.window)} of each {show(interval)}: {_percent(unseen)} of the"
        yield _warning(path, f"{text} requests are never judged", f"Set it to {show(interval)}.")
    checks, threshold = math.ceil(judge.seen / interval - 1e-9), found.setting.threshold
    if checks > 1 and checks >= threshold:
        text = (
            f"A window of {show(judge.window)} contains a request in {checks} checks: one burst of errors can fail all"
            f" of them, and {threshold} failed checks roll back"
        )
        yield _warning(path, text, f"Set it to {show(interval)}, lengthen the interval, or raise the threshold.")


def _data(judge: Judge, found: Outlook, path: str) -> Iterator[Problem]:
    """Checks without data, and with fewer samples than the metric wants. `_window` covers short windows."""
    steps = found.setting.plan.steps
    if judge.blind:
        return
    silent = [judge.odds(rate(step, found.traffic), 0.0, 0.0).none for step in steps]
    worst = silent.index(max(silent))
    counts = "counts as failed" if judge.policy.no_data == "fail" else "holds its step"
    requests = _number(judge.requests(rate(steps[worst], found.traffic)))
    what = f"at least {judge.least} requests" if judge.least else "data"
    field = f"{path}.minSamples" if judge.least else path
    if min(silent) > NEVER:
        text = f"Metric {judge.name} never has {what} at this traffic, and each check without {counts}"
        yield _warning(field, text, _more(found))
    elif silent[worst] > SELDOM and judge.policy.no_data != "pass":
        share_ = _percent(silent[worst])
        text = f"{_at(steps[worst])} a window of metric {judge.name} sees {requests} requests: {share_} of checks lack"
        yield _warning(field, f"{text} {what}, and each of them {counts}", _quiet(judge.policy))


def _more(found: Outlook) -> str:
    if any(rate(step, found.traffic) > 0 for step in found.setting.plan.steps):
        return "Lengthen its interval, or start with a larger weight."
    return "No visitor reaches the canary in these steps: send it a load test, and state its rate with --load."


def _quiet(policy: Policy) -> str:
    if policy.no_data == "fail":
        return "Lengthen its interval, start with a larger weight, or set noData to wait."
    return "Lengthen its interval, or start with a larger weight."


def _limits(judge: Judge, found: Outlook, path: str) -> Iterator[Problem]:
    """Rates that the limit cannot tell apart, and windows with too few requests for the limit."""
    if not 0 <= judge.limit < 1:
        return
    limit = _percent(judge.limit)
    healthy, bad = (share(judge, found.setting, found.traffic, health) for health in ("healthy", "bad"))
    if healthy > judge.limit + 1e-9:
        text = (
            f"A healthy release has {_percent(healthy)} {judge.kind} requests, and metric {judge.name} accepts {limit}"
        )
        yield _warning(path, text, "Accept more, or state the right share.")
        return
    if healthy < bad < judge.limit - 1e-9:
        text = f"A bad release has {_percent(bad)} {judge.kind} requests, and metric {judge.name} accepts {limit}"
        yield _warning(path, text, "Accept fewer, or state a larger --harm.")
    seen = [judge.requests(rate(step, found.traffic)) for step in found.setting.plan.steps]
    least = min(seen)
    if judge.limit > 0 and 1 <= least < (1 - 1e-9) / judge.limit and not judge.least:
        step = found.setting.plan.steps[seen.index(least)]
        text = (
            f"{_at(step)} a window of metric {judge.name} sees {_number(least)} requests: a single {judge.kind} one is"
            f" over the limit of {limit}"
        )
        enough = math.ceil(1 / judge.limit - 1e-9)
        yield _warning(f"{path}.interval", text, f"Lengthen it until a window sees {enough} requests.")


def _undecided(analysis: Analysis) -> Iterator[Problem]:
    hooks = any(hook.type is HookType.ROLLOUT for hook in analysis.webhooks)
    if all(metric.dry_run for metric in analysis.metrics) and not hooks:
        text = "No metric and no rollout hook judges this Canary: every release with ready pods is promoted"
        yield _warning("spec.analysis.metrics", text, "Add a metric.")


# Hooks --------------------------------------------------------------------------------------------------------------


def _gates(analysis: Analysis, found: Outlook) -> Iterator[Problem]:
    for at, hook in enumerate(analysis.webhooks):
        if hook.type not in GATES or hook.url.endswith(APPROVED):
            continue
        text = f"Gate {hook.name} has no deadline: the release waits until it opens"
        if hook.type is not HookType.CONFIRM_ROLLOUT:
            text += _meanwhile(found, hook)
        yield _warning(f"spec.analysis.webhooks[{at}]", text, "Watch the condition Promoted, or send alerts.")


def _meanwhile(found: Outlook, hook: Webhook) -> str:
    """What the checks do to a healthy release that waits at a gate: each of its rounds is judged."""
    steps = found.setting.plan.steps
    if not steps or not found.setting.judges:
        return ""
    held = steps[0] if hook.type is HookType.CONFIRM_TRAFFIC_INCREASE else steps[-1]
    odds = [check(judge, held, found.setting, found.traffic, "healthy") for judge in found.setting.judges]
    passed = math.prod(each.passed for each in odds)
    rounds = _half(1 - passed, found.setting.threshold) if not found.setting.consecutive else None
    if rounds is None:
        return ""
    waits = show(rounds * found.setting.plan.interval)
    return f". Its checks go on, and half of the healthy releases that wait {waits} are rolled back"


def _half(fails: float, threshold: int) -> int | None:
    """The number of checks at which half of the runs have failed so many."""
    held = [1.0, *[0.0] * (threshold - 1)]
    for rounds in range(1, GATE_ROUNDS_MAX + 1):
        held = [mass * (1 - fails) + (held[at - 1] * fails if at else 0.0) for at, mass in enumerate(held)]
        if sum(held) <= MOSTLY:
            return rounds
    return None


def _loads(canary: Canary, found: Outlook) -> Iterator[Problem]:
    """Load tests of the canary without a stated rate: the figures lack them."""
    if found.traffic.load or not found.setting.judges:
        return
    for at, hook in loads.hooks(canary):
        if loads.most(hook) is None:
            text = f"Load test {hook.name} calls the canary at a rate that it does not limit, and the figures lack it"
            yield _warning(f"spec.analysis.webhooks[{at}]", text, "State its rate with --load.")


# Words --------------------------------------------------------------------------------------------------------------


def _at(step: Step) -> str:
    if step.route.mirrored:
        return "While traffic is mirrored,"
    return f"In iteration {step.iteration}" if step.iteration else f"At weight {step.route.canary}"


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %" if part < 0.995 else f"{100 * part:.4g} %"


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"
