"""How a request in a cluster proves its user: a bearer token, or headers of a proxy that is trusted. Pure.

Headers that name a user prove nothing unless a proxy overwrites them. They are refused loudly where none was named, so
that a wrong setting is found before it is used.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import orjson
from multidict import CIMultiDictProxy

from pyflagger.api.facts import Fault, Problem
from pyflagger.dashboard.problems import Refused

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers: TypeAlias = CIMultiDictProxy[str]

TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
GROUPS_MAX = 200
OWN = "system:"
"""What the names of the users and groups of Kubernetes itself begin with. No proxy may name one of these."""

NAMING = frozenset(
    {
        "x-forwarded-user", "x-forwarded-groups", "x-forwarded-email", "x-forwarded-preferred-username",
        "x-forwarded-access-token", "x-auth-request-user", "x-auth-request-groups", "x-auth-request-email",
        "x-remote-user", "x-remote-group", "remote-user", "remote-groups",
        "impersonate-user", "impersonate-group", "impersonate-uid",
    }
)  # fmt: skip
"""Headers in which proxies name a user."""

BESIDE = frozenset({"x-forwarded-email", "x-forwarded-preferred-username"})
"""Headers that proxies send together with those that name the user. From a trusted proxy they are ignored."""

EXTRA = ("impersonate-extra-", "x-remote-extra-")


class Proxied(NamedTuple):
    """Which headers name the user and its groups (empty: none does), and the proxies that may send them."""

    user: str
    groups: str
    proxies: tuple[Network, ...]

    @property
    def names(self) -> frozenset[str]:
        """The headers in lower case."""
        return frozenset(filter(None, (self.user.lower(), self.groups.lower())))


class Named(NamedTuple):
    """A user that a proxy named."""

    user: str
    groups: tuple[str, ...]


def proxied(headers: str, networks: str) -> Proxied | None:
    """The flags --trust-user-headers and --trusted-proxies; None without both. Raises ValueError."""
    if not headers and not networks:
        return None
    if not headers or not networks:
        raise ValueError("--trust-user-headers and --trusted-proxies need each other")
    user, _, groups = (part.strip() for part in headers.partition(","))
    for name in (user, groups) if groups else (user,):
        if not HEADER_NAME.fullmatch(name) or name.lower() in ("authorization", "cookie", "host", "origin"):
            raise ValueError(f"--trust-user-headers: {name or 'an empty name'} cannot name a user")
    if user.lower() == groups.lower():
        raise ValueError("--trust-user-headers: one header cannot name both the user and its groups")
    return Proxied(user, groups, tuple(_network(each.strip()) for each in networks.split(",")))


def _network(text: str) -> Network:
    try:
        found = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"--trusted-proxies: {error}") from error
    if found.prefixlen == 0:
        raise ValueError(f"--trusted-proxies: {text} would trust every address")
    return found


def check_unasked(headers: Headers, trusted: Proxied | None, peer: str) -> None:
    """Refuse headers that name a user, except those that are trusted, from a proxy that is trusted. Raises Refused."""
    allowed = trusted.names | BESIDE if trusted and is_proxy(peer, trusted) else frozenset[str]()
    for name in {name.lower() for name in headers}:
        naming = name in NAMING or name.startswith(EXTRA) or bool(trusted and name in trusted.names)
        if naming and name not in allowed:
            text = f"the header {name} names a user, and this dashboard does not trust it from {peer or 'there'}"
            todo = "Let the proxy drop it, or start with --trust-user-headers and --trusted-proxies."
            raise Refused(400, Problem(Fault.MANIFEST, text, todo))


def is_proxy(peer: str, trusted: Proxied) -> bool:
    """Whether an address is that of a proxy that is trusted."""
    try:
        found = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return any((mapped or found) in network for network in trusted.proxies)


def named(headers: Headers, trusted: Proxied, peer: str) -> Named:
    """The user that a proxy names. Raises Refused."""
    if "Authorization" in headers:
        text = "the request has a token, but here the headers of a proxy name the user"
        raise Refused(400, Problem(Fault.MANIFEST, text, "Let the proxy drop the header Authorization."))
    users = headers.getall(trusted.user, [])
    if not users or not is_proxy(peer, trusted):
        todo = "Open the dashboard through its proxy."
        raise Refused(401, Problem(Fault.MANIFEST, "no proxy says who you are", todo))
    groups = [each.strip() for line in headers.getall(trusted.groups, []) for each in line.split(",")]
    found = Named(users[0].strip(), tuple(dict.fromkeys(filter(None, groups))))
    _check_named(found, users)
    return found


def _check_named(found: Named, users: Sequence[str]) -> None:
    for each in (found.user, *found.groups):
        if not NAME.fullmatch(each) or each.startswith(OWN):
            text = f"the proxy names {each[:64]!r}, which is no person and no group of persons"
            raise Refused(400, Problem(Fault.MANIFEST, text, "Correct the proxy."))
    if len(users) > 1 or len(found.groups) > GROUPS_MAX:
        text = f"the proxy names several users, or more than {GROUPS_MAX} groups"
        raise Refused(400, Problem(Fault.MANIFEST, text, "Correct the proxy."))


def bearer(headers: Headers) -> str | None:
    """The token of a request; None without one. Raises Refused."""
    given = headers.getall("Authorization", [])
    if not given:
        return None
    kind, _, token = given[0].partition(" ")
    if len(given) > 1 or kind.lower() != "bearer":
        todo = "Send one header: Authorization: Bearer TOKEN."
        raise Refused(400, Problem(Fault.MANIFEST, "the header Authorization has no bearer token", todo))
    return checked_token(token)


def checked_token(text: str) -> str:
    """A token without surrounding space. Raises Refused if it cannot be one."""
    token = text.strip()
    if not TOKEN.fullmatch(token):
        raise Refused(401, Problem(Fault.MANIFEST, "this is no token", "Paste a token, and nothing else."))
    return token


def end_of(token: str) -> float | None:
    """When a JSON web token ends, in seconds since the epoch; None if it does not say. The API server verifies it."""
    return next(_ends(token), None)


def _ends(token: str) -> Iterator[float]:
    parts = token.split(".")
    if len(parts) != 3:
        return
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        said: Any = orjson.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, binascii.Error):
        return
    end = said.get("exp") if isinstance(said, dict) else None
    if isinstance(end, int | float) and not isinstance(end, bool):
        yield float(end)
