"""A Transport whose answers are written down: for what a well-behaved server never sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, TransportError

Answer = ApiAnswer | TransportError
Stream = list[bytes | Exception] | ApiAnswer | TransportError


def said(status: int, body: Any, **headers: str) -> ApiAnswer:
    """An answer with a JSON body."""
    return ApiAnswer(status, {key.replace("_", "-"): text for key, text in headers.items()}, json.dumps(body).encode())


def refusal(status: int, reason: str = "", message: str = "no") -> ApiAnswer:
    """An answer with a Status."""
    return said(status, {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status})


def page(*objects: Any, version: str = "1", token: str = "") -> ApiAnswer:
    """A list, or a page of one."""
    return said(200, {"items": list(objects), "metadata": {"resourceVersion": version, "continue": token}})


def config(name: str, version: int, **more: Any) -> dict[str, Any]:
    """A ConfigMap of namespace `test`."""
    return {"metadata": {"name": name, "namespace": "test", "resourceVersion": str(version)}, **more}


def event(kind: str, obj: Any) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": obj}).encode()


class Scripted:
    """Answers calls and watches in turn; the last answer of each list is given for ever.

    `asked` has every request. A stream is a list of lines, an exception among them breaks it off there.
    """

    def __init__(self, calls: Iterable[Answer] = (), streams: Iterable[Stream] = ()) -> None:
        self._calls, self._streams = list(calls), list(streams)
        self.asked: list[ApiRequest] = []
        self.closed = False

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """The next answer."""
        self.asked.append(request)
        answer = self._calls.pop(0) if len(self._calls) > 1 else self._calls[0]
        if isinstance(answer, TransportError):
            raise answer
        return answer

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """The next stream."""
        self.asked.append(request)
        stream = self._streams.pop(0) if len(self._streams) > 1 else self._streams[0]
        if isinstance(stream, TransportError):
            raise stream
        if isinstance(stream, ApiAnswer):
            yield ApiStream(stream.status, stream.headers, _lines([]), stream.body)
        else:
            yield ApiStream(200, {}, _lines(stream))

    async def close(self) -> None:
        """Remembered."""
        self.closed = True

    @property
    def verbs(self) -> list[str]:
        """What was asked, in short."""
        return ["WATCH" if "watch" in request.query else request.method for request in self.asked]


async def _lines(stream: list[bytes | Exception]) -> AsyncIterator[bytes]:
    for line in stream:
        if isinstance(line, Exception):
            raise line
        yield line
