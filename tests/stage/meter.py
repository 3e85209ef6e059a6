"""The operator's CPU time on a stage where it shares its thread with the embedded cluster.

What runs in tasks that the operator began counts, what the server does within them does not. Used by the test of two
hundred canaries; the way to a real server, with its sockets and TLS, is measured by `bench` alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Generator
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, Transport

T = TypeVar("T")


class Meter:
    """Seconds of CPU so far."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._counts: ContextVar[bool] = ContextVar("counts", default=False)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry `work` out; it counts, and so does every task that it begins, and that these begin."""
        asyncio.get_running_loop().set_task_factory(self._task)
        context = copy_context()
        context.run(self._counts.set, True)
        return await asyncio.create_task(work, context=context)

    def _task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
        context = more.get("context") or copy_context()
        counted = Timed(coroutine, self, 1) if context.get(self._counts) else coroutine
        return asyncio.Task(counted, loop=loop, **more)


class Timed(Coroutine[Any, Any, T]):
    """A coroutine whose steps are added to a meter, or taken off it again (`sign` -1)."""

    def __init__(self, inner: Coroutine[Any, Any, T], meter: Meter, sign: int) -> None:
        self._inner, self._meter, self._sign = inner, meter, sign

    def send(self, value: Any) -> Any:
        began = time.thread_time()
        try:
            return self._inner.send(value)
        finally:
            self._meter.seconds += self._sign * (time.thread_time() - began)

    def throw(self, *error: Any) -> Any:
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self  # type: ignore[return-value]

    def __next__(self) -> Any:
        return self.send(None)


class Unmetered:
    """A Transport whose time is the server's."""

    def __init__(self, inner: Transport, meter: Meter) -> None:
        self._inner, self._meter = inner, meter

    async def call(self, request: ApiRequest) -> ApiAnswer:
        return await Timed(self._inner.call(request), self._meter, -1)

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        async with self._inner.stream(request) as stream:
            yield ApiStream(stream.status, stream.headers, self._lines(stream.lines), stream.body)

    async def _lines(self, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while True:
            try:
                yield await Timed(anext(lines), self._meter, -1)  # type: ignore[arg-type]
            except StopAsyncIteration:
                return

    async def close(self) -> None:
        await self._inner.close()
