"""Faults of Canaries that lint finds at a stated traffic, each seeded into a Canary without one."""

from __future__ import annotations

from typing import Any

import pytest

from foresight.test_outlook import DURATION, MATCH, RAMP, RATE, canary
from pyflagger.cli.foreseeing import foreseen
from pyflagger.foresight.advice import Wanted, advice, reached
from pyflagger.foresight.judges import Traffic
from pyflagger.foresight.outlook import Outlook
from pyflagger.foresight.remarks import remarks

BUSY = Traffic(100)
RARE = Traffic(100, base=0.00001, harm=1)
GATE = {"type": "confirm-promotion", "name": "ask", "url": "http://tester/gate/check"}


def load(command: str) -> dict[str, Any]:
    """A load test."""
    return {"name": "load", "url": "http://tester/", "metadata": {"cmd": command}}


def of(metric: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The analysis without faults, with another metric."""
    return {**RAMP, "metrics": [metric], **more}


FAULTS: dict[str, tuple[dict[str, Any], Traffic, str, str]] = {
    # fault: analysis, traffic, path below spec.analysis, text
    "a window of half an interval": (
        of({**RATE, "interval": "30s"}),
        BUSY,
        "metrics[0].interval",
        "sees 30s of each 1m0s: 50 % of the requests are never judged",
    ),
    "a window of the default interval": (
        of({"name": RATE["name"], "thresholdRange": {"min": 99}}, interval="5m"),
        BUSY,
        "metrics[0].interval",
        "sees 1m0s of each 5m0s: 80 %",
    ),
    "one scrape a window": (
        of({**RATE, "interval": "15s"}),
        BUSY,
        "metrics[0].interval",
        "windows of 15s and a scrape interval of 15s: 100 % of them",
    ),
    "two scrapes in some windows": (
        of({**RATE, "interval": "1m"}),
        Traffic(100, scrape=45),
        "metrics[0].interval",
        "67 % of them have fewer than two samples",
    ),
    "a burst in as many checks as the threshold": (
        of({**RATE, "interval": "5m"}, threshold=3),
        RARE,
        "metrics[0].interval",
        "contains a request in 5 checks: one burst of errors can fail all of them, and 3 failed checks roll back",
    ),
    "the same by a short interval": (
        of(RATE, interval="10s"),
        RARE,
        "metrics[0].interval",
        "contains a request in 5 checks",
    ),
    "a step over the maximum": (
        {**RAMP, "stepWeight": 30},
        BUSY,
        "maxWeight",
        "last step has weight 60, because steps of 30 pass over maxWeight",
    ),
    "a step over the maximum, close to it": (
        {**RAMP, "stepWeight": 7},
        BUSY,
        "maxWeight",
        "last step has weight 56",
    ),
    "weights that do not increase": (
        {"stepWeights": [10, 50, 30], "metrics": [RATE]},
        BUSY,
        "stepWeights",
        "No release has weight 50: the promotion follows weight 30",
    ),
    "weights that decrease": (
        {"stepWeights": [50, 20, 10], "metrics": [RATE]},
        BUSY,
        "stepWeights",
        "No release has weight 50, 20",
    ),
    "a maximum beside weights": (
        {"stepWeights": [10, 50], "maxWeight": 30, "metrics": [RATE]},
        BUSY,
        "maxWeight",
        "maxWeight has no effect",
    ),
    "a quiet night": (
        RAMP,
        Traffic(0.2),
        "metrics[0]",
        "At weight 5 a window of metric request-success-rate sees 0.45 requests: 64 % of checks lack data",
    ),
    "a quiet night with patience": (
        of({**RATE, "noData": "wait"}),
        Traffic(0.2),
        "metrics[0]",
        "and each of them holds its step",
    ),
    "no visitor at all": (RAMP, Traffic(0.0001), "metrics[0]", "never has data at this traffic"),
    "blue/green without a load test": (
        {"iterations": 5, "metrics": [RATE]},
        BUSY,
        "metrics[0]",
        "In iteration 1 a window of metric request-success-rate sees 0 requests: 100 % of checks lack data",
    ),
    "nothing mirrored by day": (
        {"iterations": 5, "mirror": True, "mirrorWeight": 1, "metrics": [RATE]},
        Traffic(1),
        "metrics[0]",
        "While traffic is mirrored, a window",
    ),
    "samples that never arrive": (
        of({**RATE, "minSamples": 100_000, "noData": "wait"}),
        BUSY,
        "metrics[0].minSamples",
        "never has at least 75000 requests",
    ),
    "samples that seldom arrive": (
        of({**RATE, "minSamples": 300}),
        BUSY,
        "metrics[0].minSamples",
        "49 % of checks lack at least 225 requests",
    ),
    "one error is over the limit": (
        RAMP,
        Traffic(10),
        "metrics[0].interval",
        "At weight 5 a window of metric request-success-rate sees 22 requests: a single failed one is over the limit",
    ),
    "one slow request is over the limit": (
        of(DURATION),
        Traffic(10, slow=0.001),
        "metrics[0].interval",
        "a single slow one is over the limit of 1 %",
    ),
    "a limit of three nines": (
        of({**RATE, "thresholdRange": {"min": 99.9}}),
        Traffic(100, base=0.0005),
        "metrics[0].interval",
        "a single failed one is over the limit of 0.1 %",
    ),
    "a limit below the healthy rate": (
        of({**RATE, "thresholdRange": {"min": 99.9}}),
        BUSY,
        "metrics[0]",
        "A healthy release has 0.5 % failed requests, and metric request-success-rate accepts 0.1 %",
    ),
    "a limit of the older kind below the healthy rate": (
        of({"name": RATE["name"], "interval": "1m", "threshold": 100}),
        BUSY,
        "metrics[0]",
        "accepts 0 %",
    ),
    "a limit over the bad rate": (
        of({**RATE, "thresholdRange": {"min": 95}}),
        BUSY,
        "metrics[0]",
        "A bad release has 1 % failed requests, and metric request-success-rate accepts 5 %",
    ),
    "too many slow requests": (
        of(DURATION),
        Traffic(100, slow=0.02),
        "metrics[0]",
        "A healthy release has 2 % slow requests",
    ),
    "no check at all": ({"stepWeight": 10, "maxWeight": 50}, BUSY, "metrics", "every release with ready pods is"),
    "dry runs alone": (of({**RATE, "dryRun": True}), BUSY, "metrics", "No metric and no rollout hook judges"),
    "a gate before the promotion": (
        {**RAMP, "webhooks": [GATE]},
        Traffic(20),
        "webhooks[0]",
        "Gate ask has no deadline: the release waits until it opens. Its checks go on, and half of the healthy",
    ),
    "a gate of traffic": (
        {**RAMP, "webhooks": [{**GATE, "type": "confirm-traffic-increase"}]},
        Traffic(20),
        "webhooks[0]",
        "healthy releases that wait 23m0s are rolled back",
    ),
    "a gate before the release": (
        {**RAMP, "webhooks": [{**GATE, "type": "confirm-rollout"}]},
        BUSY,
        "webhooks[0]",
        "Gate ask has no deadline",
    ),
    "a gate of an A/B test": (
        {"iterations": 5, "match": MATCH, "metrics": [RATE], "webhooks": [GATE]},
        BUSY,
        "webhooks[0]",
        "Gate ask has no deadline",
    ),
    "a load test without a limit": (
        {**RAMP, "webhooks": [load("hey -z 1m http://web-canary.shop/")]},
        BUSY,
        "webhooks[0]",
        "Load test load calls the canary at a rate that it does not limit",
    ),
}

SOUND: dict[str, tuple[dict[str, Any], Traffic]] = {
    "a ramp": (RAMP, BUSY),
    "a ramp with both metrics": ({**RAMP, "metrics": [RATE, DURATION]}, Traffic(100, slow=0.004)),
    "a step that ends at the maximum": ({"stepWeight": 25, "maxWeight": 50, "metrics": [RATE]}, BUSY),
    "weights": ({"stepWeights": [10, 20, 50], "metrics": [RATE]}, BUSY),
    "weights with their maximum": ({"stepWeights": [10, 50], "maxWeight": 50, "metrics": [RATE]}, BUSY),
    "an A/B test": ({"iterations": 5, "match": MATCH, "metrics": [RATE]}, BUSY),
    "a mirror": ({"iterations": 5, "mirror": True, "metrics": [RATE]}, BUSY),
    "a blue/green release with a load test": (
        {"iterations": 5, "metrics": [RATE], "webhooks": [load("hey -z 1m -q 10 -c 2 http://web-canary.shop/")]},
        BUSY,
    ),
    "a gate that is always open": ({**RAMP, "webhooks": [{**GATE, "url": "http://tester/gate/approve"}]}, BUSY),
    "a hook that judges": ({"stepWeight": 50, "webhooks": [load("curl http://web-canary.shop/")]}, BUSY),
    "a window that overlaps once": (of({**RATE, "interval": "90s"}), BUSY),
    "no data that passes": (of({**RATE, "noData": "pass"}), Traffic(0.2)),
    "an unknown share of slow requests": (of(DURATION), BUSY),
}


def told(analysis: dict[str, Any], traffic: Traffic) -> list[tuple[str, str]]:
    """The warnings about this analysis: path and text."""
    one = canary(analysis, provider="istio")
    found = foreseen(one, traffic, "istio")
    assert found is not None
    return [(problem.path, problem.text) for problem in remarks(one, found)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_found(fault: str) -> None:
    """At its field, with what follows from it."""
    analysis, traffic, path, text = FAULTS[fault]
    assert any(where == f"spec.analysis.{path}" and text in said for where, said in told(analysis, traffic)), told(
        analysis, traffic
    )


@pytest.mark.parametrize("what", SOUND)
def test_a_sound_canary_has_no_warning(what: str) -> None:
    """None that is false."""
    assert told(*SOUND[what]) == []


# Advice -------------------------------------------------------------------------------------------------------------


def outlook_of(analysis: dict[str, Any], traffic: Traffic) -> Outlook:
    """The outlook of this analysis."""
    found = foreseen(canary(analysis), traffic, "istio")
    assert found is not None
    return found


@pytest.mark.parametrize(
    "threshold, traffic, change",
    [
        (2, Traffic(20, harm=4), (7, 60, (60,), (0,))),  # another threshold is enough
        (2, Traffic(5, harm=4), (8, 120, (120,), (0,))),  # longer intervals and windows, too
        (2, Traffic(1, harm=1.5), None),  # nothing is
    ],
)
def test_the_smallest_change_is_advised(threshold: int, traffic: Traffic, change: tuple[Any, ...] | None) -> None:
    """Its figures are those of the changed Canary."""
    found = outlook_of({**RAMP, "threshold": threshold}, traffic)
    assert not reached(found, Wanted())
    advised = advice(found, Wanted())
    if change is None:
        assert advised is None
        return
    assert advised is not None
    assert (advised.threshold, advised.interval, advised.windows, advised.samples) == change
    interval = f"{advised.interval:g}s"
    metrics = [{**RATE, "interval": f"{advised.windows[0]:g}s"}]
    again = outlook_of({**RAMP, "threshold": advised.threshold, "interval": interval, "metrics": metrics}, traffic)
    assert reached(again, Wanted())
    assert again.healthy == advised.healthy and again.bad == advised.bad


def test_samples_are_advised_where_they_help() -> None:
    """A few windows with too few requests make the false alarms."""
    analysis = {"iterations": 10, "match": MATCH, "metrics": [RATE], "threshold": 5}
    advised = advice(outlook_of(analysis, Traffic(2.2, base=0.002, harm=20)), Wanted(alarm=0.0001, missed=0.2))
    assert advised is not None
    assert advised.samples in ((100,), (0,))


def test_a_canary_that_is_good_enough_needs_no_change() -> None:
    """At a high rate the example of the docs is."""
    assert reached(outlook_of({**RAMP, "threshold": 3}, Traffic(100, harm=4)), Wanted())
