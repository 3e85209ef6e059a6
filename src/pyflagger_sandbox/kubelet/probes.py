"""Probes: checks a container, and counts results until it is ready, started, or must restart.

The local runtime uses it. It carries out exec probes over HTTP or TCP (`podcli check`, `wget`, `curl`) itself, because
in-process containers have no executables. The container runs all other commands.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from pyflagger.clock import Clock
from pyflagger.objects import Obj

from .images import NoSuchCommand, Process

OUTPUT_MAX = 500


@dataclass(frozen=True, slots=True)
class Place:
    """The location of a container: its address, its named ports, and the real port of each port."""

    address: str
    named: Mapping[str, int]
    process: Process

    def port(self, port: int | str) -> int:
        """The listening port for a number or a name. Raises ValueError."""
        number = self.named.get(port) if isinstance(port, str) and not port.isdigit() else int(port)
        if number is None:
            raise ValueError(f"unknown port {port}")
        return self.process.ports.get(number, number)


@dataclass(frozen=True, slots=True)
class Timing:
    """Periods in seconds, and thresholds as counts. The defaults are those of Kubernetes."""

    initial_delay: float
    period: float
    timeout: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of(cls, probe: Obj) -> Timing:
        """The timing of a probe in a manifest. Zero means the default, as in the API."""
        return cls(
            initial_delay=float(probe.get("initialDelaySeconds") or 0),
            period=float(probe.get("periodSeconds") or 10),
            timeout=float(probe.get("timeoutSeconds") or 1),
            success_threshold=int(probe.get("successThreshold") or 1),
            failure_threshold=int(probe.get("failureThreshold") or 3),
        )


async def check(probe: Obj, place: Place, session: aiohttp.ClientSession) -> str:
    """Check once. Returns an empty string if the check passes, else the reason."""
    seconds = Timing.of(probe).timeout
    try:
        async with asyncio.timeout(seconds):
            return await _check(probe, place, session, seconds)
    except TimeoutError:
        return f"timed out after {seconds:g}s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return str(error)[:OUTPUT_MAX]
    except NoSuchCommand as error:
        return f'exec: "{error}": executable file not found in $PATH'


async def _check(probe: Obj, place: Place, session: aiohttp.ClientSession, seconds: float) -> str:
    if request := probe.get("httpGet"):
        host, port = request.get("host") or place.address, place.port(request["port"])
        headers = {entry["name"]: entry.get("value", "") for entry in request.get("httpHeaders") or ()}
        path = "/" + (request.get("path") or "/").lstrip("/")
        return await _http(session, f"{(request.get('scheme') or 'HTTP').lower()}://{host}:{port}{path}", headers)
    if target := probe.get("tcpSocket"):
        return await _tcp(target.get("host") or place.address, place.port(target["port"]))
    if target := probe.get("grpc"):
        return await _tcp(place.address, place.port(target["port"]))
    return await _exec((probe.get("exec") or {}).get("command") or (), place, session, seconds)


async def _http(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> str:
    async with session.get(url, headers=dict(headers), allow_redirects=False, ssl=False) as answer:
        await answer.content.read(OUTPUT_MAX)
        return "" if 200 <= answer.status < 400 else f"HTTP probe failed with statuscode: {answer.status}"


async def _tcp(host: str, port: int) -> str:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ""


async def _exec(argv: Sequence[str], place: Place, session: aiohttp.ClientSession, seconds: float) -> str:
    kind, url = asked_over_network(argv)
    if kind:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        local = parts.hostname in ("localhost", "127.0.0.1", "0.0.0.0")
        default = 443 if parts.scheme == "https" else 80
        host = place.address if local else parts.hostname or place.address
        port = place.port(parts.port or default) if local else parts.port or default
        if kind == "tcp":
            return await _tcp(host, port)
        query = f"?{parts.query}" if parts.query else ""
        return await _http(session, f"{parts.scheme}://{host}:{port}{parts.path or '/'}{query}", {})
    if not argv:
        return "the probe has no command"
    code, output = await place.process.execute(argv, seconds)
    return "" if code == 0 else f"command exited with {code}: {output[-OUTPUT_MAX:].strip()}"


def asked_over_network(argv: Sequence[str]) -> tuple[str, str]:
    """(`http` or `tcp`, address) of a command that only calls a server; ("", "") for any other command."""
    words = [word for word in argv if not word.startswith("-")]
    match words:
        case ["podcli", "check", "http" | "tcp" as kind, address, *_]:
            return kind, address
        case ["podcli", "check", "grpc", address, *_]:
            return "tcp", address
        case ["wget" | "curl", *rest] if rest:
            return "http", rest[-1]
    return "", ""


async def keep_checking(
    probe: Obj,
    place: Place,
    session: aiohttp.ClientSession,
    clock: Clock,
    verdict: Callable[[bool], None],
    failed: Callable[[str], None],
) -> None:
    """Check at every period until cancelled. Calls `verdict` when a threshold is met, and `failed` for each failure."""
    timing = Timing.of(probe)
    passes = misses = 0
    await clock.sleep(timing.initial_delay)
    while True:
        problem = await check(probe, place, session)
        passes, misses = (0, misses + 1) if problem else (passes + 1, 0)
        if problem:
            failed(problem)
        if misses == timing.failure_threshold:
            verdict(False)
        elif passes == timing.success_threshold:
            verdict(True)
        await clock.sleep(timing.period)
