"""The proxy of a request: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, with the rules of Go programs."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies_environment


class Proxies:
    """Settings by scheme (`http`, `https`) and `no`. By default, they are read once from the environment."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        found = dict(getproxies_environment() if settings is None else settings)
        self._direct = [entry.strip().lower() for entry in found.pop("no", "").split(",") if entry.strip()]
        self._by_scheme = found

    def of(self, url: str) -> str | None:
        """The proxy for a URL. None: connect directly, as always for loopback. Raises ValueError if it is not a URL."""
        parts = urlsplit(url)
        proxy = self._by_scheme.get(parts.scheme)
        if not proxy or self._is_direct((parts.hostname or "").rstrip("."), parts.port):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def _is_direct(self, host: str, port: int | None) -> bool:
        if host == "localhost" or _is_within(host, "127.0.0.0/8") or host == "::1":
            return True
        return any(_matches(entry, host, port) for entry in self._direct)


def _matches(entry: str, host: str, port: int | None) -> bool:
    """Whether an entry matches: `*`, a network, an address, `domain` with subdomains, or `.domain`, with any port."""
    if entry == "*":
        return True
    name, separator, entry_port = entry.rpartition(":")
    if separator and entry_port.isdigit() and ":" not in name:
        if port != int(entry_port):
            return False
        entry = name
    if "/" in entry:
        return _is_within(host, entry)
    suffix = entry.removeprefix("*")
    return host == entry or host.endswith(suffix if suffix.startswith(".") else f".{suffix}")


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
