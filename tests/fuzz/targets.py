"""The four readers of what others write, each as a property of bytes: total, bounded, and true to what it was given.

`TARGETS` is played by `test_fuzz` (the corpus, and hypothesis) and by `python -m fuzz` (atheris, for minutes). A check
returns when all is well and raises whatever is wrong: an AssertionError, or what the code under test let escape.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote_plus

from pyflagger.gotemplate.errors import OUTPUT_MAX
from pyflagger.kube.client import Client
from pyflagger.kube.http import LINE_MAX, lines_of
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream
from pyflagger.kube.reflector import Reflector
from pyflagger.kube.resources import CONFIG_MAPS
from pyflagger.metrics.base import TEXT_MAX, MetricError, Question, Settings
from pyflagger.metrics.registry import known_types, provider_for
from pyflagger.metrics.template import TemplateError, Variables, render
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer
from pyflagger_sandbox.metrics import Api, Engine, Store, labels_of


@dataclass(frozen=True, slots=True)
class Target:
    """A property of bytes; `words` are what its language is made of, for generators that know none of it."""

    check: Callable[[bytes], None]
    words: tuple[str, ...]


# The watch ----------------------------------------------------------------------------------------------------------


class Still:
    """A clock on which no time passes and nobody waits."""

    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        return None

    def jitter(self, seconds: float) -> float:
        return 0.0

    def unique(self) -> str:
        return "00000000-0000-4000-8000-000000000000"


GOOD: Obj = {"metadata": {"name": "good", "namespace": "test", "resourceVersion": "7"}, "data": {"a": "b"}}
LIST = json.dumps({"items": [GOOD], "metadata": {"resourceVersion": "7"}}).encode()


class Wild:
    """An API server that says what it is told to say once, and makes sense before and after."""

    def __init__(self, mode: int, said: bytes) -> None:
        self._mode, self._said = mode, said
        self._left = 1
        self.watches = 0

    def _wild(self) -> bool:
        wild, self._left = self._left > 0, 0
        return wild

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """The list."""
        if self._mode == 1 and self._wild():
            return ApiAnswer(200, {}, self._said)
        if self._mode == 2 and self._wild():
            return ApiAnswer(400 + len(self._said) % 200, {}, self._said)
        return ApiAnswer(200, {}, LIST)

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """The watch; the second one of its kind ends the run."""
        self.watches += 1
        if self._mode == 0 and self._wild():
            yield ApiStream(200, {}, lines_of(_Chunks(self._said)))
        elif self._mode == 3 and self._wild():
            yield ApiStream(400 + len(self._said) % 200, {}, _none(), self._said)
        else:
            raise asyncio.CancelledError

    async def close(self) -> None:
        """Nothing is open."""


class _Chunks:
    """A stream of bytes that comes in pieces of odd sizes."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    async def iter_any(self) -> AsyncIterator[bytes]:
        size = 1 + len(self._said) % 13
        for at in range(0, len(self._said), size):
            yield self._said[at : at + size]


async def _none() -> AsyncIterator[bytes]:
    for line in ():
        yield line


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def shut() -> None:
    """Close the loop that `watch` works on."""
    if _loop.cache_info().currsize:
        _loop().close()
        _loop.cache_clear()


def watch(data: bytes) -> None:
    """A reflector outlives whatever a server says, and what it told adds up to what it keeps."""
    server, clock = Wild(data[0] % 4 if data else 0, data[1:]), Still()
    kept: dict[tuple[str, str], Obj] = {}

    def told(key: tuple[str, str], old: Any, new: Any) -> None:
        assert kept.get(key) is old, f"{key}: the past that is told is not the one that was"
        if new is None:
            del kept[key]
        else:
            kept[key] = new

    client = Client(server, clock)  # type: ignore[arg-type]
    reflector = Reflector(client, clock, CONFIG_MAPS, "test", told)

    async def follow() -> None:
        try:
            async with asyncio.timeout(5):
                await reflector.run()
        except asyncio.CancelledError:
            return

    _loop().run_until_complete(follow())
    assert server.watches, "it never came to watch again"
    assert reflector.store == kept
    assert all(isinstance(obj["metadata"]["name"], str) for obj in kept.values())
    assert len(reflector.trouble) <= LINE_MAX


# Templates ----------------------------------------------------------------------------------------------------------

VARIABLES = Variables("n", "ns", "t", "s", "i", "r", "1m", {"a": "1", "x-y": "Z", "e": ""})


def template(data: bytes) -> None:
    """A template gives a bounded text or says what is wrong with it, at a place of it."""
    text = data.decode("utf-8", "replace")
    try:
        assert len(render(text, VARIABLES)) <= OUTPUT_MAX
    except TemplateError as error:
        line, column, said = str(error).split(":", 2)
        assert 1 <= int(line) <= text.count("\n") + 1, error
        assert int(column) >= 1, error
        assert said.strip(), error


# PromQL -------------------------------------------------------------------------------------------------------------

NOW = 1_700_000_100


@cache
def _api() -> Api:
    store = Store()
    for at in range(60):
        for code in ("200", "500"):
            labels = labels_of([("__name__", "requests_total"), ("code", code), ("job", "a")])
            store.append(labels, (NOW - 60 + at) * 1000, at * (2.0 if code == "200" else 0.5))
        for edge in ("0.1", "1", "+Inf"):
            labels = labels_of([("__name__", "seconds_bucket"), ("le", edge), ("job", "a")])
            store.append(labels, (NOW - 60 + at) * 1000, float(at * len(edge)))
        store.append(labels_of([("__name__", "odd")]), (NOW - 60 + at) * 1000, (math.nan, math.inf, -1.0)[at % 3])
    return Api(Engine(store, max_samples=200_000), Still())


def promql(data: bytes) -> None:
    """A query is answered or refused in Prometheus's form; the answer is JSON that any client can read."""
    text = quote_plus(data[1:].decode("utf-8", "replace"))
    at = f"query={text}&time={NOW}"
    over = f"query={text}&start={NOW - 30}&end={NOW}&step=10"
    for path, form in (("/api/v1/query", at), ("/api/v1/query_range", over))[: 1 + (data[:1] > b"\x80")]:
        answer = _api().answer("POST", path, form.encode())
        assert answer.status in (200, 400, 422), answer
        body = json.loads(answer.body, parse_constant=_no_constant)
        assert body["status"] == ("success" if answer.status == 200 else "error")


def _no_constant(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


# Metric providers ---------------------------------------------------------------------------------------------------

SECRET = dict.fromkeys(
    (
        *("token", "username", "password", "dynatrace_token", "newrelic_account_id", "newrelic_query_key"),
        *("datadog_api_key", "datadog_application_key", "org", "sf_token_key", "project"),
    ),
    b"planted",
)
QUERIES = {
    "cloudwatch": '[{"Id": "x"}]',
    "externalmetrics": "x",
    "keptn": "analysis/x/y",
    "web": "$[*].x",
}
STATUSES = (200, 200, 200, 200, 204, 302, 401, 404, 429, 503)
TEXT_BOUND = 2 * TEXT_MAX


def providers(data: bytes) -> None:
    """Whatever a metric system answers is a finite number or an error with a bounded text and something to do."""
    first = data[0] if data else 0
    types = known_types()
    kind = types[first % len(types)]
    factory = provider_for(kind)
    assert callable(factory)
    provider = factory(Settings(address="https://metrics.googleapis.com", region="eu-west-1", secret=SECRET))
    status = STATUSES[first // len(types) % len(STATUSES)]
    exchange = provider.query(Question(QUERIES.get(kind, "target=x"), 60.0, float(NOW)))
    for asking in (exchange, provider.online()):
        try:
            next(asking)
            for _ in range(8):
                asking.send(HttpAnswer(status, data[1:]))
        except StopIteration as stop:
            assert stop.value is None or (isinstance(stop.value, float) and math.isfinite(stop.value)), stop.value
        except MetricError as error:
            assert 0 < len(error.problem.text) <= TEXT_BOUND, error.problem
            assert "planted" not in error.problem.text or b"planted" in data


JSON_WORDS = ("{", "}", "[", "]", ":", ",", '"', "null", "true", "-1", "0", "1e999", "NaN", "[]", "{}", '""', "\\u0000")
TARGETS: dict[str, Target] = {
    "watch": Target(
        watch,
        (
            *JSON_WORDS,
            *("\n", '"type"', '"object"', '"metadata"', '"name"', '"namespace"', '"resourceVersion"', '"items"'),
            *('"ADDED"', '"MODIFIED"', '"DELETED"', '"BOOKMARK"', '"ERROR"', '"code"', '"message"', '"reason"'),
            *('"continue"', '"managedFields"', '"spec"', '"data"', '"good"', '"test"', '"7"', "410"),
            *(f'{{"type":"{kind}","object":{json.dumps(GOOD)}}}\n' for kind in ("ADDED", "MODIFIED", "DELETED")),
        ),
    ),
    "template": Target(
        template,
        (
            *("{{", "}}", "{{-", "-}}", "/*", "*/", "(", ")", "|", ":=", "=", ",", ".", "$", "$x", '"', "`", "'"),
            *("if", "else", "end", "range", "with", "define", "template", "block", "break", "continue", "nil", "true"),
            *("printf", "print", "println", "html", "js", "urlquery", "index", "slice", "len", "eq", "ne", "lt", "not"),
            *("and", "or", "call", "target", "variables", "variables.a", "%s", "%999d", "%q", "%x", "%v", "%.3f", "%c"),
            *("0x", "1e9", "99999999", "-1", "\\x41", "\\ud800", " ", "\n", "{{ $x := target }}", "{{ end }}"),
            *("{{ range 9 }}", '{{ $x = printf "%s%s" $x $x }}', '{{ define "a" }}', '{{ template "a" . }}'),
        ),
    ),
    "promql": Target(
        promql,
        (
            *("requests_total", "seconds_bucket", "odd", "{", "}", "[", "]", "(", ")", ",", '"', "code", "le", "job"),
            *("=", "!=", "=~", "!~", "==", ">", "<", "bool", "+", "-", "*", "/", "%", "^", "atan2", "and", "or"),
            *("unless", "on", "ignoring", "group_left", "group_right", "by", "without", "offset", "@", "start()"),
            *("sum", "avg", "topk", "quantile", "count_values", "stddev", "rate", "irate", "increase", "deriv"),
            *("histogram_quantile", "label_replace", "label_join", "absent", "time", "timestamp", "scalar", "vector"),
            *(
                "quantile_over_time",
                "predict_linear",
                "clamp",
                "round",
                "sort",
                "day_of_year",
                "year",
                "[5m:1m]",
                "[1m]",
            ),
            *(
                "1e308",
                "NaN",
                "Inf",
                "0x1f",
                "-1",
                "9223372036854775807",
                "1y",
                "#",
                "\\",
                "'",
                "`",
                "(.*)*",
                "$1",
                "\n",
            ),
        ),
    ),
    "providers": Target(
        providers,
        (
            *JSON_WORDS,
            *('"status"', '"success"', '"error"', '"errorType"', '"data"', '"resultType"', '"result"', '"vector"'),
            *('"scalar"', '"string"', '"matrix"', '"value"', '"values"', '"histogram"', '"metric"', '"series"'),
            *('"pointlist"', '"interval"', '"results"', '"datapoints"', '"target"', '"1"', "1e400", '"Inf"', "planted"),
            *(f"{'9' * 400}", f"{'[' * 200}", '[0,"1"]', "[[0,1]]", "[1,0]"),
        ),
    ),
}
