"""Plans and outlooks of Canaries: the operator's own steps, and the figures that follow from them."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities
from pyflagger.api.parse import parse_canary
from pyflagger.foresight.judges import Traffic
from pyflagger.foresight.outlook import Outlook, bounds, outlook
from pyflagger.foresight.plan import Plan, plan

EVERYTHING = Capabilities(weights=True, ab=True, mirror=True, mirror_steps=True, affinity=True)
RATE = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
DURATION = {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}}
RAMP = {"stepWeight": 5, "maxWeight": 50, "metrics": [RATE]}


def canary(analysis: dict[str, Any], **spec: Any) -> Canary:
    """A Canary with this analysis."""
    body = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 5, **analysis},
        **spec,
    }
    meta = {"name": "web", "namespace": "shop"}
    return parse_canary({"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": meta, "spec": body})


def planned(analysis: dict[str, Any], provider: str = "istio", capabilities: Capabilities = EVERYTHING) -> Plan:
    """The plan of this analysis."""
    return plan(canary(analysis), provider=provider, capabilities=capabilities, interval=60)


def foreseen(analysis: dict[str, Any], traffic: Traffic, **more: Any) -> Outlook:
    """The outlook of this analysis."""
    return outlook(canary(analysis), traffic, provider="istio", capabilities=EVERYTHING, interval=60, **more)


MATCH = [{"headers": {"x": {"exact": "y"}}}]


@pytest.mark.parametrize(
    "analysis, weights",
    [
        ({"stepWeight": 20, "maxWeight": 50}, [20, 40, 60]),
        ({"stepWeight": 40}, [40, 80, 100]),
        ({"stepWeights": [1, 5, 30]}, [1, 5, 30]),
        ({"stepWeights": [10, 80, 50]}, [10, 50]),
        ({"stepWeight": 50, "maxWeight": 50, "mirror": True}, [0, 50]),
        ({"iterations": 2, "match": MATCH}, [100, 100]),
        ({"iterations": 2}, [0, 0, 100]),
    ],
)
def test_the_steps_are_those_of_the_strategy(analysis: dict[str, Any], weights: list[int]) -> None:
    """One for each weight or iteration, and a last one at 100 % for blue/green."""
    found = planned(analysis)
    assert [step.route.canary for step in found.steps] == weights
    assert found.seconds == 60 * len(weights)


def test_a_copy_of_the_traffic_is_judged_and_harms_no_visitor() -> None:
    """Mirrored steps have requests but no visitors."""
    found = planned({"iterations": 1, "mirror": True, "mirrorWeight": 30})
    assert [(step.share, step.visitors) for step in found.steps] == [(0.3, 0), (1, 1)]


def test_traffic_returns_in_steps() -> None:
    """They are a part of the release, and visitors are still at the canary."""
    analysis = {"stepWeight": 50, "maxWeight": 50, "stepWeightPromotion": 30}
    found = planned(analysis)
    assert found.home == (20, 0)
    assert found.seconds == 180
    assert foreseen(analysis, Traffic(10)).served == 10 * 60 * (0.5 + 0.5 + 0.2)


def test_a_provider_that_cannot_split_runs_ten_iterations() -> None:
    """As the operator does."""
    found = planned({}, "kubernetes", Capabilities(weights=False))
    assert [step.share for step in found.steps] == [0] * 11


def test_a_plan_without_steps() -> None:
    """The operator waits for ever, and the API refuses it."""
    assert planned({}).steps == ()


@pytest.mark.parametrize(
    "rate, threshold, healthy, bad",
    [
        (0.2, 2, 57.3, 30.2),
        (0.2, 10, 0.7, 98.8),
        (1, 5, 0.5, 60.5),
        (2, 2, 52.3, 0.8),
        (5, 2, 67.3, 0.0),
        (20, 2, 41.5, 0.0),
        (100, 2, 3.4, 0.0),
    ],
)
def test_the_table_of_the_docs(rate: float, threshold: int, healthy: float, bad: float) -> None:
    """A ramp from 5 to 50 %, with windows of an interval. Bad releases have four times as many errors."""
    found = foreseen({**RAMP, "threshold": threshold}, Traffic(rate, harm=4, scrape=0))
    assert 100 * found.healthy.rolled_back == pytest.approx(healthy, abs=0.1)
    assert 100 * found.missed == pytest.approx(bad, abs=0.1)


def test_a_threshold_that_looks_safe_is_not() -> None:
    """100 requests a window, half the limit of 1 %: three of four healthy releases are rolled back."""
    steps = {"stepWeights": [10], "threshold": 2, "metrics": [RATE]}
    once = foreseen(steps, Traffic(1000 / 60, scrape=0)).healthy.rolled[0]
    analysis = {"iterations": 10, "match": MATCH, "threshold": 2, "metrics": [RATE]}
    assert foreseen(analysis, Traffic(100 / 60, scrape=0)).healthy.rolled_back == pytest.approx(0.76, abs=0.005)
    assert once == pytest.approx(0.232**2, abs=0.001)


def test_requests_at_risk() -> None:
    """Each check of a bad release costs its visitors an interval."""
    always = {"stepWeights": [10], "threshold": 1, "metrics": [{**RATE, "thresholdRange": {"min": 100}}]}
    found = foreseen(always, Traffic(100, base=0.0001, harm=100))
    assert found.bad.rolled_back > 0.98
    assert found.harmed == pytest.approx(100 * 60 * 0.1 * 0.0001 * 99)


def test_what_a_metric_sees() -> None:
    """A window is shorter than it says by a scrape interval, and empty with fewer than two scrapes."""
    metrics = [{**RATE, "interval": "30s", "minSamples": 10}]
    judges = [foreseen({**RAMP, "metrics": metrics}, Traffic(1, scrape=scrape)).setting.judges[0] for scrape in (5, 20)]
    assert [(each.seen, each.blind, each.least) for each in judges] == [(25, 0, 9), (20, 0.5, 7)]
    dark = foreseen({**RAMP, "metrics": metrics}, Traffic(1000, scrape=60))
    assert dark.healthy.rolled_back == pytest.approx(1)


def test_what_is_not_foreseen_is_named() -> None:
    """A mean, an unknown share of slow requests, and the query of a user. A dry run decides nothing."""
    custom = {"name": "errors", "query": "vector(1)", "thresholdRange": {"max": 1}}
    both = {**RAMP, "metrics": [DURATION, custom, {**custom, "dryRun": True}]}
    assert [each.index for each in foreseen(both, Traffic(1)).unforeseen] == [0, 1]
    assert "mean" in foreseen(both, Traffic(1), mean=True).unforeseen[0].why
    known = foreseen(both, Traffic(100, slow=0.004, harm=5))
    assert [each.name for each in known.unforeseen] == ["errors"]
    assert known.missed < 0.1 < 1 - known.healthy.rolled_back


def test_harm_is_of_failed_requests_where_they_are_judged() -> None:
    """Slow ones stay as they are, so that the figure is that of the stated harm."""
    one = foreseen({**RAMP, "metrics": [RATE, DURATION]}, Traffic(20, slow=0.00001, harm=4))
    two = foreseen(RAMP, Traffic(20, harm=4))
    assert one.missed == pytest.approx(two.missed, rel=0.01)


def test_load_tests_are_judged_and_no_visitors() -> None:
    """Without them, a blue/green release has no data."""
    analysis = {"iterations": 3, "metrics": [RATE]}
    assert foreseen(analysis, Traffic(10)).healthy.rolled_back == pytest.approx(1)
    loaded = foreseen(analysis, Traffic(10, load=10, base=0.0001))
    assert loaded.healthy.rolled_back < 0.001
    assert loaded.served == 600


def test_windows_decide_which_law_applies() -> None:
    """Exact up to two intervals for one plain metric, else simulated, with its error."""
    few = {**RAMP, "stepWeight": 25}
    long = {**few, "metrics": [{**RATE, "interval": "2m"}]}
    policy = {**few, "metrics": [{**RATE, "interval": "90s", "noData": "wait"}]}
    longer = {**few, "metrics": [{**RATE, "interval": "5m"}]}
    errors = [foreseen(each, Traffic(100, base=0.0001)).healthy.error for each in (few, long, policy, longer)]
    assert errors[:2] == [0, 0]
    assert all(error > 0 for error in errors[2:])


def test_bounds_hold_whatever_metrics_have_in_common() -> None:
    """The figure for independent metrics lies between; a policy or overlapping windows have no bounds."""
    two = {**RAMP, "metrics": [RATE, DURATION]}
    found = foreseen(two, Traffic(2, slow=0.005))
    low, high = bounds(found.setting, found.traffic, "healthy") or (1.0, 0.0)
    assert low < found.healthy.rolled_back < high
    assert low == pytest.approx(foreseen(RAMP, Traffic(2)).healthy.rolled_back)
    for other in ({"noData": "wait"}, {"interval": "2m"}):
        setting = foreseen({**RAMP, "metrics": [{**RATE, **other}]}, Traffic(2)).setting
        assert bounds(setting, Traffic(2), "bad") is None
