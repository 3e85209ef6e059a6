"""The server on loopback: plain HTTP/1.1 with streamed watches, for kubectl, client-go and other real clients."""

from __future__ import annotations

import hmac
import json
from contextlib import aclosing

from aiohttp import web

from pyflagger.admission.errors import ApiError
from pyflagger_sandbox.apiserver import portforward, routes, streaming
from pyflagger_sandbox.apiserver.faults import Broken
from pyflagger_sandbox.apiserver.messages import JSON, Request, Response, WatchStream
from pyflagger_sandbox.apiserver.portforward import Forward, Tunnel
from pyflagger_sandbox.apiserver.routes import Route
from pyflagger_sandbox.apiserver.server import ApiServer, refusal
from pyflagger_sandbox.apiserver.streaming import Execute

# The real server's limit for a request body.
MAX_BODY = 3 << 20
UNAUTHORIZED = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "Unauthorized",
    "reason": "Unauthorized",
    "code": 401,
}


class HttpFront:
    """Serves `server` on `host`. `port` 0 takes a free port. `start` sets `url`.

    With a `token`, it serves only requests with this bearer token, or with the token as the first part of the path.
    `url` includes that part, because kubectl sends no credentials over plain HTTP. The token is needed because every
    user of the machine and every page in a browser can reach loopback, and a client that creates pods here runs
    programs.
    """

    def __init__(
        self,
        server: ApiServer,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "",
        execute: Execute | None = None,
        forward: Forward | None = None,
    ) -> None:
        self._server, self._host, self._port = server, host, port
        self._execute, self._forward = execute, forward
        self._token = token.encode()
        self._runner: web.AppRunner | None = None
        self.url = self.base = ""

    async def start(self) -> str:
        """Listen, and return the URL. Raises OSError when the port is taken."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port, *_ = self._runner.addresses[0]
        self.base = f"http://{host}:{port}"
        self.url = f"{self.base}/{self._token.decode()}" if self._token else self.base
        return self.url

    async def stop(self) -> None:
        """End the watches and stop listening."""
        self._server.end_watches()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> HttpFront:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = self._admitted(request)
        if path is None:
            return web.json_response(UNAUTHORIZED, status=401)
        route = routes.parse(path)
        if self._execute and route and route.subresource == "exec" and route.plural == "pods":
            return await self._exec(request, route, self._execute)
        if self._forward and route and route.subresource == "portforward" and route.plural == "pods":
            return await self._tunnel(request, route, self._forward)
        said = await self._answer(request, path)
        if isinstance(said, Response):
            return web.Response(status=said.status, body=said.body, headers=dict(said.headers))
        return await self._stream(request, said)

    async def _exec(self, request: web.Request, route: Route, execute: Execute) -> web.StreamResponse:
        """Run a command in a container, with its streams in a WebSocket."""
        socket = web.WebSocketResponse(protocols=streaming.PROTOCOLS)
        if not socket.can_prepare(request):
            return _needs_websocket(route)
        said = request.query
        argv, container = said.getall("command", []), said.get("container", "")
        stdin, terminal = (said.get(key) in ("true", "1") for key in ("stdin", "tty"))
        try:
            command = await execute(route.namespace, route.name, container, argv, stdin, terminal)
        except ApiError as error:
            return _refused(error)
        except OSError as error:
            await socket.prepare(request)
            status = streaming.not_started(f"cannot run {argv[0]} in this container: {error.strerror}")
            await socket.send_bytes(bytes([streaming.ERROR]) + json.dumps(status).encode())
            await socket.close()
            return socket
        try:
            await socket.prepare(request)
        except BaseException:
            await command.stop()
            raise
        await streaming.attend(socket, command)
        return socket

    async def _tunnel(self, request: web.Request, route: Route, forward: Forward) -> web.StreamResponse:
        """Carry connections to the ports of a pod in one WebSocket."""
        socket = web.WebSocketResponse(protocols=portforward.PROTOCOLS)
        if not socket.can_prepare(request):
            return _needs_websocket(route)
        try:
            dial = forward(route.namespace, route.name)
        except ApiError as error:
            return _refused(error)
        await socket.prepare(request)
        await Tunnel(socket, dial, route.name).attend()
        return socket

    def _admitted(self, request: web.Request) -> str | None:
        """The path of a request that has the token; None for other requests."""
        if not self._token:
            return request.path
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(bearer.encode(), self._token):
            return request.path
        first, _, rest = request.path.removeprefix("/").partition("/")
        return f"/{rest}" if hmac.compare_digest(first.encode(), self._token) else None

    async def _answer(self, request: web.Request, path: str) -> Response | WatchStream:
        asked = Request(
            method=request.method,
            path=path,
            query=dict(request.query),
            body=await request.read(),
            content_type=request.headers.get("content-type", JSON),
            accept=request.headers.get("accept", JSON),
            agent=request.headers.get("user-agent", ""),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        try:
            return await self._server.handle(asked)
        except Broken:
            _abort(request)
            raise

    async def _stream(self, request: web.Request, stream: WatchStream) -> web.StreamResponse:
        response = web.StreamResponse(status=stream.status, headers=dict(stream.headers))
        async with aclosing(stream.lines) as lines:
            try:
                await response.prepare(request)
                async for line in lines:
                    await response.write(line)
            except ConnectionResetError:
                return response  # The client disconnected, as watchers do.
            except Broken:
                _abort(request)
                return response
        await response.write_eof()
        return response


def _needs_websocket(route: Route) -> web.Response:
    text = f"{route.subresource} needs a WebSocket here: use kubectl 1.31 or later"
    return _refused(ApiError(400, "BadRequest", text))


def _refused(error: ApiError) -> web.Response:
    said = refusal(error)
    return web.Response(status=said.status, body=said.body, headers=dict(said.headers))


def _abort(request: web.Request) -> None:
    """Break the connection, as a crashed server does."""
    if request.transport is not None:
        request.transport.abort()
