"""The door of a dashboard in a cluster: who each request is from, the login, and the sessions.

A request proves its user by a bearer token, by the cookie of a session that began with one, or by the headers of a
trusted proxy. Nothing but the login, the style and the health check answers without.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from aiohttp import web

from pyflagger import __version__
from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.dashboard.credentials import Proxied, bearer, check_unasked, checked_token, end_of, named
from pyflagger.dashboard.guard import Place, check_request, check_written, same
from pyflagger.dashboard.people import People, Person, expired
from pyflagger.dashboard.problems import Refused
from pyflagger.dashboard.rendering import rendered
from pyflagger.dashboard.sessions import LIFE_SECONDS, Session, Sessions
from pyflagger.dashboard.visit import Site, Visit, visit_of

COOKIE = "__Host-flagger"
HEALTH, LOGIN, LOGOUT = "/healthz", "/login", "/logout"
OPEN = (LOGIN, "/static/{digest}/{file}")
DOCUMENTS = "/api/"
NEXT = re.compile(r"/(?!/)[\w.~/?=&%+,:-]*", re.ASCII)
"""Addresses of ours that a login may lead to: no host, and nothing that browsers read as one."""


class Entrance:
    """The door. `trusted`: headers of proxies name the user, and there is no login. `acting`: there are act pages."""

    def __init__(self, place: Place, people: People, trusted: Proxied | None, clock: Clock, *, acting: bool) -> None:
        self._place, self._people, self._trusted, self._clock = place, people, trusted, clock
        self._sessions = Sessions(clock)
        self.acting = acting
        self.site = Site("", "", __version__, acting, login="" if trusted else LOGIN)

    def routes(self) -> Sequence[web.RouteDef]:
        """The health check, who one is, and the login."""
        found = [web.get(HEALTH, _health), web.get("/whoami", _who)]
        login = [web.get(LOGIN, self._login_page), web.post(LOGIN, self._login), web.post(LOGOUT, self._logout)]
        return found if self._trusted else found + login

    async def admit(self, request: web.Request) -> Visit | web.StreamResponse | None:
        """The visit of a request, None on a path that is open to all. Raises Refused, ApiError."""
        path = _path(request)
        if path == HEALTH:
            return None
        peer = request.remote or ""
        check_unasked(request.headers, self._trusted, peer)
        check_request(request, self._place, acting=self.acting or path in (LOGIN, LOGOUT))
        token = None if self._trusted else bearer(request.headers)
        if token is None or not path.startswith(DOCUMENTS):
            check_written(request, self._place)
        if path in OPEN:
            return None
        if self._trusted:
            return self._visit(await self._people.named(named(request.headers, self._trusted, peer)), "headers")
        if token is not None:
            return self._visit(await self._people.bearer(token), "bearer", formed=False)
        return await self._continued(request)

    # Visits ---------------------------------------------------------------------------------------------------------

    def _visit(self, person: Person, mode: str, *, formed: bool = True) -> Visit:
        """A visit without a session."""
        site = self.site._replace(user=person.who.user or "")
        return Visit(
            who=person.who,
            mode=mode,
            site=site,
            fleet=person.seen,
            open=person.open,
            client=person.client if self.acting else None,
            token=self._people.token(person.key),
            allowance=self._people.allowance(person),
            formed=formed,
            lives=lambda: not person.ended,
            watching=person.watching,
        )

    async def _continued(self, request: web.Request) -> Visit:
        """The visit of a session. Raises Refused."""
        given = request.cookies.get(COOKIE, "")
        session = self._sessions.find(given)
        if session is None:
            raise Refused(401, Problem(Fault.MANIFEST, "you are not logged in here", "Log in, or send a token."))
        person = await self._person(session)
        token = self._people.token(hashlib.sha256(given.encode()).digest())
        visit = self._visit(person, "session")
        return visit._replace(
            site=visit.site._replace(leave=token),
            token=token,
            lives=lambda: not person.ended and self._sessions.lives(session),
            watching=partial(_both, person.watching, session),
        )

    async def _person(self, session: Session) -> Person:
        """The user of a session, which ends if the API server no longer knows the token. Raises Refused."""
        try:
            return await self._people.bearer(session.token)
        except Refused as error:
            if error.status == expired().status:
                self._sessions.end(session)
            raise

    # Login ----------------------------------------------------------------------------------------------------------

    async def _login_page(self, request: web.Request) -> web.Response:
        return self._login_form(_next(request.query.get("next", "")))

    def _login_form(self, following: str, text: str = "", status: int = 200) -> web.Response:
        page = rendered("login.html", site=self.site, stream="", following=following, text=text)
        return web.Response(status=status, text=page, content_type="text/html")

    async def _login(self, request: web.Request) -> web.Response:
        """Begin a session with a token that the API server knows."""
        form = await request.post()
        following = _next(str(form.get("next", "")))
        try:
            token = checked_token(str(form.get("bearer", "")).strip().removeprefix("Bearer "))
            seconds = self._left(token)
            person = await self._people.bearer(token)
        except Refused as error:
            return self._login_form(following, error.problem.text, error.status)
        made = self._sessions.begin(token, person.who.user or "", seconds)
        found = web.Response(status=303, headers={"Location": following})
        found.set_cookie(COOKIE, made, httponly=True, secure=True, samesite="Strict", path="/")
        return found

    def _left(self, token: str) -> float:
        """The seconds that a session may last. Raises Refused if the token has ended."""
        end = end_of(token)
        left = LIFE_SECONDS if end is None else end - self._clock.now()
        if left <= 0:
            raise expired()
        return left

    async def _logout(self, request: web.Request) -> web.Response:
        """End the session."""
        form = await request.post()
        session = self._sessions.find(request.cookies.get(COOKIE, ""))
        if session is None or not same(str(form.get("token", "")), visit_of(request).token):
            raise Refused(403, Problem(Fault.MANIFEST, "the form is not of this session", "Reload the page."))
        self._sessions.end(session)
        found = web.Response(status=303, headers={"Location": LOGIN})
        found.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return found


async def _health(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _who(request: web.Request) -> web.Response:
    """The page that says who one is."""
    visit = visit_of(request)
    page = rendered("who.html", site=visit.site, stream="", who=visit.who, mode=visit.mode)
    return web.Response(text=page, content_type="text/html")


@contextmanager
def _both(watching: Callable[[], AbstractContextManager[None]], session: Session) -> Iterator[None]:
    """A page of a session is open. As long as it is, the session is not idle."""
    session.streams += 1
    try:
        with watching():
            yield
    finally:
        session.streams -= 1


def _path(request: web.Request) -> str:
    """The pattern of the path that answers, empty if none does."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""


def _next(text: str) -> str:
    return text if NEXT.fullmatch(text) and not text.startswith((LOGIN, LOGOUT)) else "/"
