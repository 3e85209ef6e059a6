"""Credentials of clouds for metric requests. The libraries of the clouds find them, by their standard chains.

The libraries are extras of the distribution, are imported on first use, and block. They run in two threads of their
own, so that neither the event loop nor DNS resolution waits for them.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from pyflagger.wire import AwsAuth, GoogleAuth, Http, HttpFailure, HttpRequest, shown_url

SECONDS_MAX = 10.0
"""How long a library may take to find credentials."""

THREADS = 2
KEYS_MAX = 64
"""The maximum number of cached credentials of Google."""


class Clouds:
    """Adds credentials to requests. Raises HttpFailure of kind `credentials`."""

    def __init__(self, http: Http) -> None:
        self._http, self._lock = http, threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._aws: Any = None
        self._google: dict[GoogleAuth, Any] = {}

    async def authorized(self, request: HttpRequest) -> HttpRequest:
        """The request with the credentials that its `auth` names."""
        match request.auth:
            case AwsAuth():
                signed: HttpRequest = await self._run("AWS", partial(self._signed, request, request.auth))
                return signed
            case GoogleAuth():
                fetch = _fetcher(self._http, asyncio.get_running_loop())
                headers = await self._run("Google", partial(self._token, request.auth, fetch))
                return replace(request, headers=(*request.headers, *headers), auth=None, redirects=0)
        return request

    async def _run(self, cloud: str, call: Callable[[], Any]) -> Any:
        self._threads = self._threads or ThreadPoolExecutor(THREADS, "clouds")
        try:
            async with asyncio.timeout(SECONDS_MAX):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except HttpFailure:
            raise
        except TimeoutError:
            text = f"{cloud} gave no credentials within {SECONDS_MAX:g}s"
        except ImportError as error:
            text = f"the library for credentials of {cloud} is not installed: pip install 'pyflagger[{cloud.lower()}]'"
            raise HttpFailure("credentials", text) from error
        except Exception as error:
            text = f"{cloud} gave no credentials: {type(error).__name__}: {str(error)[:500]}"
        raise HttpFailure("credentials", text)

    def _signed(self, request: HttpRequest, auth: AwsAuth) -> HttpRequest:
        """The request with a signature of version 4. A redirect would not be signed, so none is followed."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import get_session

        with self._lock:
            self._aws = self._aws or get_session()
            found = self._aws.get_credentials()
        if found is None:
            text = "there are no AWS credentials in the environment, the web identity, or the role of pod and node"
            raise HttpFailure("credentials", text)
        signed = AWSRequest(request.method, request.url, dict(request.headers), request.body)
        SigV4Auth(found.get_frozen_credentials(), auth.service, auth.region).add_auth(signed)
        headers = tuple((name, str(value)) for name, value in signed.headers.items())
        return replace(request, headers=headers, auth=None, redirects=0)

    def _token(self, auth: GoogleAuth, fetch: Any) -> tuple[tuple[str, str], ...]:
        """The headers of an access token. Asks for a new one when the last has expired."""
        with self._lock:
            found = self._google.get(auth)
            if found is None:
                found = self._google[auth] = _google_credentials(auth)
                while len(self._google) > KEYS_MAX:
                    del self._google[next(iter(self._google))]
        if not found.valid:
            found.refresh(fetch if auth.key else _requests())
        headers: dict[str, str] = {}
        found.apply(headers)
        return tuple(headers.items())


def _google_credentials(auth: GoogleAuth) -> Any:
    if not auth.key:
        import google.auth

        return google.auth.default(scopes=[auth.scope])[0]
    from google.oauth2 import service_account

    make: Any = service_account.Credentials.from_service_account_info
    return make(json.loads(auth.key), scopes=[auth.scope])


def _requests() -> Any:
    from google.auth.transport.requests import Request

    return Request()


def _fetcher(http: Http, loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    """A transport of google-auth over flagger's client, which never connects to metadata addresses.

    For keys of Secrets: the key names the URL that issues tokens.
    """

    class Answer:
        def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
            self.status, self.headers, self.data = status, headers, data

    def fetch(
        url: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        request = HttpRequest(method, url, tuple((headers or {}).items()), data)
        future = asyncio.run_coroutine_threadsafe(http.send(request), loop)
        answer = future.result(SECONDS_MAX)
        if answer.status == 200 and not answer.body.lstrip().startswith(b"{"):
            raise HttpFailure("credentials", f"{shown_url(url)} does not answer as the token server of Google")
        return Answer(answer.status, answer.headers, answer.body)

    return fetch
