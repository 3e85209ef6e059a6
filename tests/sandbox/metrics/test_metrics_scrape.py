"""Scraping on virtual time: pages to series, ends of series, bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import looptime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyflagger.clock import LoopClock
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from pyflagger_sandbox.metrics import Engine, Scraper, ScrapeTarget, Store, Vector, labels_of
from pyflagger_sandbox.metrics.exposition import Malformed, samples, series_labels

START = 1_700_000_000.0


def virtual(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run on a loop whose time passes only while everybody sleeps."""
    loop = looptime.patch_event_loop(asyncio.SelectorEventLoop(), start=0)
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


class Pages:
    """An Http that serves what a test puts in, or fails."""

    def __init__(self) -> None:
        self.pages: dict[str, str | HttpFailure | int] = {}
        self.asked: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.asked.append(request)
        page = self.pages[request.url]
        if isinstance(page, HttpFailure):
            raise page
        return HttpAnswer(page) if isinstance(page, int) else HttpAnswer(200, page.encode())


class Bench:
    """A scraper with everything around it under the test's hand."""

    def __init__(self, **options: Any) -> None:
        self.store = Store(**options)
        self.engine = Engine(self.store)
        self.http = Pages()
        self.clock = LoopClock(start=START)
        self.targets: list[ScrapeTarget] | Exception = []
        self.scraper = Scraper(self.store, self.discover, self.http, self.clock)

    async def discover(self) -> list[ScrapeTarget]:
        if isinstance(self.targets, Exception):
            raise self.targets
        return self.targets

    def value(self, query: str) -> dict[tuple[tuple[str, str], ...], float]:
        vector = self.engine.instant(query, self.clock.now())
        assert isinstance(vector, Vector)
        return {sample.labels: sample.value for sample in vector.samples}

    def number(self, query: str) -> float | None:
        return next(iter(self.value(query).values()), None)


POD = "http://127.0.0.5:9898/metrics"


def test_a_running_scraper_fills_rates() -> None:
    """One sample a second, each with the target's labels, and a rate that follows."""

    async def run() -> None:
        bench = Bench()
        bench.targets = [ScrapeTarget(POD, {"kubernetes_namespace": "test", "job": "pods"})]
        bench.http.pages[POD] = "hits_total 0\n"
        task = asyncio.create_task(bench.scraper.run())
        for second in range(30):
            bench.http.pages[POD] = f"# HELP x\nhits_total {4 * second}\n"
            await asyncio.sleep(1)
        task.cancel()
        assert len(bench.http.asked) in (30, 31)
        (labels,) = bench.value("hits_total")
        assert dict(labels) == {
            "__name__": "hits_total",
            "instance": "127.0.0.5:9898",
            "job": "pods",
            "kubernetes_namespace": "test",
        }
        assert bench.number("rate(hits_total[10s])") == pytest.approx(4.0, rel=0.01)
        assert bench.number("up") == 1.0
        assert bench.number("scrape_samples_scraped") == 1.0

    virtual(run)


def test_series_end_with_their_target() -> None:
    """A failing target, one that lost a series and one that went away all end at once, and only they do."""

    async def run() -> None:
        bench = Bench()
        urls = [f"http://127.0.0.{n}:80/metrics" for n in (1, 2, 3, 4)]
        bench.targets = [ScrapeTarget(url, {}) for url in urls]
        for url in urls:
            bench.http.pages[url] = 'a 1\nb{x="1"} 2\n'
        await bench.scraper.round()
        assert bench.number("count(a)") == 4.0
        await bench.clock.sleep(1)
        bench.http.pages[urls[0]] = HttpFailure("connect", "refused")
        bench.http.pages[urls[1]] = "a 1\n"
        bench.targets = [ScrapeTarget(url, {}) for url in urls if url != urls[2]]
        await bench.scraper.round()
        assert {dict(labels)["instance"] for labels in bench.value("a")} == {"127.0.0.2:80", "127.0.0.4:80"}
        assert {dict(labels)["instance"] for labels in bench.value("b")} == {"127.0.0.4:80"}
        up = {dict(labels)["instance"]: value for labels, value in bench.value("up").items()}
        assert up == {"127.0.0.1:80": 0.0, "127.0.0.2:80": 1.0, "127.0.0.4:80": 1.0}
        bench.http.pages[urls[0]] = "a 5\n"
        await bench.clock.sleep(1)
        await bench.scraper.round()
        assert bench.number('a{instance="127.0.0.1:80"}') == 5.0

    virtual(run)


@pytest.mark.parametrize(
    ("page", "error"),
    [
        (503, "HTTP status 503"),
        (HttpFailure("timeout", "no answer in 1s"), "no answer"),
        ("a 1\nwhat is this\n", "line 2"),
        ("a one\n", "line 1"),
        ("<html>", "line 1"),
    ],
)
def test_a_bad_page_is_a_target_that_is_down(page: str | HttpFailure | int, error: str) -> None:
    """Nothing of a bad page is stored, and the target says what is wrong."""

    async def run() -> None:
        bench = Bench()
        bench.targets = [ScrapeTarget(POD, {})]
        bench.http.pages[POD] = page
        await bench.scraper.round()
        (state,) = bench.scraper.targets
        assert state.health == "down"
        assert error in state.error
        assert bench.number("up") == 0.0
        assert bench.value("a") == {}

    virtual(run)


def test_no_list_of_targets_is_not_the_end() -> None:
    """When targets cannot be listed the last list is used, the reason is told, and the next list counts again."""

    async def run() -> None:
        bench = Bench()
        bench.targets = [ScrapeTarget(POD, {})]
        bench.http.pages[POD] = "a 1\n"
        await bench.scraper.round()
        bench.targets = RuntimeError("api away")
        await bench.clock.sleep(1)
        await bench.scraper.round()
        assert "api away" in bench.scraper.discovery_error
        assert bench.number("a") == 1.0
        bench.targets = []
        await bench.clock.sleep(1)
        await bench.scraper.round()
        assert bench.scraper.discovery_error == ""
        assert bench.number("a") is None

    virtual(run)


def test_a_slow_target_delays_rounds_but_never_overlaps() -> None:
    """Rounds follow each other; none starts while another runs."""

    async def run() -> None:
        bench = Bench()
        bench.targets = [ScrapeTarget(POD, {})]
        at_once = [0, 0]

        class Slow:
            async def send(self, request: HttpRequest) -> HttpAnswer:
                at_once[0] += 1
                at_once[1] = max(at_once)
                await bench.clock.sleep(2.5)
                at_once[0] -= 1
                return HttpAnswer(200, b"a 1\n")

        scraper = Scraper(bench.store, bench.discover, Slow(), bench.clock)
        task = asyncio.create_task(scraper.run())
        await bench.clock.sleep(11)
        task.cancel()
        assert at_once[1] == 1
        assert bench.number("count_over_time(a[1m])") == 4.0

    virtual(run)


def test_labels_of_the_page_do_not_overrule_the_target() -> None:
    """A label that both have is the target's; the page's is kept beside it."""

    async def run() -> None:
        bench = Bench()
        bench.targets = [ScrapeTarget(POD, {"namespace": "test"})]
        bench.http.pages[POD] = 'a{namespace="mine",x=""} 1\n'
        await bench.scraper.round()
        (labels,) = bench.value("a")
        assert dict(labels)["namespace"] == "test"
        assert dict(labels)["exported_namespace"] == "mine"
        assert "x" not in dict(labels)

    virtual(run)


def test_the_store_is_bounded() -> None:
    """Series over the cap are counted and left out; old samples and dead series go."""
    store = Store(retention=60, max_series=3)
    for n in range(5):
        store.append(labels_of([("__name__", "m"), ("n", str(n))]), 1000, 1.0)
    assert len(store) == 3
    assert store.refused == 2
    alive = labels_of([("__name__", "m"), ("n", "0")])
    for second in range(2, 500):
        store.append(alive, second * 1000, 1.0)
    (series,) = [series for series in store if series.labels == alive]
    assert 60 <= len(series.times) <= 67
    store.sweep(500_000)
    assert [series.labels for series in store] == [alive]
    assert list(store.named("m")) == [series]
    store.append(labels_of([("__name__", "m"), ("n", "4")]), 500_000, 1.0)
    assert len(store) == 2
    store.sweep(10_000_000)
    assert len(store) == 0
    assert list(store.named("m")) == []


def test_time_only_goes_forward() -> None:
    """A sample that is not newer than the last is left out."""
    store = Store()
    for time, value in ((2000, 1.0), (2000, 2.0), (1000, 3.0), (3000, 4.0)):
        store.append((("__name__", "m"),), time, value)
    (series,) = store
    assert (list(series.times), list(series.values)) == ([2000, 3000], [1.0, 4.0])
    assert store.appended == 2


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("a 1", ([("__name__", "a")], 1.0, None)),
        ('a{b="c"} 1.5 1700000000123', ([("__name__", "a"), ("b", "c")], 1.5, 1700000000123.0)),
        ('a{b="c",} +Inf', ([("__name__", "a"), ("b", "c")], float("inf"), None)),
        ('a { b = "c" , d="e" }  2', ([("__name__", "a"), ("b", "c"), ("d", "e")], 2.0, None)),
        ("a{} 1", ([("__name__", "a")], 1.0, None)),
        (r'a{b="q\"\\\n} 7"} 1e3', ([("__name__", "a"), ("b", 'q"\\\n} 7')], 1000.0, None)),
        ("job:a:rate5m 0", ([("__name__", "job:a:rate5m")], 0.0, None)),
        ('a_bucket{le="1"} 3 # {trace="x"} 0.5', ([("__name__", "a_bucket"), ("le", "1")], 3.0, None)),
        ("a 1\r", ([("__name__", "a")], 1.0, None)),
    ],
)
def test_lines_of_the_text_format(line: str, want: tuple[list[tuple[str, str]], float, float | None]) -> None:
    """Escapes, spaces, timestamps, trailing commas and exemplars."""
    ((raw, value, stamp),) = samples(line)
    assert (list(series_labels(raw)), value, stamp) == want


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(min_size=1, max_size=12)))
def test_labels_survive_the_round_trip(labels: dict[str, str]) -> None:
    """What the official client writes is what we read."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    labels = {name: value for name, value in labels.items() if not name.startswith("__")}
    registry = CollectorRegistry()
    gauge = Gauge("g", "help", list(labels), registry=registry)
    (gauge.labels(**labels) if labels else gauge).set(4.5)
    ((raw, value, _),) = samples(generate_latest(registry).decode())
    assert value == 4.5
    assert dict(series_labels(raw)) == {"__name__": "g", **labels}


@given(st.text(max_size=80))
def test_any_page_is_read_or_refused(page: str) -> None:
    """Arbitrary text is Malformed at worst."""
    try:
        for raw, _, _ in samples(page):
            series_labels(raw)
    except Malformed as error:
        assert "line" in str(error)
