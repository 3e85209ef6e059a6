"""The HTTP server of the dashboard: routes, their handlers, and what every answer has in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from pyflagger import __version__
from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.dashboard.acting import Acting
from pyflagger.dashboard.chosen import chosen_of, shown
from pyflagger.dashboard.guard import Guard, protected
from pyflagger.dashboard.objects import found_object
from pyflagger.dashboard.pages import (
    FleetRegions,
    Site,
    canary_page,
    canary_regions,
    compare_page,
    fleet_page,
    release_page,
)
from pyflagger.dashboard.problems import Refused, document, refused, title
from pyflagger.dashboard.rendering import TYPES, asset, rendered
from pyflagger.dashboard.streams import STREAMS_MAX, messages, stream
from pyflagger.dashboard.watching import Canaries, Fleet, Opened, Sight
from pyflagger.dashboard.who import Who
from pyflagger.kube.client import ApiError, Client
from pyflagger.objects import Key
from pyflagger.seeing import documents
from pyflagger.seeing.model import CanaryView, RecordView

ANSWER_SECONDS = 20.0
"""The longest that a page waits for the API server."""

YEAR = "public, max-age=31536000, immutable"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The handlers. `context` is that of the kubeconfig. `acting` creates requests; None: this dashboard only reads."""

    def __init__(
        self, fleet: Fleet, canaries: Canaries, clock: Clock, who: Who, context: str, acting: Client | None = None
    ) -> None:
        self._fleet, self._canaries, self._clock, self._who = fleet, canaries, clock, who
        self._site = Site(context, who.user or "", __version__, acting is not None)
        self._streams = 0
        self.guard = Guard(acting=acting is not None)
        self._acting = acting and Acting(acting, clock, who, self._site, self._opened, self.guard.token)

    def application(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._answered], client_max_size=64 * 1024)
        canary, one = "/c/{ns}/{name}", "/api/v1/namespaces/{ns}/canaries/{name}"
        app.add_routes(
            [
                web.get("/", self._fleet_page),
                web.get(canary, self._canary_page),
                web.get(canary + "/objects/{kind}/{object}", self._object),
                web.get(canary + "/releases/{number}", self._release_page),
                web.get(canary + "/compare", self._compare_page),
                web.get("/static/{digest}/{file}", self._static),
                web.get("/api/v1/whoami", self._whoami),
                web.get("/api/v1/canaries", self._canaries_document),
                web.get(one, self._one(lambda sight: documents.canary(sight.view))),
                web.get(one + "/explain", self._one(lambda sight: documents.explanation(sight.why))),
                web.get(one + "/events", self._one(lambda sight: _events(sight.view))),
                web.get(one + "/actions", self._one(_requests)),
                web.get(one + "/releases", self._one(lambda sight: _releases(sight.view))),
                web.get(one + "/releases/{number}", self._release),
                web.get("/api/v1/stream/fleet", self._fleet_stream),
                web.get("/api/v1/stream/canaries/{ns}/{name}", self._canary_stream),
            ]
        )
        if self._acting:
            app.add_routes(self._acting.routes())
        return app

    # What every answer has in common ------------------------------------------------------------------------------

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check the request and answer it. An error is a page, or a problem document below /api/."""
        try:
            begun = self.guard.admit(request)
            answer = await self._handled(request, handler) if begun is None else begun
        except Refused as error:
            answer = self._problem(request, error)
        if not answer.prepared:
            protected(answer)
        return answer

    async def _handled(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            raise refused(error) from error
        except TimeoutError as error:
            text = f"the API server did not answer in {ANSWER_SECONDS:.0f} s"
            raise Refused(503, Problem(Fault.CLUSTER, text, "Check that it is reachable, then reload.")) from error
        except web.HTTPException as error:
            if error.status < 400:
                raise
            raise Refused(
                error.status, Problem(Fault.MANIFEST, "this address leads nowhere", "Go to the fleet.")
            ) from error

    def _problem(self, request: web.Request, error: Refused) -> web.Response:
        if request.path.startswith("/api/"):
            body = orjson.dumps(document(error))
            return web.Response(status=error.status, body=body, content_type="application/problem+json")
        page = rendered("problem.html", site=self._site, problem=document(error), title=title(error.status), stream="")
        return web.Response(status=error.status, text=page, content_type="text/html")

    # Pages ----------------------------------------------------------------------------------------------------------

    async def _fleet_page(self, request: web.Request) -> web.Response:
        return _page(fleet_page(self._site, self._fleet, chosen_of(request.query)))

    async def _canary_page(self, request: web.Request) -> web.Response:
        opened = await self._opened(request)
        assert opened.sight is not None
        return _page(canary_page(self._site, opened, opened.sight))

    async def _release_page(self, request: web.Request) -> web.Response:
        opened = await self._opened(request)
        assert opened.sight is not None
        record = _chosen(opened.sight, request.match_info["number"])
        return _page(release_page(self._site, opened, opened.sight, record))

    async def _compare_page(self, request: web.Request) -> web.Response:
        """Two releases. The smaller number comes first."""
        opened = await self._opened(request)
        assert opened.sight is not None
        both = [_chosen(opened.sight, request.query.get(name, "")) for name in ("from", "to")]
        old, new = sorted(both, key=lambda each: each.release.number)
        return _page(compare_page(self._site, opened, opened.sight, old, new))

    async def _object(self, request: web.Request) -> web.Response:
        """An object of the canary as YAML."""
        opened, names = await self._opened(request), request.match_info
        assert opened.sight is not None
        found = found_object(opened.sight, names["kind"], names["object"])
        if found is None:
            text = f"the canary has no {names['kind']} {names['object']} that you may see"
            raise Refused(404, Problem(Fault.MANIFEST, text, "Go back to the canary."))
        row = opened.sight.view.canary
        return _page(rendered("object.html", site=self._site, stream="", row=row, object=found))

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        try:
            body, digest = asset(name)
        except KeyError:
            raise web.HTTPNotFound from None
        kept = YEAR if digest == request.match_info["digest"] else "no-store"
        kind = TYPES[name.rpartition(".")[2]]
        return web.Response(body=body, content_type=kind, charset="utf-8", headers={"Cache-Control": kept})

    async def _opened(self, request: web.Request) -> Opened:
        """The canary of a path. Raises ApiError, and TimeoutError if the API server does not answer."""
        key = Key(request.match_info["ns"], request.match_info["name"])
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._canaries.open(key)

    # Documents ------------------------------------------------------------------------------------------------------

    async def _whoami(self, _: web.Request) -> web.Response:
        told = {**self._who._asdict(), "mode": "local", "context": self._site.context}
        return _json(documents.document("Who", {**told, "token": self.guard.token if self._acting else None}))

    async def _canaries_document(self, request: web.Request) -> web.Response:
        """The canaries that the filters choose: all, or `limit` of them from `continue` on."""
        limit, start = (_count(request.query, name) for name in ("limit", "continue"))
        found = shown(self._fleet.rows, chosen_of(request.query), most=len(self._fleet.rows) or 1).rows
        end = start + (limit or len(found))
        return _json({**documents.fleet(found[start:end]), "continue": str(end) if end < len(found) else ""})

    def _one(self, part: Callable[[Any], Any]) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            return _json(part((await self._opened(request)).sight))

        return handle

    async def _release(self, request: web.Request) -> web.Response:
        opened = await self._opened(request)
        assert opened.sight is not None
        return _json(documents.record(_chosen(opened.sight, request.match_info["number"])))

    # Streams --------------------------------------------------------------------------------------------------------

    async def _fleet_stream(self, request: web.Request) -> web.StreamResponse:
        regions = FleetRegions(self._fleet, chosen_of(request.query))
        with self._counted():
            return await stream(request, messages(regions, self._fleet.bell, self._clock))

    async def _canary_stream(self, request: web.Request) -> web.StreamResponse:
        opened = await self._opened(request)
        opened.viewers += 1
        try:
            with self._counted():
                regions = partial(canary_regions, self._site, opened)
                return await stream(request, messages(regions, opened.bell, self._clock))
        finally:
            opened.viewers -= 1
            opened.used = self._clock.monotonic()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """One of at most STREAMS_MAX streams."""
        if self._streams >= STREAMS_MAX:
            raise Refused(503, Problem(Fault.MANIFEST, f"{STREAMS_MAX} pages are open", "Close some of them."))
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1


def _page(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html")


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def _requests(sight: Sight) -> dict[str, Any]:
    return documents.document("ActionList", {"items": sight.requests})


def _count(query: Mapping[str, str], name: str) -> int:
    """A whole number of a query, 0 without one. Raises Refused."""
    text = query.get(name, "") or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise Refused(400, Problem(Fault.MANIFEST, f"{name}={text[:20]} is no whole number", "Correct the query."))
    return int(text)


def _releases(view: CanaryView) -> dict[str, Any]:
    return documents.document("ReleaseList", {"items": view.releases})


def _chosen(sight: Sight, number: str) -> RecordView:
    """A record. Raises Refused if there is none of that number."""
    found = sight.records.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
    if found is None:
        known = ", ".join(map(str, sorted(sight.records))) or "none"
        text = f"there is no record of release {number[:20] or '?'}; there are: {known}"
        raise Refused(404, Problem(Fault.MANIFEST, text, "Choose one on the page of the canary."))
    return found


def _events(view: CanaryView) -> dict[str, Any]:
    return documents.document("EventList", {"items": view.events})
