"""Metrics that compare the canary with the primary: what a round counts, what it shows, and when it rolls back.

A compared metric whose two sides have requests does not fail a round. It ends the run when the evidence of all of them
together reaches 1/alpha (`betting`). While a side has no requests, the limits of the metric judge it. Called by
`policy` and by `analysis`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pyflagger.api.analysis import Comparisons, Metric, MetricComparison
from pyflagger.api.canary import Phase
from pyflagger.api.compared import BLIND_MAX, SHOWN_MAX, Comparison, Counted, odds
from pyflagger.api.durations import show
from pyflagger.api.facts import Fault, Route
from pyflagger.core import betting, reasons
from pyflagger.core.clocks import last_tick
from pyflagger.core.decision import Reason
from pyflagger.core.situation import CompareMetric, Counts, NoData, QueryFailed, Result
from pyflagger.core.strategy import next_weight
from pyflagger.core.verdict import Check, shortest
from pyflagger.core.view import View

SECONDS_MIN = 1.0
"""A shorter time is no unit."""


def need(view: View, check: Check) -> CompareMetric | None:
    """What a check must count. None without a comparison, during its warm-up, and while traffic is not split."""
    asked = check.need
    if check.metric.compare is None or asked is None or asked.source != "builtin" or not _splits(view):
        return None
    state = _known(view, check.metric)
    since = max(state.until, last_tick(view) or 0.0)
    return CompareMetric(asked.index, since, state.bound) if since + SECONDS_MIN <= view.now else None


def _answer(view: View, check: Check) -> Result | None:
    """The answer to what a check must count. None if it need not count, or has no answer yet."""
    asked = need(view, check)
    return view.situation.evidence.get(asked) if asked else None


def _splits(view: View) -> bool:
    """Whether visitors are on both sides at the same time, by lot."""
    shares = view.strategy == "canary" and not view.rescued
    return shares and not view.route.mirrored and 0 < view.route.canary < 100


def _known(view: View, metric: Metric) -> Comparison:
    """The stored state, or a new one that begins after the warm-up."""
    stored = next((each for each in view.status.comparisons or () if each.name == metric.name), None)
    if stored is not None and betting.sound(stored):
        return stored
    warm_up = metric.compare.warm_up_seconds if metric.compare else 0.0
    return betting.begun(metric.name, (last_tick(view) or view.now) + warm_up)


def state(view: View, check: Check) -> Comparison | None:
    """The state after this round. None without a comparison."""
    if check.metric.compare is None or not _splits(view):
        return None
    known, found = _known(view, check.metric), _answer(view, check)
    if not isinstance(found, Counts):
        return known
    after = known if known.bound else replace(known, bound=found.bound, limit=found.limit)
    for unit in found.units:
        after = betting.counted(after, unit, check.metric.compare.margin)
    return after


def judges(view: View, check: Check, after: Comparison) -> bool:
    """Whether the comparison judges this round, in place of the limits of the metric."""
    found = _answer(view, check)
    return isinstance(found, Counts) and bool(found.units) and after.blind < BLIND_MAX


def unable(view: View, check: Check) -> Reason | None:
    """Why the limits of the metric judge it in place of a comparison, for people. None during the warm-up."""
    found = _answer(view, check)
    if isinstance(found, QueryFailed):
        return _unable(check, found.problem.text, found.problem.todo, found.problem.fault)
    if isinstance(found, Counts | NoData):
        what = found.text if isinstance(found, NoData) else "the canary or the primary had no requests"
        return _unable(check, what, NO_REQUESTS)
    return None


def _unable(check: Check, why: str, todo: str, fault: Fault = Fault.PROVIDER) -> Reason:
    text = f"Not comparing {check.metric.name} with the primary, its limits judge this round: {why}"
    return Reason("not-compared", text, todo, fault)


NO_REQUESTS = "Send traffic to both versions, and check that the metrics server scrapes both."


def doubt(view: View, metric: Metric, after: Comparison) -> Reason | None:
    """Why to take no step: the numbers speak against the canary, and are not evidence enough for a rollback.

    A short release would otherwise be promoted before they are. To wait costs nothing of alpha. At the first weight,
    a bad version harms the fewest visitors, and each of its errors says the most.
    """
    if shown(after) < DOUBT or after.canary.bad < (metric.compare or MetricComparison()).min_errors:
        return None
    back = retreat(view)
    does = f"Returning {reasons.whose(view.canary)} to weight {back.canary}" if back else _holding(view)
    text = f"{does} until there is more evidence: {told(metric, after)}"
    return Reason(DOUBTFUL, text, DOUBT_FIX)


def _holding(view: View) -> str:
    return f"Holding {reasons.whose(view.canary)}"


def retreat(view: View) -> Route | None:
    """The split of the first weight, if the canary has more, and no person holds it."""
    first = next_weight(view.analysis, 0)
    moves = view.status.phase is Phase.PROGRESSING and view.status.hold is None and 0 < first < view.route.canary
    return Route(100 - first, first) if moves else None


DOUBTFUL = "inconclusive"
DOUBT = 2.0
"""The evidence against the canary at which no step is taken."""

DOUBT_FIX = (
    "Wait: each interval adds evidence for or against it. To decide yourself, use flagger promote or flagger abort."
)


def worse(view: View, states: Sequence[tuple[Metric, Comparison]]) -> Reason | None:
    """Why to roll back: the canary is worse than the primary. `states`: those of the metrics that decide."""
    alpha = (view.analysis.compare or Comparisons()).alpha
    if not states or betting.merged([each for _, each in states]) < -math.log(alpha):
        return None
    metric, leading = max(states, key=lambda each: betting.evidence(each[1]))
    if metric.compare is None or leading.canary.bad < metric.compare.min_errors:
        return None
    text = f"Rolling back {reasons.whose(view.canary)} {told(metric, leading)}; flagger rolls back at {odds(1 / alpha)}"
    return Reason("rolling-back", text, FIX)


FIX = "Fix the new version. If it may be that much worse than the primary, raise compare.margin of the metric."


def told(metric: Metric, known: Comparison) -> str:
    """The evidence in words, with the counts behind it."""
    margin = shortest(metric.compare.margin) if metric.compare else "1"
    what = f"took over {show(known.limit)}" if known.bound else "failed"
    seen = odds(shown(known))
    ours, theirs = _share(known.canary), _share(known.primary)
    return (
        f"evidence {seen} that {metric.name} is worse than {margin} times the primary's"
        f" ({ours} requests {what}, {theirs} of the primary)"
    )


def _share(side: Counted) -> str:
    return f"{side.bad:,.0f} of {side.requests:,.0f}"


def shown(known: Comparison) -> float:
    """The evidence as a number, with three digits."""
    return float(f"{min(math.exp(min(betting.evidence(known), 700.0)), SHOWN_MAX):.3g}")
