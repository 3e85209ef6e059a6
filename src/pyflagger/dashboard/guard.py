"""Who may ask: the Host, the session and the origin of each request, and the headers of each answer.

The dashboard acts with the user's own rights on the cluster, so every other program and page on the machine is kept
out. A page of another site cannot read it (Origin, Sec-Fetch-Site, CORP). A name that was pointed at 127.0.0.1 after
its page was loaded (DNS rebinding) is not one of its hosts.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

from aiohttp import web

from pyflagger.api.facts import Fault, Problem
from pyflagger.dashboard.problems import Refused

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "flagger",
}
"""The headers of every answer. A handler may set a header itself, such as how long a static file may be kept."""

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD")
WRITING = "POST"
OWN = ("", "same-origin", "none")
"""Values of Sec-Fetch-Site that other sites cannot cause. Old browsers and scripts send none."""


class Guard:
    """The session of one person on this machine. `key` is printed with the address, and becomes a cookie.

    `token` is in every form: a page of another site cannot read it. `acting`: whether anything but reading is allowed.
    """

    def __init__(self, *, acting: bool) -> None:
        self.key, self.token, self._session = (secrets.token_urlsafe(32) for _ in range(3))
        self._acting = acting

    def admit(self, request: web.Request) -> web.Response | None:
        """Let a request pass, or answer it where a key becomes the cookie. Raises Refused."""
        port = _port(request)
        _check_host(request.headers.getall("Host", []), port)
        if request.method not in READING and not (self._acting and request.method == WRITING):
            text = f"the dashboard answers no {request.method}: it only reads"
            raise Refused(405, Problem(Fault.MANIFEST, text, "Use the command line to change something."))
        _check_origin(request, port)
        given = request.query.get("key")
        if given is not None and same(given, self.key):
            return self._begun(request, port)
        if not same(request.cookies.get(cookie(port), ""), self._session):
            todo = "Open the address that `flagger dashboard` printed. It holds the key."
            raise Refused(401, Problem(Fault.MANIFEST, "this browser has no session here", todo))
        return None

    def _begun(self, request: web.Request, port: int) -> web.Response:
        """The same page without the key, with the cookie."""
        rest = request.rel_url.without_query_params("key")
        found = web.Response(status=303, headers={"Location": f"/{str(rest).lstrip('/')}"})
        found.set_cookie(cookie(port), self._session, httponly=True, samesite="Strict", path="/")
        return found


def cookie(port: int) -> str:
    """The name of the cookie. Browsers share cookies among all ports of a host."""
    return f"flagger-{port}"


def protected(answer: web.StreamResponse) -> None:
    """Add the headers of every answer."""
    for name, value in HEADERS.items():
        if name not in answer.headers or name == "Server":
            answer.headers[name] = value


def _port(request: web.Request) -> int:
    """The port that the request came in on."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return int(name[1]) if name else 0


def _check_host(hosts: list[str], port: int) -> None:
    allowed = {f"{name}:{port}" for name in LOOPBACK} | (set(LOOPBACK) if port == 80 else set())
    if len(hosts) != 1 or hosts[0].lower() not in allowed:
        todo = f"Use http://127.0.0.1:{port}/."
        raise Refused(421, Problem(Fault.MANIFEST, "the dashboard does not answer to this host name", todo))


def _check_origin(request: web.Request, port: int) -> None:
    origins = {f"http://{name}:{port}" for name in LOOPBACK}
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "")
    if request.method == WRITING and origin not in origins and site != "same-origin":
        todo = "Send the Origin of the dashboard with it."
        raise Refused(403, Problem(Fault.MANIFEST, "a request that changes something says no origin", todo))
    if origin == "null" and site == "same-origin":
        origin = None  # What a form of ours sends: no page says where it comes from (Referrer-Policy).
    followed = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method == "GET"
    if (origin is not None and origin not in origins) or (site not in OWN and not followed):
        todo = "Open the dashboard in a tab of its own."
        raise Refused(403, Problem(Fault.MANIFEST, "a page of another site asked for this", todo))


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
