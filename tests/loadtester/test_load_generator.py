"""`flagger load URL`, against small servers that count."""

from __future__ import annotations

import re
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtester.counting import Server, server
from pyflagger.clock import SystemClock
from pyflagger.loadtester.load import Plan, Results, Usage, _environment_proxy, csv, load, read_plan, summary


async def hey(*argv: str) -> Results:
    """Carry out a command line in process."""
    results = Results()
    await load(read_plan(argv), SystemClock(), results)
    return results


async def test_as_many_requests_as_asked_for() -> None:
    """-n split over -c workers, each on a connection of its own that is kept."""
    async with server() as one:
        results = await hey("-n", "40", "-c", "4", one.url + "/x")
        assert len(one.seen) == 40
        assert len(one.connections) == 4
        assert results.statuses == {200: 40}
        assert results.bytes == 200
        assert not results.errors


async def test_what_is_sent() -> None:
    """Method, headers, body, basic auth, Host."""
    async with server() as one:
        argv = ("-n=1", "-c=1", "-m", "post", "-d", "body", "-T", "application/json", "-H", "X-A: 1:2", "-H", "x-b:")
        await hey(*argv, "-A", "text/plain", "-a", "me:pa:ss", "-host", "shop.example", "-disable-compression", one.url)
        (request,) = one.seen
        assert (request.method, one.bodies) == ("POST", [b"body"])
        headers = request.headers
        assert (headers["X-A"], headers["x-b"], headers["Accept"]) == ("1:2", "", "text/plain")
        assert (headers["Content-Type"], headers["Host"]) == ("application/json", "shop.example")
        assert headers["Authorization"] == "Basic bWU6cGE6c3M="
        assert headers["Accept-Encoding"] == "identity"


async def test_redirects_and_connections() -> None:
    """Followed unless told not to; connections are not kept when told not to."""
    async with server() as one:
        assert (await hey("-n", "1", "-c", "1", one.url + "/moved")).statuses == {200: 1}
        assert (await hey("-n", "1", "-c", "1", "-disable-redirects", one.url + "/moved")).statuses == {302: 1}
        one.connections.clear()
        await hey("-n", "6", "-c", "1", "-disable-keepalive", one.url)
        assert len(one.connections) == 6


async def test_bad_answers_are_counted() -> None:
    """Statuses by code; broken and refused connections and slow answers as errors, each under its text."""
    async with server() as one:
        results = await hey("-n", "6", "-c", "2", one.url + "/bad")
        assert (results.statuses, sum(results.errors.values())) == ({503: 6}, 0)
        results = await hey("-n", "3", "-c", "1", one.url + "/broken")
        assert (sum(results.statuses.values()), sum(results.errors.values())) == (0, 3)
        results = await hey("-n", "1", "-c", "1", "-t", "0.05", one.url + "/slow")
        assert list(results.errors) == [f'Get "{one.url}/slow": request timed out']
    results = await hey("-n", "2", "-c", "1", one.url)
    assert sum(results.errors.values()) == 2
    assert "Error distribution:\n  [2]\tGet" in summary(results)


async def test_a_duration_ends_the_load() -> None:
    """-z wins over -n, stops when time is up, and does not wait for slow answers."""

    class Hour(SystemClock):
        """An hour is over when the server has seen so many requests."""

        def __init__(self, one: Server, requests: int) -> None:
            self.one = one
            self.requests = requests

        async def sleep(self, seconds: float) -> None:
            while seconds == 3600 and len(self.one.seen) < self.requests:
                await super().sleep(0.001)

    async with server() as one:
        results = Results()
        await load(read_plan(["-z", "1h", "-n", "1", "-c", "3", one.url]), Hour(one, 20), results)
        assert 20 - 3 <= results.statuses[200] < 200
        assert results.total > 0
        one.seen.clear()
        results = Results()
        await load(read_plan(["-z", "1h", "-c", "2", one.url + "/slow"]), Hour(one, 2), results)
        assert not results.statuses
        assert len(one.seen) == 2


async def test_a_mistake_of_ours_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is not an answer's ends the run."""

    def broken(plan: Plan) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pyflagger.loadtester.load._request_options", broken)
    with pytest.raises(ZeroDivisionError):
        await hey("-n", "1", "-c", "1", "http://127.0.0.1:1/")


async def test_the_rate_is_for_each_worker() -> None:
    """-q spaces the requests of each worker evenly."""

    class Counting(SystemClock):
        """Time that passes only by sleeping."""

        def __init__(self) -> None:
            self.time = 0.0

        def monotonic(self) -> float:
            return self.time

        async def sleep(self, seconds: float) -> None:
            self.time += max(0.0, seconds)
            await super().sleep(0)

    async with server() as one:
        clock, results = Counting(), Results()
        await load(Plan(url=one.url, requests=20, workers=1, rate=5), clock, results)
        assert clock.time == pytest.approx(4.0)
        assert len(one.seen) == 20


async def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster name is reached through http_proxy, or -x with or without scheme; the proxy sees the whole URL."""
    async with server() as proxy:
        address = proxy.url.removeprefix("http://")
        for form in (address, proxy.url):
            assert (await hey("-n", "1", "-c", "1", "-x", form, "http://podinfo-canary.test:9898/a")).statuses == {
                200: 1
            }
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert (await hey("-n", "1", "-c", "1", "http://podinfo-canary.test:9898/a")).statuses == {200: 1}
        monkeypatch.setenv("no_proxy", ".test")
        assert _environment_proxy("http://podinfo-canary.test:9898/a") is None
        assert _environment_proxy("http://podinfo.local/") == proxy.url
        assert [str(request.headers["Host"]) for request in proxy.seen] == ["podinfo-canary.test:9898"] * 3


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([], "exactly one URL"),
        (["http://a", "http://b"], "exactly one URL"),
        (["-n", "5", "-c", "10", "http://a"], "-n cannot be less than -c."),
        (["-n", "0", "http://a"], "-n and -c cannot be smaller than 1."),
        (["-n"], "flag needs a value: -n"),
        (["-n", "x", "http://a"], "invalid value 'x' for flag -n"),
        (["-z", "soon", "http://a"], "invalid value 'soon' for flag -z"),
        (["-nosuch", "http://a"], "flag provided but not defined: -nosuch"),
        (["-H", "NoColon", "http://a"], "could not parse the provided input; input = NoColon"),
        (["-a", "me", "http://a"], "input = me"),
        (["-o", "json", "http://a"], "only csv is supported"),
        (["-D", "/nowhere/file", "http://a"], "/nowhere/file"),
        (["ftp://a"], "not an http or https URL"),
    ],
)
def test_bad_command_lines(argv: list[str], text: str) -> None:
    """Each says what is wrong."""
    with pytest.raises(Usage, match=re.escape(text)):
        read_plan(argv)


def test_spellings_of_options(tmp_path: Path) -> None:
    """One dash or two, value after a space or an equals sign."""
    file = tmp_path / "body"
    file.write_bytes(b"\x00\xff")
    plan = read_plan(["--n=7", "-c", "2", "-z=1m30s", "-D", str(file), "-t", "0", "-h2", "-cpus", "2", "https://a"])
    assert (plan.requests, plan.workers, plan.duration, plan.body, plan.timeout) == (7, 2, 90.0, b"\x00\xff", 0.0)


def test_the_summary() -> None:
    """hey's form, line by line."""
    results = Results(total=2.0)
    for status, took in ((200, 0.1), (200, 0.2), (500, 0.3), (200, 1.1)):
        results.add(status, 5, 0.0, took)
    results.errors["Get: refused"] = 2
    lines = summary(results).splitlines()
    assert lines[1:10] == [
        "Summary:",
        "  Total:\t2.0000 secs",
        "  Slowest:\t1.1000 secs",
        "  Fastest:\t0.1000 secs",
        "  Average:\t0.4250 secs",
        "  Requests/sec:\t2.0000",
        "  ",
        "  Total data:\t20 bytes",
        "  Size/request:\t5 bytes",
    ]
    assert "  0.100 [1]\t|" + "■" * 40 in lines
    assert "  50% in 0.3000 secs" in lines
    assert lines[-7:] == [
        "Status code distribution:",
        "  [200]\t3 responses",
        "  [500]\t1 responses",
        "",
        "Error distribution:",
        "  [2]\tGet: refused",
        "",
    ]
    assert csv(results).splitlines()[:2] == [
        "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset",
        "0.1000,,,,,,200,0.0000",
    ]


def test_the_summary_of_nothing() -> None:
    """No answer at all is a report too."""
    assert summary(Results()) == "\nStatus code distribution:\n\n"


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=50))
def test_the_histogram_counts_every_answer(times: list[float]) -> None:
    """Whatever the times, the buckets add up."""
    results = Results(total=1.0)
    for took in times:
        results.add(200, 0, 0.0, took)
    counts = re.findall(r"^  \d+\.\d{3} \[(\d+)\]\t\|", summary(results), re.MULTILINE)
    assert len(counts) == 11
    assert sum(map(int, counts)) == len(times)


def test_results_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit answers are counted, their times are not kept."""
    monkeypatch.setattr("pyflagger.loadtester.load.MAX_RESULTS", 3)
    results = Results()
    for _ in range(5):
        results.add(200, 1, 0.0, 0.5)
    assert results.times == array("d", [0.5] * 3)
    assert (results.statuses[200], results.bytes) == (5, 5)
