"""Sends the requests of metric providers: over the network, to clouds with their credentials, or to the API server."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from pyflagger.clock import Clock
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.protocol import ApiRequest, TransportError
from pyflagger.operator.evidence.clouds import Clouds
from pyflagger.wire import Http, HttpAnswer, HttpFailure, HttpRequest, hidden, secrets_of


class Sender:
    """A `wire.Http` that also obeys `after`, `auth` and `cluster` of a request."""

    def __init__(self, http: Http, client: Client, clock: Clock, clouds: Clouds) -> None:
        self._http, self._client, self._clock, self._clouds = http, client, clock, clouds

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send a request. Raises HttpFailure when there is no usable answer."""
        if request.after:
            await self._clock.sleep(request.after)
        if request.cluster:
            return await self._call(request)
        if request.auth is None:
            return await self._http.send(request)
        ready = await self._clouds.authorized(request)
        answer = await self._http.send(ready)
        # The provider never sees these credentials, so it could not hide them when the server echoes the request.
        text = hidden(answer.body.decode("utf-8", "surrogateescape"), secrets_of(ready))
        return replace(answer, body=text.encode("utf-8", "surrogateescape"))

    async def _call(self, request: HttpRequest) -> HttpAnswer:
        parts = urlsplit(request.url)
        query = dict(parse_qsl(parts.query))
        call = ApiRequest(request.method, parts.path, query, request.body, timeout=request.timeout)
        try:
            answer = await self._client.once(call)
        except (TransportError, ApiError) as error:
            raise HttpFailure("connect", f"{request.method} {parts.path} of the API server: {error}") from error
        if len(answer.body) > request.max_bytes:
            raise HttpFailure("too-large", f"{request.method} {parts.path}: larger than {request.max_bytes} bytes")
        return HttpAnswer(answer.status, answer.body, answer.headers)
