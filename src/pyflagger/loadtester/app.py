"""The HTTP interface of the load tester: gates, tasks, status.

Paths, bodies and status codes are the reference's. One place authorizes requests for all paths.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest

from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.wire import Http

from .callers import CallerRefused, Callers
from .gates import Gates, TooManyGates
from .metadata import BadTask
from .options import Options
from .processes import Outcome
from .remote import Remote
from .runner import Busy, Log, Runner
from .tasks import Rules, Task, read_task

MAX_BODY = 1 << 20
BODY_WITHIN = 30.0
"""Seconds within which a caller must send its body."""

PATH_SHOWN = 200

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_FIELDS = ("name", "namespace", "phase", "checksum")

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadBody(ValueError):
    """The body of a request is invalid. `status` and text are the answer; the text is empty for a bad payload."""

    def __init__(self, text: str = "", status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Payload:
    """The body of a webhook call."""

    name: str = ""
    namespace: str = ""
    phase: str = ""
    checksum: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def canary(self) -> str:
        """`name.namespace`, as in log lines and gate names."""
        return f"{self.name}.{self.namespace}"


def read_payload(body: bytes) -> Payload:
    """Parse the body of a webhook call. Ignores unknown keys. Raises BadBody."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise BadBody from None
    if document is None:
        return Payload()
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict | NoneType):
        raise BadBody
    texts = {key: "" if document.get(key) is None else document[key] for key in _FIELDS}
    metadata = {key: "" if value is None else value for key, value in (document.get("metadata") or {}).items()}
    if not all(map(_is_text, (*texts.values(), *metadata, *metadata.values()))):
        raise BadBody
    return Payload(**texts, metadata=metadata)


def decoded(body: bytes, encoding: str) -> bytes:
    """Decode a body's Content-Encoding. Raises BadBody when it is unsupported or does not match the body."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _WINDOWS:
        raise BadBody(f"Content-Encoding {encoding!a} is not supported: send the body unencoded or as gzip")
    unpacked = zlib.decompressobj(_WINDOWS[name])
    try:
        plain = unpacked.decompress(body, MAX_BODY)
    except zlib.error:
        raise BadBody(f"the body is not {name}, although its Content-Encoding says so") from None
    if unpacked.unconsumed_tail:
        raise BadBody(f"the decoded body is larger than {MAX_BODY} bytes", 413)
    if not unpacked.eof or unpacked.unused_data:
        raise BadBody(f"the body is not {name}: it is truncated or has data after its end")
    return plain


def _failed(task: Task, outcome: Outcome) -> str:
    """The text of a failure. A test on another server has no output, and its error says which test it was."""
    if isinstance(task.work, Remote):
        return outcome.error
    return f"command {task.command} failed: {outcome.output}: {outcome.error}"


def _is_text(value: object) -> bool:
    """Whether a value is text that can be encoded: JSON can contain lone surrogates."""
    return isinstance(value, str) and not any("\ud800" <= one <= "\udfff" for one in value)


class LoadTester:
    """The service: gates, tasks and metrics behind an aiohttp application."""

    def __init__(
        self,
        options: Options,
        clock: Clock,
        log: Log,
        environment: Mapping[str, str],
        http: Http,
        client: Client | None = None,
    ) -> None:
        self._options = options
        self._log = log
        self._callers = Callers(options, clock, client)
        self._gates = Gates(auto_close=options.gate_auto_close, per_checksum=options.gate_per_checksum)
        self._rules = Rules(options.allowed_types, options.allowed_commands)
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._runner = Runner(
            clock,
            log,
            self._registry,
            environment,
            http,
            timeout=options.timeout,
            max_tasks=options.max_tasks,
            max_output=options.max_output,
        )

    def application(self) -> web.Application:
        """The application. It serves every path and method; a path that is neither a gate nor a page runs a task."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.on_shutdown.append(lambda _: self._runner.stop())
        app.on_cleanup.append(lambda _: self._runner.idle())
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        page = _PAGES.get(request.path)
        if page is not None:
            return page(self)
        if "Origin" in request.headers:
            return web.Response(status=403, text="Forbidden: requests from web pages are not accepted")
        try:
            caller = await self._callers.who(request.headers)
        except CallerRefused as refused:
            log = self._log.error if refused.status == 503 else self._log.info
            log(str(refused), peer=request.remote, path=request.path[:PATH_SHOWN], cause=refused.cause)
            headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
            return web.Response(status=refused.status, text=str(refused), headers=headers)
        listing = _LISTINGS.get(request.path) if request.method == "GET" else None
        if listing is not None and caller.namespace:
            return web.Response(status=403, text="Forbidden: lists need an account that may act for every canary")
        if listing is not None:
            return web.json_response(listing(self))
        try:
            async with asyncio.timeout(BODY_WITHIN):
                body = await request.read()
            payload = read_payload(decoded(body, request.headers.get("Content-Encoding", "")))
        except TimeoutError:
            return web.Response(status=408, text="the body did not arrive in time")
        except web.RequestPayloadError:
            return web.Response(status=400, text="cannot read the body: its chunks or its length are wrong")
        except BadBody as error:
            return web.Response(status=error.status, text=str(error))
        if not self._options.admits(payload.namespace):
            return web.Response(status=403, text="Forbidden")
        if not caller.may_act_for(payload.namespace):
            text = f"Forbidden: {caller.account} may act for canaries of namespace {caller.namespace} only"
            return web.Response(status=403, text=text)
        gate = _GATES.get(request.path)
        return gate(self, payload) if gate is not None else await self._task(payload)

    async def _task(self, payload: Payload) -> web.Response:
        try:
            task = read_task(payload.canary, payload.metadata, self._rules)
            return await self._wait(task) if task.blocking else self._start(task)
        except BadTask as error:
            return web.Response(status=400, text=str(error))
        except Busy:
            return web.Response(status=429, text="too many tasks are running, try again later")

    def _start(self, task: Task) -> web.Response:
        failure = self._runner.start(task)
        if failure:
            return web.Response(status=500, text=f"the last run of command {task.command} failed: {failure}")
        return web.Response(status=202)

    async def _wait(self, task: Task) -> web.Response:
        outcome = await self._runner.wait(task)
        if outcome.error:
            return web.Response(status=500, text=_failed(task, outcome))
        return web.Response(text=outcome.output if task.return_output else "")

    def _open(self, payload: Payload, prefix: str) -> web.Response:
        try:
            self._gates.open(prefix + payload.canary, payload.checksum)
        except TooManyGates:
            return web.Response(status=429, text="too many gates are open")
        self._log.info(f"{prefix + payload.canary} gate opened", canary=payload.canary)
        return web.Response(status=202)

    def _close(self, payload: Payload, prefix: str) -> web.Response:
        self._gates.close(prefix + payload.canary)
        self._log.info(f"{prefix + payload.canary} gate closed", canary=payload.canary)
        return web.Response(status=202)

    def _check(self, payload: Payload, prefix: str) -> web.Response:
        passed = self._gates.check(prefix + payload.canary, payload.checksum)
        self._log.info(
            f"{prefix + payload.canary} gate check: {'approved' if passed else 'forbidden'}", canary=payload.canary
        )
        return web.Response(text="Approved") if passed else web.Response(status=403, text="Forbidden")

    def _metrics(self) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": _TEXT})


_PAGES: dict[str, Callable[[LoadTester], web.Response]] = {
    "/healthz": lambda _: web.Response(text="OK"),
    "/metrics": LoadTester._metrics,
    "/gate/approve": lambda _: web.Response(text="OK"),
    "/gate/halt": lambda _: web.Response(status=403, text="Forbidden"),
}
_LISTINGS: dict[str, Callable[[LoadTester], Any]] = {
    "/gate/list": lambda tester: tester._gates.listing(),
    "/tasks": lambda tester: tester._runner.status(),
}
_GATES: dict[str, Callable[[LoadTester, Payload], web.Response]] = {
    f"/{room}/{verb}": lambda tester, payload, act=act, prefix=prefix: act(tester, payload, prefix)  # type: ignore[misc]
    for room, prefix in (("gate", ""), ("rollback", "rollback."))
    for verb, act in (("open", LoadTester._open), ("close", LoadTester._close), ("check", LoadTester._check))
}
