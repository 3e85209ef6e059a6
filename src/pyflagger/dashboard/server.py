"""The HTTP server of the dashboard: routes, their handlers, and what every answer has in common."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.dashboard.acting import Acting
from pyflagger.dashboard.bell import Bell
from pyflagger.dashboard.chosen import chosen_of, shown
from pyflagger.dashboard.guard import protected
from pyflagger.dashboard.objects import found_object
from pyflagger.dashboard.openapi import description
from pyflagger.dashboard.pages import (
    FleetRegions,
    Regions,
    canary_page,
    canary_regions,
    compare_page,
    fleet_page,
    release_page,
)
from pyflagger.dashboard.problems import Refused, document, refused, title
from pyflagger.dashboard.rendering import TYPES, asset, rendered
from pyflagger.dashboard.selectors import selector
from pyflagger.dashboard.streams import STREAMS_MAX, messages, stream, while_true
from pyflagger.dashboard.visit import VISIT, Door, visit_of
from pyflagger.dashboard.watching import Opened, Sight, missing
from pyflagger.kube.client import ApiError
from pyflagger.kube.errors import NotFound
from pyflagger.objects import Key
from pyflagger.seeing import documents
from pyflagger.seeing.model import CanaryView, RecordView

ANSWER_SECONDS = 20.0
"""The longest that a page waits for the API server."""

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""A name of Kubernetes. Others would lead to other paths of the API server."""

TOO_LARGE_STATUS, BODY_MAX = 413, 64 * 1024
TOO_LARGE = f"the body is larger than {BODY_MAX} bytes"
ELSEWHERE = ("cross-site", "same-site")
YEAR = "public, max-age=31536000, immutable"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The handlers. `door` says whose request it is, and what that user sees and may do."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door, self._clock = door, clock
        self._streams = 0
        self._acting = Acting(clock, self._opened) if door.acting else None

    def application(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._answered], client_max_size=BODY_MAX)
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
                web.get("/api/v1/openapi.json", self._description),
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
        app.add_routes(self._door.routes())
        if self._acting:
            app.add_routes(self._acting.routes())
        return app

    # What every answer has in common ------------------------------------------------------------------------------

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check the request and answer it. An error is a page, or a problem document below /api/."""
        try:
            answer = await self._handled(request, handler)
        except Refused as error:
            answer = self._problem(request, error)
            if error.status == 401 and self._door.site.login:
                answer.headers["WWW-Authenticate"] = "Bearer"
        if not answer.prepared:
            protected(answer)
        return answer

    async def _handled(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._door.admit(request)
            if isinstance(found, web.StreamResponse):
                return found
            if found is not None:
                request[VISIT] = found
            return await handler(request)
        except ApiError as error:
            raise refused(error) from error
        except TimeoutError as error:
            text = f"the API server did not answer in {ANSWER_SECONDS:.0f} s"
            raise Refused(503, Problem(Fault.CLUSTER, text, "Check that it is reachable, then reload.")) from error
        except web.HTTPException as error:
            if error.status < 400:
                raise
            text = TOO_LARGE if error.status == TOO_LARGE_STATUS else "this address leads nowhere"
            raise Refused(error.status, Problem(Fault.MANIFEST, text, "Go to the fleet.")) from error

    def _problem(self, request: web.Request, error: Refused) -> web.Response:
        """The answer to an error.

        A browser that follows a link of another site sends no cookie with SameSite=Strict. The page without a session
        therefore loads itself once more, this time from here.
        """
        visit = request.get(VISIT)
        site = visit.site if visit else self._door.site
        if request.path.startswith("/api/"):
            kind = "application/problem+json"
            return web.Response(status=error.status, body=orjson.dumps(document(error)), content_type=kind)
        again = bool(site.login) and error.status == 401 and request.headers.get("Sec-Fetch-Site") in ELSEWHERE
        shown = {"problem": document(error), "title": title(error.status), "path": request.path_qs, "again": again}
        page = rendered("problem.html", site=site, stream="", **shown)
        return web.Response(status=error.status, text=page, content_type="text/html")

    # Pages ----------------------------------------------------------------------------------------------------------

    async def _fleet_page(self, request: web.Request) -> web.Response:
        visit = visit_of(request)
        return _page(fleet_page(visit.site, visit.fleet, chosen_of(request.query)))

    async def _canary_page(self, request: web.Request) -> web.Response:
        opened = await self._opened(request)
        assert opened.sight is not None
        return _page(canary_page(visit_of(request).site, opened, opened.sight))

    async def _release_page(self, request: web.Request) -> web.Response:
        opened = await self._opened(request)
        assert opened.sight is not None
        record = _chosen(opened.sight, request.match_info["number"])
        return _page(release_page(visit_of(request).site, opened, opened.sight, record))

    async def _compare_page(self, request: web.Request) -> web.Response:
        """Two releases. The smaller number comes first."""
        opened = await self._opened(request)
        assert opened.sight is not None
        both = [_chosen(opened.sight, request.query.get(name, "")) for name in ("from", "to")]
        old, new = sorted(both, key=lambda each: each.release.number)
        return _page(compare_page(visit_of(request).site, opened, opened.sight, old, new))

    async def _object(self, request: web.Request) -> web.Response:
        """An object of the canary as YAML."""
        opened, names = await self._opened(request), request.match_info
        assert opened.sight is not None
        found = found_object(opened.sight, names["kind"], names["object"])
        if found is None:
            text = f"the canary has no {names['kind']} {names['object']} that you may see"
            raise Refused(404, Problem(Fault.MANIFEST, text, "Go back to the canary."))
        row = opened.sight.view.canary
        return _page(rendered("object.html", site=visit_of(request).site, stream="", row=row, object=found))

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
        if not all(map(NAME.fullmatch, key)):
            raise NotFound(missing(key))
        async with asyncio.timeout(ANSWER_SECONDS):
            return await visit_of(request).open(key)

    # Documents ------------------------------------------------------------------------------------------------------

    async def _whoami(self, request: web.Request) -> web.Response:
        visit = visit_of(request)
        told = {**visit.who._asdict(), "mode": visit.mode, "context": visit.site.context}
        return _json(documents.document("Who", {**told, "token": visit.token if visit.client else None}))

    async def _description(self, _: web.Request) -> web.Response:
        return _json(description())

    async def _canaries_document(self, request: web.Request) -> web.Response:
        """The canaries that the filters choose: all, or `limit` of them from `continue` on."""
        limit, start = (_count(request.query, name) for name in ("limit", "continue"))
        rows = visit_of(request).fleet.rows
        matches = selector(request.query.get("selector", ""))
        rows = [each for each in rows if matches(each.labels)]
        found = shown(rows, chosen_of(request.query), most=len(rows) or 1).rows
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
        fleet = visit_of(request).fleet
        return await self._stream(request, FleetRegions(fleet, chosen_of(request.query)), fleet.bell)

    async def _canary_stream(self, request: web.Request) -> web.StreamResponse:
        opened = await self._opened(request)
        opened.viewers += 1
        try:
            return await self._stream(request, partial(canary_regions, visit_of(request).site, opened), opened.bell)
        finally:
            opened.viewers -= 1
            opened.used = self._clock.monotonic()

    async def _stream(self, request: web.Request, regions: Callable[[], Regions], bell: Bell) -> web.StreamResponse:
        """Send what changes, as long as the user may go on."""
        visit = visit_of(request)
        with self._counted(), visit.watching():
            return await stream(request, while_true(visit.lives, messages(regions, bell, self._clock)))

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
