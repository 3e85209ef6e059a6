"""Families of series: their samples, their members, and scrapes while the values change."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest

from pyflagger.operator.process.series import Counters, Gauges, Histograms

NAMES = ("name", "namespace")
WEB, SHOP, BETA = ("web", "test"), ("shop", "test"), ("web", "beta")


def scrape(*families: Gauges | Counters | Histograms) -> list[str]:
    """The lines of /metrics."""
    registry = CollectorRegistry()
    for family in families:
        registry.register(family)
    return generate_latest(registry).decode().splitlines()


@pytest.fixture
def weights() -> Gauges:
    """Three members."""
    gauges = Gauges("weight", "Traffic", NAMES)
    for number, labels in enumerate((WEB, SHOP, BETA)):
        gauges.set(labels, number)
    return gauges


def test_a_page_is_that_of_the_library() -> None:
    """Help, type, names, labels with special characters, and numbers, except for the library's time of creation."""
    odd, theirs = ('a"b\\c\n', "test"), CollectorRegistry()
    gauges, counters = Gauges("weight", "Traffic", NAMES), Counters("ends", "Releases", NAMES)
    histograms = Histograms("took_seconds", "Duration", NAMES, (0.5, 2.0))
    gauges.set(odd, 12.5)
    Gauge("weight", "Traffic", NAMES, registry=theirs).labels(*odd).set(12.5)
    counters.count(odd)
    Counter("ends", "Releases", NAMES, registry=theirs).labels(*odd).inc()
    histograms.observe(odd, 1.0)
    Histogram("took_seconds", "Duration", NAMES, buckets=(0.5, 2.0), registry=theirs).labels(*odd).observe(1.0)
    wanted = [line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line]
    assert scrape(gauges, counters, histograms) == wanted


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0.0, (1, 1, 1)), (0.5, (1, 1, 1)), (0.51, (0, 1, 1)), (2.0, (0, 1, 1)), (2.01, (0, 0, 1))],
)
def test_the_bucket_of_a_value(value: float, counts: tuple[int, ...]) -> None:
    """A bound belongs to its own bucket, and buckets are cumulative."""
    histograms = Histograms("took_seconds", "Duration", NAMES, (0.5, 2.0))
    histograms.observe(WEB, value)
    (family,) = histograms.collect()
    *buckets, count, total = [sample.value for sample in family.samples]
    assert (tuple(buckets), count, total) == (counts, 1, value)


def test_members_by_their_first_labels(weights: Gauges) -> None:
    """A prefix of labels selects whole labels, never a part of one."""
    assert weights.of(("web",)) == [WEB, BETA]
    assert weights.of(WEB) == [WEB]
    assert weights.of(()) == [WEB, SHOP, BETA]
    assert weights.of(("we",)) == []


def test_a_removed_member_starts_again(weights: Gauges) -> None:
    """It leaves the page, the others stay, and removing it twice is no error."""
    weights.remove(WEB)
    weights.remove(WEB)
    assert WEB not in weights and SHOP in weights
    assert not [line for line in scrape(weights) if 'name="web",namespace="test"' in line]
    counters = Counters("ends", "Releases", NAMES)
    counters.count(WEB)
    counters.count(WEB)
    counters.remove(WEB)
    counters.count(WEB)
    assert scrape(counters)[-1] == 'ends_total{name="web",namespace="test"} 1.0'


def samples(family: Metric, change: Gauges) -> int:
    """Count the samples while the family changes after the first."""
    count = 0
    for count, _ in enumerate(family.samples, 1):
        change.remove(BETA)
        change.set(("new", str(count)), 1.0)
    return count


def test_a_scrape_during_changes(weights: Gauges) -> None:
    """A scrape shows the members that it began with, and does not fail."""
    (family,) = weights.collect()
    assert samples(family, weights) == 3
