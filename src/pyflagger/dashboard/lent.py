"""A connection with the credentials of one user, over a connection that has many users. Used by `people`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, Transport

WATCH_SECONDS = 50
"""How long a watch lasts. The API server checks rights when a watch begins, so a revoked one ends within a minute."""

UNAUTHORIZED = 401


class Lent:
    """Adds headers to each call. `ended` is called when the API server takes the user's credentials no more."""

    def __init__(self, way: Transport, headers: Sequence[tuple[str, str]], ended: Callable[[], None]) -> None:
        self._way, self._headers, self._ended = way, tuple(headers), ended

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Make a call. Raises TransportError."""
        answer = await self._way.call(replace(request, headers=self._headers))
        self._heed(answer.status)
        return answer

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """Open a watch that ends within a minute. Raises TransportError."""
        query = {**request.query, "timeoutSeconds": str(WATCH_SECONDS)}
        async with self._way.stream(replace(request, query=query, headers=self._headers)) as found:
            self._heed(found.status)
            yield found

    async def close(self) -> None:
        """Nothing: the connection belongs to all users."""

    def _heed(self, status: int) -> None:
        if status == UNAUTHORIZED:
            self._ended()
