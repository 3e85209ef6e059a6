"""podinfo's paths, as an aiohttp application.

`server` calls `application`. `Service` has the state that paths share (ready, healthy).
"""

from __future__ import annotations

import html
import json
import platform
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

from pyflagger.api.durations import stamp
from pyflagger.clock import Clock

from . import tokens
from .options import Options
from .telemetry import CONTENT_TYPE, PodinfoMetrics, path_label

BODY_MAX = 10 << 20
# Not in podinfo: every response names its pod, even an error, so that clients can count traffic by version.
SERVED_BY = "X-Sandbox-Pod"
DELAY_MAX = 300
RANDOM_STATUSES = (500, 400, 409)
# Only visitors get faults. Probes that fail by chance would hide the effect of the fault.
SPARED = frozenset({"healthz", "readyz", "metrics"})

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Service:
    """One instance: its options and its state. `crash` ends the emulated process with an exit code."""

    options: Options
    clock: Clock
    hostname: str
    environ: Mapping[str, str]
    crash: Callable[[int], None]
    log: Callable[..., None]
    telemetry: PodinfoMetrics = field(default_factory=PodinfoMetrics)
    ready: bool = False
    healthy: bool = False
    draining: bool = False


def pretty(value: Any, status: int = 200) -> web.Response:
    """JSON in podinfo's format."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return web.Response(status=status, body=text.encode(), headers=headers)


def refusal(code: int, message: str) -> web.Response:
    """podinfo's errors, with the code in the body."""
    return pretty({"code": code, "message": message})


class Paths:
    """One method for each path."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def index(self, request: web.Request) -> web.Response:
        """A page for browsers, JSON for other clients."""
        if not request.headers.get("User-Agent", "").startswith("Mozilla"):
            return await self.info(request)
        options, name = self._service.options, html.escape(self._service.hostname)
        page = (
            f"<!doctype html><title>{name}</title>"
            f'<body style="background:{html.escape(options.ui_color, quote=True)};color:#fff;font-family:sans-serif">'
            f"<h1>{html.escape(options.ui_message)}</h1><p>served by {name}, version {html.escape(options.version)}</p>"
        )
        return web.Response(text=page, content_type="text/html")

    async def info(self, request: web.Request) -> web.Response:
        """The runtime information."""
        options = self._service.options
        return pretty(
            {
                "hostname": self._service.hostname,
                "version": options.version,
                "revision": "sandbox",
                "color": options.ui_color,
                "logo": options.ui_logo,
                "message": options.ui_message,
                "goos": platform.system().lower(),
                "goarch": platform.machine(),
                "runtime": f"python{platform.python_version()}",
                "num_goroutine": "1",
                "num_cpu": "1",
            }
        )

    async def version(self, request: web.Request) -> web.Response:
        """The version, which is the image's tag."""
        return pretty({"version": self._service.options.version, "commit": "sandbox"})

    async def echo(self, request: web.Request) -> web.Response:
        """The request's body."""
        headers = {"Content-Type": "application/octet-stream", "X-Color": self._service.options.ui_color}
        return web.Response(status=202, body=await request.read(), headers=headers)

    async def env(self, request: web.Request) -> web.Response:
        """The environment of the container."""
        return pretty([f"{name}={value}" for name, value in self._service.environ.items()])

    async def headers(self, request: web.Request) -> web.Response:
        """The request's headers."""
        return pretty({name: request.headers.getall(name) for name in dict.fromkeys(request.headers)})

    async def delay(self, request: web.Request) -> web.Response:
        """Wait, then respond."""
        seconds = min(int(request.match_info["wait"]), DELAY_MAX)
        await self._service.clock.sleep(seconds)
        return pretty({"delay": seconds})

    async def status(self, request: web.Request) -> web.Response:
        """The requested status."""
        code = int(request.match_info["code"])
        return pretty({"status": code}, code) if 200 <= code <= 599 else refusal(400, f"invalid status code {code}")

    async def healthz(self, request: web.Request) -> web.Response:
        """For liveness probes."""
        return pretty({"status": "OK"}) if self._service.healthy else web.Response(status=503)

    async def readyz(self, request: web.Request) -> web.Response:
        """For readiness probes."""
        return pretty({"status": "OK"}) if self._service.ready else web.Response(status=503)

    async def enable(self, request: web.Request) -> web.Response:
        """Become ready."""
        self._service.ready = True
        return web.Response(status=202)

    async def disable(self, request: web.Request) -> web.Response:
        """Become unready."""
        self._service.ready = False
        return web.Response(status=202)

    async def panic(self, request: web.Request) -> web.Response:
        """End the process."""
        self._service.log("info", "Panic command received")
        self._service.crash(255)
        return web.Response(status=500)

    async def token(self, request: web.Request) -> web.Response:
        """A token for the user named in the body."""
        user = (await request.read()).decode("utf-8", "replace") or "anonymous"
        token, expires = tokens.issue(user, self._service.clock.now())
        return pretty({"token": token, "expires_at": stamp(expires)})

    async def validate(self, request: web.Request) -> web.Response:
        """The user of a token."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return refusal(401, "authorization bearer header required")
        try:
            user, expires = tokens.check(token, self._service.clock.now())
        except ValueError as error:
            return refusal(401, str(error))
        return pretty({"token_name": user, "expires_at": stamp(expires)})

    async def metrics(self, request: web.Request) -> web.Response:
        """The metrics in text format."""
        return web.Response(body=self._service.telemetry.page(), headers={"Content-Type": CONTENT_TYPE})


def _routes(paths: Paths) -> list[tuple[tuple[str, ...], str, Handler, str]]:
    """(methods, path, handler, template for its label in the metrics). The first match wins."""
    any_method, read, post = ("*",), ("GET",), ("POST",)
    return [
        (read, "/", paths.index, "/"),
        (read, "/api/info", paths.info, "/api/info"),
        (read, "/version", paths.version, "/version"),
        (any_method, "/echo", paths.echo, "/echo"),
        (any_method, "/api/echo", paths.echo, "/api/echo"),
        (any_method, "/echo/{rest:.*}", paths.echo, "/echo/"),
        (("GET", "POST"), "/env", paths.env, "/env"),
        (("GET", "POST"), "/headers", paths.headers, "/headers"),
        (read, "/delay/{wait:[0-9]+}", paths.delay, "delay"),
        (("GET", "POST", "PUT"), "/status/{code:[0-9]+}", paths.status, "status"),
        (read, "/healthz", paths.healthz, "/healthz"),
        (read, "/readyz", paths.readyz, "/readyz"),
        (post, "/readyz/enable", paths.enable, "/readyz/enable"),
        (post, "/readyz/disable", paths.disable, "/readyz/disable"),
        (read, "/panic", paths.panic, "/panic"),
        (post, "/token", paths.token, "/token"),
        (read, "/token/validate", paths.validate, "/token/validate"),
        (read, "/metrics", paths.metrics, "/metrics"),
    ]


def application(service: Service) -> web.Application:
    """The application on the main port."""
    app = web.Application(client_max_size=BODY_MAX)
    for methods, path, handler, template in _routes(Paths(service)):
        for method in methods:
            app.router.add_route(method, path, _measured(service, path_label(template), handler))
    return app


def metrics_application(service: Service) -> web.Application:
    """The application on the metrics port."""
    app, paths = web.Application(), Paths(service)
    app.router.add_get("/metrics", paths.metrics)
    app.router.add_get("/healthz", paths.healthz)
    return app


def _measured(service: Service, label: str, handler: Handler) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        began = service.clock.monotonic()
        response = await (handler(request) if label in SPARED else _faulty(service, handler, request))
        if not response.prepared:
            response.headers[SERVED_BY] = service.hostname
        if service.draining:
            response.force_close()
        service.telemetry.served(request.method, label, response.status, service.clock.monotonic() - began)
        return response

    return serve


async def _faulty(service: Service, handler: Handler, request: web.Request) -> web.StreamResponse:
    """The faults of podinfo's flags: random delays, and an error in every third response."""
    options, clock = service.options, service.clock
    if options.random_delay:
        unit = 1.0 if options.random_delay_unit == "s" else 0.001
        spread = options.random_delay_max - options.random_delay_min
        await clock.sleep((options.random_delay_min + clock.jitter(spread)) * unit)
    if options.random_error and clock.jitter(3) < 1:
        return web.Response(status=RANDOM_STATUSES[min(2, int(clock.jitter(3)))])
    return await handler(request)
