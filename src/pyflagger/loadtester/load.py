"""`flagger load [options] URL`: generate load on a URL, with the options and the summary of `hey`.

The alias `hey` runs it where the real program is not installed. Unlike `hey` it honors `http_proxy`, so that a proxy
can resolve cluster names.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from pyflagger.api import durations
from pyflagger.clock import Clock, SystemClock

MAX_RESULTS = 1_000_000
"""Requests whose times are recorded. Later ones are only counted."""

_REDIRECTS = 10


class Usage(ValueError):
    """The command line is invalid."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send. `timeout` and `duration` in seconds, 0 for none; `rate` in requests per second and worker."""

    url: str = ""
    requests: int = 200
    workers: int = 50
    rate: float = 0.0
    duration: float = 0.0
    output: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 20.0
    body: bytes = b""
    content_type: str = "text/html"
    auth: str = ""
    proxy: str = ""
    host: str = ""
    compression: bool = True
    keepalive: bool = True
    redirects: bool = True


@dataclass(slots=True)
class Results:
    """Counts and times of the answers. Times in seconds; `offsets` are the starts of requests."""

    times: array[float] = field(default_factory=lambda: array("d"))
    offsets: array[float] = field(default_factory=lambda: array("d"))
    codes: array[int] = field(default_factory=lambda: array("i"))
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    total: float = 0.0

    def add(self, status: int, size: int, began: float, took: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        self.bytes += size
        if len(self.times) < MAX_RESULTS:
            self.times.append(took)
            self.offsets.append(began)
            self.codes.append(status)


def _header(plan: Plan, text: str) -> Plan:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Usage(f"could not parse the provided input; input = {text}")
    return replace(plan, headers=(*plan.headers, (name.strip(), value.strip())))


def _proxy(text: str) -> str:
    return text if "://" in text else f"http://{text}"


def _seconds(text: str) -> float:
    return durations.parse(text) if text != "0" else 0.0


def _sets(name: str, read: Callable[[str], Any] = str) -> Callable[[Plan, str], Plan]:
    return lambda plan, text: replace(plan, **{name: read(text)})


_VALUES: Mapping[str, Callable[[Plan, str], Plan]] = {
    "n": _sets("requests", int),
    "c": _sets("workers", int),
    "q": _sets("rate", float),
    "z": _sets("duration", _seconds),
    "o": _sets("output"),
    "m": _sets("method", str.upper),
    "H": _header,
    "t": _sets("timeout", float),
    "A": lambda plan, text: _header(plan, f"Accept: {text}"),
    "d": _sets("body", str.encode),
    "D": _sets("body", lambda path: Path(path).read_bytes()),
    "T": _sets("content_type"),
    "a": _sets("auth"),
    "x": _sets("proxy", _proxy),
    "host": _sets("host"),
    "cpus": lambda plan, text: plan,
}
_SWITCHES: Mapping[str, Callable[[Plan], Plan]] = {
    "h2": lambda plan: plan,
    "disable-compression": lambda plan: replace(plan, compression=False),
    "disable-keepalive": lambda plan: replace(plan, keepalive=False),
    "disable-redirects": lambda plan: replace(plan, redirects=False),
}


def read_plan(argv: Sequence[str]) -> Plan:
    """Parse a command line. Raises Usage."""
    plan, words = Plan(), list(argv)
    while words and words[0].startswith("-") and words[0] != "-":
        name, equals, text = words.pop(0).removeprefix("-").removeprefix("-").partition("=")
        if name in _SWITCHES and not equals:
            plan = _SWITCHES[name](plan)
        elif name in _VALUES and (equals or words):
            plan = _apply(plan, name, text if equals else words.pop(0))
        else:
            raise Usage(
                f"flag needs a value: -{name}" if name in _VALUES else f"flag provided but not defined: -{name}"
            )
    if len(words) != 1:
        raise Usage("specify exactly one URL, after the options")
    return _checked(replace(plan, url=words[0]))


def _apply(plan: Plan, name: str, text: str) -> Plan:
    try:
        return _VALUES[name](plan, text)
    except Usage:
        raise
    except (ValueError, OSError) as error:
        raise Usage(f"invalid value {text!r} for flag -{name}: {error}") from None


def _checked(plan: Plan) -> Plan:
    if plan.requests <= 0 or plan.workers <= 0:
        raise Usage("-n and -c cannot be smaller than 1.")
    if not plan.duration and plan.requests < plan.workers:
        raise Usage("-n cannot be less than -c.")
    if plan.auth and ":" not in plan.auth:
        raise Usage(f"could not parse the provided input; input = {plan.auth}")
    if plan.output not in ("", "csv"):
        raise Usage(f"invalid value {plan.output!r} for flag -o: only csv is supported")
    if not plan.url.startswith(("http://", "https://")):
        raise Usage(f"{plan.url!r} is not an http or https URL")
    return plan


async def load(plan: Plan, clock: Clock, results: Results) -> None:
    """Execute a plan. Updates `results` with each answer."""
    connector = aiohttp.TCPConnector(limit=plan.workers, force_close=not plan.keepalive, ssl=False)
    timeout = aiohttp.ClientTimeout(total=plan.timeout or None)
    began = clock.monotonic()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        work = asyncio.gather(*(_work(plan, session, clock, began, results) for _ in range(plan.workers)))
        waits: list[asyncio.Future[Any]] = [work]
        if plan.duration:
            waits.append(asyncio.ensure_future(clock.sleep(plan.duration)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            results.total = clock.monotonic() - began
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


async def _work(plan: Plan, session: aiohttp.ClientSession, clock: Clock, began: float, results: Results) -> None:
    options = _request_options(plan)
    left = -1 if plan.duration else plan.requests // plan.workers
    due = clock.monotonic()
    while left:
        left -= 1
        if plan.rate:
            due += 1 / plan.rate
            await clock.sleep(due - clock.monotonic())
        start = clock.monotonic()
        try:
            async with session.request(plan.method, plan.url, **options) as answer:
                size = await _drain(answer)
            results.add(answer.status, size, start - began, clock.monotonic() - start)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            results.errors[f'{plan.method.capitalize()} "{plan.url}": {_reason(error)}'] += 1
            await clock.sleep(0)


def _request_options(plan: Plan) -> dict[str, Any]:
    headers = [("Content-Type", plan.content_type), *plan.headers]
    if plan.host:
        headers.append(("Host", plan.host))
    if not plan.compression:
        headers.append(("Accept-Encoding", "identity"))
    if plan.auth:
        headers.append(("Authorization", f"Basic {base64.b64encode(plan.auth.encode()).decode()}"))
    return {
        "headers": headers,
        "data": plan.body or None,
        "proxy": plan.proxy or _environment_proxy(plan.url),
        "allow_redirects": plan.redirects,
        "max_redirects": _REDIRECTS,
    }


def _environment_proxy(url: str) -> str | None:
    """The proxy that the environment sets for a URL. Read once, because aiohttp would read it for every request."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


async def _drain(answer: aiohttp.ClientResponse) -> int:
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
    return size


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "request timed out"
    return str(error) or type(error).__name__


def summary(results: Results) -> str:
    """The report, in hey's format."""
    parts = [_overview(results)] if results.times else []
    parts += [
        "Status code distribution:\n" + _lines(f"  [{c}]\t{n} responses" for c, n in results.statuses.most_common())
    ]
    if results.errors:
        parts.append("Error distribution:\n" + _lines(f"  [{n}]\t{text}" for text, n in results.errors.most_common()))
    return "\n" + "\n".join(parts) + "\n"


def csv(results: Results) -> str:
    """One line for each request, with hey's columns. Columns that are not measured are empty."""
    head = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset"
    rows = zip(results.times, results.codes, results.offsets, strict=True)
    return _lines([head, *(f"{took:.4f},,,,,,{code},{began:.4f}" for took, code, began in rows)])


def _overview(results: Results) -> str:
    times = sorted(results.times)
    count = sum(results.statuses.values())
    lines = [
        "Summary:",
        f"  Total:\t{results.total:.4f} secs",
        f"  Slowest:\t{times[-1]:.4f} secs",
        f"  Fastest:\t{times[0]:.4f} secs",
        f"  Average:\t{sum(times) / len(times):.4f} secs",
        f"  Requests/sec:\t{count / results.total if results.total else 0:.4f}",
        "  ",
        f"  Total data:\t{results.bytes} bytes",
        f"  Size/request:\t{results.bytes // count} bytes",
        "",
        "Response time histogram:",
        *_histogram(times),
        "",
        "",
        "Latency distribution:",
        *(
            f"  {p}% in {times[min(len(times) - 1, p * len(times) // 100)]:.4f} secs"
            for p in (10, 25, 50, 75, 90, 95, 99)
        ),
    ]
    return _lines(lines)


def _histogram(times: Sequence[float]) -> list[str]:
    """A histogram of eleven buckets, from the fastest to the slowest answer."""
    step = (times[-1] - times[0]) / 10
    bounds = [times[0] + step * index for index in range(10)] + [times[-1]]
    counts, index = [0] * len(bounds), 0
    for took in times:
        while took > bounds[index]:
            index += 1
        counts[index] += 1
    widest = max(counts)
    return [
        f"  {bound:.3f} [{count}]\t|{'■' * round(count * 40 / widest)}"
        for bound, count in zip(bounds, counts, strict=True)
    ]


def _lines(lines: Any) -> str:
    return "".join(f"{line}\n" for line in lines)


def main(argv: Sequence[str], clock: Clock | None = None) -> int:
    """Run the load and print the report, also after an interrupt. Exit status 1: the command line is invalid."""
    try:
        plan = read_plan(argv)
    except Usage as error:
        sys.stderr.write(f"{error}\n\nUsage: flagger load [options...] <url>\n")
        return 1
    if any(word.lstrip("-") == "h2" for word in argv):
        sys.stderr.write("flagger load: -h2 is not supported, requests use HTTP/1.1\n")
    results = Results()
    with suppress(KeyboardInterrupt):
        asyncio.run(load(plan, clock or SystemClock(), results))
    sys.stdout.write(csv(results) if plan.output == "csv" else summary(results))
    return 0
