"""A Transport over urllib3 for commands that end after a few calls, such as `flagger list` and completion.

Importing aiohttp takes as long as all of such a command. urllib3 is loaded anyway by the reader of kubeconfigs. It
opens no watches.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode

import urllib3

from pyflagger import __version__
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, TransportError
from pyflagger.kube.reach import Endpoint

CONNECT_SECONDS = 10.0


class BriefTransport:
    """Each call has a thread. `limit`: the seconds that each call may take, instead of its own limit."""

    def __init__(self, endpoint: Endpoint, limit: float | None = None) -> None:
        self._endpoint, self._limit = endpoint, limit
        self._pool = _pool(endpoint)

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Make a call. Raises TransportError when there is no answer."""
        headers = urllib3.HTTPHeaderDict({"User-Agent": f"flagger/{__version__}", "Accept": request.accept})
        headers["Accept-Encoding"] = "gzip"
        headers.update(await self._endpoint.headers())
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        for name, value in (*self._endpoint.impersonated, *request.headers):
            headers.add(name, value)
        seconds = self._limit or request.timeout
        try:
            async with asyncio.timeout(seconds):
                answer = await _in_thread(lambda: self._send(request, headers, seconds))
        except TimeoutError:
            raise TransportError(f"no answer within {seconds:g} s") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransportError(_words(error)) from error
        self._endpoint.heed(answer.status)
        return answer

    def _send(self, request: ApiRequest, headers: Mapping[str, str], seconds: float) -> ApiAnswer:
        query = f"?{urlencode(request.query)}" if request.query else ""
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds)
        answer = self._pool.request(
            request.method,
            f"{self._endpoint.url}{request.path}{query}",
            body=request.body,
            headers=headers,
            timeout=timeout,
            retries=False,
            redirect=False,
        )
        return ApiAnswer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        """Raises TransportError: commands that watch use `kube.http`."""
        raise TransportError(f"no watch of {request.path} by this connection")

    async def close(self) -> None:
        """Close every connection."""
        self._pool.clear()


def _pool(endpoint: Endpoint) -> urllib3.PoolManager:
    tls: dict[str, Any] = {"ssl_context": endpoint.tls} if endpoint.tls is not None else {}
    if endpoint.tls is not None and not endpoint.tls.check_hostname:
        tls["assert_hostname"] = False
        tls["cert_reqs"] = "CERT_NONE"
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # The kubeconfig asks for it.
    if endpoint.server_name:
        tls["server_hostname"] = endpoint.server_name
        tls["assert_hostname"] = endpoint.server_name
    return urllib3.ProxyManager(endpoint.proxy, **tls) if endpoint.proxy else urllib3.PoolManager(**tls)


async def _in_thread(work: Callable[[], ApiAnswer]) -> ApiAnswer:
    """The result of `work` in a thread that does not keep the process from ending, unlike one of an executor."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[ApiAnswer] = loop.create_future()

    def finish(outcome: ApiAnswer | Exception) -> None:
        if done.done():
            return
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)

    def run() -> None:
        outcome: ApiAnswer | Exception
        try:
            outcome = work()
        except Exception as error:
            outcome = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, outcome)

    threading.Thread(target=run, daemon=True).start()
    return await done


def _words(error: Exception) -> str:
    """The innermost reason: urllib3 wraps what the system says."""
    reason = getattr(error, "reason", None)
    return str(reason if isinstance(reason, Exception) else error) or type(error).__name__
