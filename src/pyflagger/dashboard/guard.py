"""The checks of every request: Host, method and Origin; and the headers of each answer.

The dashboard acts with the rights of its user, so every other program and page is kept out. A page of another site
cannot read it (Origin, Sec-Fetch-Site, CORP). A name that was pointed at its address after its page was loaded (DNS
rebinding) is not one of its hosts.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web
from yarl import URL

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


class Place(NamedTuple):
    """Where a dashboard is: its address, and the values of Host and Origin that are its own."""

    url: str
    hosts: frozenset[str]
    origins: frozenset[str]


def loopback(port: int) -> Place:
    """A port of this machine."""
    hosts = {f"{name}:{port}" for name in LOOPBACK}
    origins = frozenset(f"http://{host}" for host in hosts)
    return Place(f"http://127.0.0.1:{port}/", frozenset(hosts | (set(LOOPBACK) if port == 80 else set())), origins)


def public(text: str) -> Place:
    """The place that --public-url names. Raises ValueError with what is wrong with it."""
    url = URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{text} is no URL such as https://flagger.example.com")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise ValueError(f"{text} would send credentials in the clear: use https")
    if url.path not in ("", "/") or url.query_string or url.fragment or url.user or url.password:
        raise ValueError(f"{text} has more than a scheme, a host and a port")
    origin = str(url.origin())
    host = origin.partition("://")[2]
    ported = {f"{host}:{url.port}"} if url.is_default_port() else set[str]()
    return Place(f"{origin}/", frozenset({host, *ported}), frozenset({origin}))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_request(request: web.Request, place: Place, *, acting: bool) -> None:
    """Check host, method and origin. `acting`: whether anything but reading is allowed. Raises Refused."""
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1 or hosts[0].lower() not in place.hosts:
        todo = f"Use {place.url}."
        raise Refused(421, Problem(Fault.MANIFEST, "the dashboard does not answer to this host name", todo))
    if request.method not in READING and not (acting and request.method == WRITING):
        text = f"the dashboard answers no {request.method}: it only reads"
        raise Refused(405, Problem(Fault.MANIFEST, text, "Use the command line to change something."))
    _check_origin(request, place.origins)


def _check_origin(request: web.Request, origins: frozenset[str]) -> None:
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "")
    if origin == "null" and site == "same-origin":
        origin = None  # What a form of ours sends: no page says where it comes from (Referrer-Policy).
    followed = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method == "GET"
    if (origin is not None and origin not in origins) or (site not in OWN and not followed):
        todo = "Open the dashboard in a tab of its own."
        raise Refused(403, Problem(Fault.MANIFEST, "a page of another site asked for this", todo))


def check_written(request: web.Request, place: Place) -> None:
    """Check that a page of ours sends a request that changes something. Raises Refused."""
    own = request.headers.get("Origin") in place.origins or request.headers.get("Sec-Fetch-Site") == "same-origin"
    if request.method == WRITING and not own:
        todo = "Send the Origin of the dashboard with it."
        raise Refused(403, Problem(Fault.MANIFEST, "a request that changes something says no origin", todo))


def protected(answer: web.StreamResponse) -> None:
    """Add the headers of every answer."""
    for name, value in HEADERS.items():
        if name not in answer.headers or name == "Server":
            answer.headers[name] = value


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
