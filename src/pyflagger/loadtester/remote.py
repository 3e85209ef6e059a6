"""Tests that another server runs: start one, poll it until it ends, and stop it when its result is not needed.

A `Remote` describes such a test as requests and as readers of their answers. `concord` and `ngrinder` build it from a
webhook's metadata. The runner calls `run`, as it calls `processes.run` for a command.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pyflagger.api import durations
from pyflagger.clock import Clock
from pyflagger.wire import Http, HttpAnswer, HttpFailure, HttpRequest, hidden, secrets_of, shown_url

from .processes import Outcome

REQUEST_WITHIN = 60.0
"""Seconds for one request."""

STOP_WITHIN = 5.0
KEY_MAX = 64 << 10
"""Bytes of a file with an API key."""


class Unusable(Exception):
    """The server's answer is an error or not what its documentation says. The text is for the user."""


class Transient(Unusable):
    """An error that may pass: a poll is tried again."""


class Failed(Unusable):
    """The test has ended and did not pass."""


@dataclass(frozen=True, slots=True)
class Remote:
    """One test on another server. `name` is the service's; times in seconds.

    `started` reads the identifier of the test from the answer to `start`; it raises Unusable. `poll` and `stop` are the
    requests for an identifier. `ended` reads the answer to a poll: None while the test runs, the state for success; it
    raises Failed for a test that did not pass. `overdue` is the text for `within`. `key_path` names a file with the
    value of the Authorization header.
    """

    name: str
    start: HttpRequest
    started: Callable[[HttpAnswer], str]
    poll: Callable[[str], HttpRequest]
    ended: Callable[[str, HttpAnswer], str | None]
    stop: Callable[[str], HttpRequest]
    interval: float
    within: float = 0.0
    overdue: str = ""
    key_path: str = ""


class Say(Protocol):
    """Logs a line about the canary of the test."""

    def __call__(self, text: str) -> object: ...


async def run(remote: Remote, http: Http, clock: Clock, *, timeout: float, say: Say) -> Outcome:
    """Run a test until it ends, at most `timeout` seconds, or `remote.within` if that is less.

    Stops the test on its server when the time is up or when cancelled. A request that is on its way to start a test
    cannot be taken back.
    """
    within = min(timeout, remote.within or timeout)
    try:
        one = _Test(remote, http, clock, say)
    except Unusable as error:
        return Outcome("failed", "", str(error))
    work, timer = asyncio.ensure_future(one.follow()), asyncio.ensure_future(clock.sleep(within))
    try:
        await asyncio.wait((work, timer), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return Outcome("succeeded", work.result())
    except Unusable as error:
        return Outcome("failed", "", one.plain(error))
    finally:
        timer.cancel()
        work.cancel()
        await asyncio.shield(asyncio.ensure_future(one.end()))
    late = remote.overdue if remote.overdue and within == remote.within else _late(remote, within)
    return Outcome("timed out", "", f"{late} (last error: {one.trouble})" if one.trouble else late)


def _late(remote: Remote, within: float) -> str:
    return f"{remote.name}: timed out after {durations.show(within)}"


class _Test:
    """One run of a test. `trouble` is the error of the last poll, empty if it had none. Raises Unusable."""

    def __init__(self, remote: Remote, http: Http, clock: Clock, say: Say) -> None:
        key = _authorization(remote.key_path)
        self._remote, self._http, self._clock, self._say = remote, http, clock, say
        self._headers = (("Authorization", key),) if key else ()
        self._secrets = secrets_of(self._with_key(remote.start))
        self._id = ""
        self.trouble = ""

    async def follow(self) -> str:
        """Start the test and poll until it ends. Returns a line about it. Raises Unusable."""
        remote = self._remote
        self._id = test = remote.started(await self._send(remote.start))
        self._say(f"{remote.name} started test {test}")
        while True:
            await self._clock.sleep(remote.interval)
            state = await self._state(test)
            if state is not None:
                self._id = ""
                return f"{remote.name} test {test}: {state}"

    async def _state(self, test: str) -> str | None:
        try:
            state = self._remote.ended(test, await self._send(self._remote.poll(test)))
        except Transient as error:
            self.trouble = self.plain(error)
            return None
        except Failed:
            self._id = ""
            raise
        self.trouble = ""
        return state

    async def end(self) -> None:
        """Stop the test on its server if it may still run."""
        if not self._id:
            return
        try:
            await self._send(replace(self._remote.stop(self._id), timeout=STOP_WITHIN))
        except Unusable as error:
            self._say(f"{self._remote.name} may still run test {self._id}: {self.plain(error)}")
        else:
            self._say(f"{self._remote.name} stopped test {self._id}")

    def plain(self, error: Unusable) -> str:
        """The text of an error without the secrets of the test, which a server may echo."""
        return hidden(str(error), self._secrets)

    def _with_key(self, request: HttpRequest) -> HttpRequest:
        return replace(request, headers=(*request.headers, *self._headers))

    async def _send(self, request: HttpRequest) -> HttpAnswer:
        """Send a request. Raises Transient for no answer, 429 and 5xx, and Unusable for every other error status."""
        name = self._remote.name
        try:
            answer = await self._http.send(self._with_key(request))
        except HttpFailure as failure:
            raise Transient(f"{name}: {failure}") from None
        if answer.status < 400:
            return answer
        kind = Transient if answer.status == 429 or answer.status >= 500 else Unusable
        raise kind(f"{name}: {request.method} {shown_url(request.url)}: {answer.summary(200)}")


def _authorization(path: str) -> str:
    """The content of a file, without white space around it; empty without a path. Raises Unusable."""
    if not path:
        return ""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unusable(f"apiKeyPath {path} is not a file")
            key = file.read(KEY_MAX).decode("latin-1").strip()
    except OSError as error:
        raise Unusable(f"cannot read apiKeyPath {path}: {error.strerror}") from None
    if not key or not key.isprintable():
        raise Unusable(f"apiKeyPath {path} does not contain an API key on one line")
    return key


def document(name: str, answer: HttpAnswer) -> dict[str, Any]:
    """The JSON object in an answer. Raises Transient."""
    with suppress(ValueError, RecursionError):
        found = json.loads(answer.body)
        if isinstance(found, dict):
            return found
    raise Transient(f"{name} did not answer with a JSON object: {answer.summary(200)}")
