"""The query API without sockets: turns a request's method, path and parameters into a status and a JSON body.

Responses and error texts are those of Prometheus. The HTTP server and the in-process client use it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pyflagger.clock import Clock
from pyflagger.wire import HttpAnswer

from .engine import Engine
from .scrape import Scraper, State
from .store import Series
from .syntax import grammar
from .values import Matrix, QueryError, Value, Vector, Window, show_number

_MAX_FIELDS = 200
_STATUS = {"bad_data": 400, "execution": 422, "not_found": 404}
_JSON = {"content-type": "application/json"}
_TEXT = {"content-type": "text/plain; version=0.0.4; charset=utf-8"}


class Params:
    """Query-string and form parameters of one request."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = list(pairs)

    def get(self, name: str) -> str:
        """The first value; empty when absent."""
        return next((value for key, value in self._pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value."""
        return [value for key, value in self._pairs if key == name]

    def time(self, name: str, default: float) -> float:
        """Seconds since the epoch, from a number or RFC 3339. Raises QueryError (bad_data)."""
        text = self.get(name)
        if not text:
            return default
        return _checked(name, text, _timestamp(text), "a valid timestamp")

    def duration(self, name: str) -> float:
        """Seconds, from a number or a Prometheus duration such as `1m30s`. Raises QueryError (bad_data)."""
        text = self.get(name)
        return _checked(name, text, _duration(text), "a valid duration")


_Handler: TypeAlias = Callable[["Api", Params], Any]


class Api:
    """Answers requests from an engine. `/api/v1/targets` reports the targets of `scraper`."""

    def __init__(self, engine: Engine, clock: Clock, scraper: Scraper | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._scraper = scraper
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(engine))

    def answer(self, method: str, target: str, form: bytes = b"") -> HttpAnswer:
        """Answer a request for `target` (path with query string). `form` is a url-encoded body."""
        parts = urlsplit(target)
        if parts.path in ("/-/healthy", "/-/ready"):
            return HttpAnswer(200, b"embedded metrics store is ready\n", _TEXT)
        if parts.path == "/metrics":
            return HttpAnswer(200, generate_latest(self._registry), _TEXT)
        try:
            handler, arguments = self._route(method, parts.path)
            return _success(handler(self, _params(parts.query, form), *arguments))
        except QueryError as error:
            return _failure(error)

    def _route(self, method: str, path: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
        if method not in ("GET", "POST", "HEAD"):
            raise QueryError("bad_data", f"method {method} is not allowed")
        pieces = path.removeprefix("/api/v1/").split("/") if path.startswith("/api/v1/") else []
        match pieces:
            case ["label", name, "values"]:
                return Api._label_values, (name,)
            case [name] if name in _HANDLERS:
                return _HANDLERS[name], ()
        raise QueryError("not_found", f"no such endpoint: {path}")

    def _query(self, params: Params) -> Any:
        at = params.time("time", self._clock.now())
        with _named("query"):
            value = self._engine.instant(params.get("query"), at)
        return {"resultType": _kind(value), "result": _rendered(value, at)}

    def _query_range(self, params: Params) -> Any:
        start, end = (params.time(name, math.nan) for name in ("start", "end"))
        for name, time in (("start", start), ("end", end)):
            if math.isnan(time):
                raise QueryError("bad_data", f'invalid parameter "{name}": cannot parse "" to a valid timestamp')
        step = params.duration("step")
        with _named("query"):
            value = self._engine.range(params.get("query"), start, end, step)
        return {"resultType": "matrix", "result": _rendered(value, end)}

    def _chosen(self, params: Params) -> list[Series]:
        """The series of every `match[]`, by default all, that have samples from `start` to `end`."""
        start, end = params.time("start", -math.inf), params.time("end", math.inf)
        selectors = params.all("match[]")
        with _named("match[]"):
            lists = [self._engine.series(text) for text in selectors] if selectors else [list(self._engine.store)]
        unique = {series.labels: series for found in lists for series in found}
        return [s for s in unique.values() if s.times[-1] >= start * 1000 and s.times[0] <= end * 1000]

    def _series(self, params: Params) -> Any:
        if not params.all("match[]"):
            raise QueryError("bad_data", "no match[] parameter provided")
        return [dict(series.labels) for series in self._chosen(params)]

    def _labels(self, params: Params) -> Any:
        return sorted({name for series in self._chosen(params) for name, _ in series.labels})

    def _label_values(self, params: Params, label: str) -> Any:
        return sorted({value for series in self._chosen(params) for name, value in series.labels if name == label})

    def _targets(self, params: Params) -> Any:
        states = self._scraper.targets if self._scraper is not None else ()
        interval = self._scraper.interval if self._scraper is not None else 0.0
        return {"activeTargets": [_target(state, interval) for state in states], "droppedTargets": []}


_HANDLERS: dict[str, _Handler] = {
    "query": Api._query,
    "query_range": Api._query_range,
    "series": Api._series,
    "labels": Api._labels,
    "targets": Api._targets,
}


@contextmanager
def _named(parameter: str) -> Iterator[None]:
    """Adds the parameter's name to a bad_data error, as Prometheus does."""
    try:
        yield
    except QueryError as error:
        if error.kind != "bad_data" or str(error).startswith("invalid parameter"):
            raise
        raise QueryError("bad_data", f'invalid parameter "{parameter}": {error}') from error


class _Figures(Collector):
    """The store's own metrics, collected on request."""

    def __init__(self, engine: Engine) -> None:
        self._store = engine.store

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("prometheus_tsdb_head_series", "Series in the store", len(self._store))
        yield CounterMetricFamily("prometheus_tsdb_head_samples_appended", "Samples taken", self._store.appended)
        yield CounterMetricFamily("pyflagger_store_samples_refused", "Samples over the limit", self._store.refused)


def _params(query: str, form: bytes) -> Params:
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        body = parse_qsl(form.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise QueryError("bad_data", f"error parsing form values: {error}") from error
    return Params([*body, *fields])


def _checked(name: str, text: str, value: float | None, what: str) -> float:
    if value is None or not math.isfinite(value):
        raise QueryError("bad_data", f'invalid parameter "{name}": cannot parse "{text}" to {what}')
    return value


def _timestamp(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()


def _duration(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(grammar().parse_duration(text).total_seconds())
    except (ValueError, OverflowError):
        return None


def _kind(value: Value) -> str:
    return {float: "scalar", str: "string", Vector: "vector", Matrix: "matrix"}[type(value)]


def _rendered(value: Value, at: float) -> Any:
    match value:
        case Vector(samples):
            return [
                {"metric": dict(labels), "value": [_seconds(at), show_number(number)]} for labels, number in samples
            ]
        case Matrix(series):
            ordered = sorted(series, key=lambda window: window.labels)
            return [{"metric": dict(window.labels), "values": _points(window)} for window in ordered]
        case str():
            return [_seconds(at), value]
        case _:
            return _point(at, value)


def _points(window: Window) -> list[list[Any]]:
    return [_point(time / 1000, value) for time, value in zip(window.times, window.values, strict=True)]


def _point(at: float, value: float) -> list[Any]:
    return [_seconds(at), show_number(value)]


def _seconds(at: float) -> float | int:
    exact = round(at, 3)
    return int(exact) if exact.is_integer() else exact


def _target(state: State, interval: float) -> dict[str, Any]:
    return {
        "discoveredLabels": dict(state.target.labels) | {"__address__": urlsplit(state.target.url).netloc},
        "labels": dict(state.labels),
        "scrapePool": dict(state.labels).get("job", ""),
        "scrapeUrl": state.target.url,
        "globalUrl": state.target.url,
        "lastError": state.error,
        "lastScrape": datetime.fromtimestamp(state.last, UTC).isoformat().replace("+00:00", "Z"),
        "lastScrapeDuration": state.duration,
        "health": state.health,
        "scrapeInterval": f"{interval:g}s",
        "scrapeTimeout": f"{max(interval, 1.0):g}s",
    }


def _success(data: Any) -> HttpAnswer:
    return HttpAnswer(200, _json({"status": "success", "data": data}), _JSON)


def _failure(error: QueryError) -> HttpAnswer:
    body = {"status": "error", "errorType": error.kind, "error": str(error)}
    return HttpAnswer(_STATUS[error.kind], _json(body), _JSON)


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
