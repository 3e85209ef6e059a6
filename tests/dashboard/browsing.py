"""A browser without a window: it asks the handlers of a dashboard, on virtual time and without sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from unittest.mock import Mock
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from pyflagger.dashboard.local import LocalDoor, cookie
from pyflagger.dashboard.server import Server
from pyflagger.dashboard.visit import Visit, visit_of
from pyflagger.dashboard.watching import Canaries, Fleet
from pyflagger.dashboard.who import Who
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.operator.options import Options
from pyflagger_sandbox.apiserver.transport import InProcess
from seeing.test_single import Denies, Scene
from seeing.test_waiting import Person

PORT = 8490
HOST = f"127.0.0.1:{PORT}"


class Answer(NamedTuple):
    """An answer. `text` is its body."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


class Browser:
    """Asks one server. It has the session's cookie once it opened the address with the key."""

    def __init__(self, server: Server, host: str = HOST, origin: str = f"http://{HOST}") -> None:
        self._app = server.application()
        self._app.freeze()
        self._host, self._origin, self.peer = host, origin, "127.0.0.1"
        self.cookies = dict[str, str]()

    async def post(self, path: str, form: Mapping[str, str] | str = "", **headers: str) -> Answer:
        """Send a form, or a text, from a page of the dashboard."""
        given = {"Origin": self._origin, "Content-Type": "application/x-www-form-urlencoded"} | headers
        body = form if isinstance(form, str) else urlencode(form)
        return await self.get(path, "POST", body.encode(), **given)

    async def get(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """The answer to a request. Underscores in names of headers are dashes."""
        request = self.request(path, method, body, **headers)
        answer = await self._app._handle(request)
        assert isinstance(answer, web.Response) and not isinstance(answer, web.HTTPException)
        self.cookies |= {name: morsel.value for name, morsel in answer.cookies.items()}
        text = answer.body if isinstance(answer.body, bytes) else b""
        return Answer(answer.status, answer.headers, text.decode())

    def request(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> web.Request:
        """A request as the server gets it."""
        given = {"Host": self._host} | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies and "Cookie" not in given:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        names = {"sockname": ("127.0.0.1", PORT), "peername": (self.peer, 1)}
        transport = Mock()
        transport.get_extra_info = names.get
        payload = StreamReader(Mock(), 2**16, loop=asyncio.get_running_loop())
        payload.feed_data(body)
        payload.feed_eof()
        return make_mocked_request(
            method, path, headers=given, transport=transport, app=self._app, payload=payload, client_max_size=2**16
        )

    async def visited(self, path: str, **headers: str) -> Visit:
        """The visit of a request that is let in."""
        request = self.request(path, **headers)
        answer = await self._app._handle(request)
        assert answer.status == 200
        return visit_of(request)

    async def login(self, key: str) -> None:
        """Open the address with the key."""
        answer = await self.get(f"/?key={key}")
        assert answer.status == 303 and cookie(PORT) in self.cookies


class Steering(Person):
    """May create requests, too."""

    async def call(self, request: ApiRequest) -> ApiAnswer:
        if request.method == "POST" and request.path.endswith("/canaryactions"):
            self.asked.append(request.path)
            if self._denies(request):
                return ApiAnswer(403, {}, b'{"reason": "Forbidden", "message": "no <b>role</b>"}')
            return await InProcess.call(self, request)
        return await super().call(request)


class Shown(NamedTuple):
    """A dashboard over a scene."""

    browser: Browser
    fleet: Fleet
    canaries: Canaries
    person: Person
    door: LocalDoor


@asynccontextmanager
async def dashboard(
    scene: Scene, denies: Denies = lambda request: False, namespace: str = "", *, acting: bool = False
) -> AsyncIterator[Shown]:
    """A dashboard with the rights of a person, and a browser with a session. `acting`: it has act pages."""
    person, clock = (Steering if acting else Person)(scene.stage, denies), scene.stage.clock
    client = Client(person, clock)
    fleet, canaries = Fleet(client, clock, namespace), Canaries(client, clock, Options(mesh_provider=""))
    await fleet.begin()
    canaries.begin()
    door = LocalDoor(fleet, canaries, clock, Who("ann", ("dev",)), "prod", client if acting else None)
    browser = Browser(Server(door, clock))
    await browser.login(door.key)
    try:
        yield Shown(browser, fleet, canaries, person, door)
    finally:
        await canaries.stop()
        await fleet.stop()
