"""Plays the other side of an exchange, for tests of metric providers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from pyflagger.metrics.base import Exchange
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

T = TypeVar("T")


def play(exchange: Exchange[T], *answers: HttpAnswer | HttpFailure) -> tuple[T, list[HttpRequest]]:
    """Run an exchange on these answers; its result, and the requests it made."""
    asked: list[HttpRequest] = []
    waiting = list(answers)
    try:
        request = next(exchange)
        while True:
            asked.append(request)
            answer = waiting.pop(0)
            request = exchange.throw(answer) if isinstance(answer, HttpFailure) else exchange.send(answer)
    except StopIteration as stop:
        assert not waiting, f"never asked for: {waiting}"
        return stop.value, asked


def answered(status: int = 200, body: Any = b"") -> HttpAnswer:
    """An answer; what is no bytes is sent as JSON."""
    return HttpAnswer(status, body if isinstance(body, bytes) else json.dumps(body).encode())


def vector(*values: str) -> HttpAnswer:
    """An instant vector, a series each."""
    series = [{"metric": {"n": str(at)}, "value": [1700000000.5, value]} for at, value in enumerate(values)]
    return answered(200, {"status": "success", "data": {"resultType": "vector", "result": series}})


def data(kind: str, result: Any) -> HttpAnswer:
    """A successful answer of any shape."""
    return answered(200, {"status": "success", "data": {"resultType": kind, "result": result}})


def query_of(request: HttpRequest) -> str:
    """The PromQL of a request, wherever it is."""
    text = request.body.decode() if request.body else urlsplit(request.url).query
    return parse_qs(text)["query"][0]


def queries(asked: Iterable[HttpRequest]) -> list[str]:
    """The PromQL of each."""
    return [query_of(request) for request in asked]
