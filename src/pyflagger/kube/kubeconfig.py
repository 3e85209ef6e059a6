"""Reads a kubeconfig in a child process, because the library that parses it takes 70 MiB of memory.

Called by `kube.http`. The child process is `python -m pyflagger.kube.kubeconfig FILE`. It uses kubernetes_asyncio,
runs auth plug-ins as its own children, and prints an Access as JSON. It makes no API request itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pyflagger.clock import Clock
from pyflagger.kube.protocol import TransportError

READ_SECONDS_MAX = 60.0
"""Seconds. An auth plug-in may contact an identity provider."""

RENEWED_SECONDS_MIN = 60.0
"""Seconds between rereads of the file, and runs of its plug-in, while the server refuses the user."""


class NoCluster(RuntimeError):
    """No API server is configured. The text says what was tried."""


@dataclass(frozen=True, slots=True)
class Access:
    """An API server's address and the user's credentials. Texts, PEM included, are empty when they are not set.

    `server_name` is the name that its certificate must have, if not that of the URL. `proxy` is the URL of an HTTP
    proxy.
    """

    url: str
    verify: bool
    authority: str
    certificate: str
    key: str
    authorization: str
    server_name: str = ""
    proxy: str = ""


Read: TypeAlias = Callable[[str], Awaitable[Access]]


async def access(path: str) -> Access:
    """The access that the kubeconfig's current context describes. Raises NoCluster."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pyflagger.kube.kubeconfig", path, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            out, errors = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        raise NoCluster(f"kubeconfig {path}: reading it took more than {READ_SECONDS_MAX:g} s") from None
    if child.returncode:
        raise NoCluster(
            f"kubeconfig {path}: {(errors.decode(errors='replace').strip() or 'unreadable').splitlines()[-1]}"
        )
    return Access(**json.loads(out))


class Login:
    """The Authorization header of a kubeconfig's user. After a refusal it rereads the file."""

    def __init__(self, path: str, found: Access, clock: Clock, read: Read = access) -> None:
        self._path, self._found, self._clock, self._read = path, found, clock, read
        self._read_at, self._refused, self._lock = clock.monotonic(), False, asyncio.Lock()

    def refused(self) -> None:
        """Note that the API server refused the user: tokens from plug-ins expire within minutes."""
        self._refused = True

    async def headers(self) -> Mapping[str, str]:
        """The headers for one call. Raises TransportError when the file can no longer be used."""
        async with self._lock:
            if self._refused and self._clock.monotonic() - self._read_at >= RENEWED_SECONDS_MIN:
                self._read_at = self._clock.monotonic()
                await self._renew()
        return {"Authorization": self._found.authorization} if self._found.authorization else {}

    async def _renew(self) -> None:
        try:
            self._found, self._refused = await self._read(self._path), False
        except NoCluster as error:
            raise TransportError(str(error)) from error


# The program ----------------------------------------------------------------------------------------------------------


async def _read(path: str) -> Access:
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import load_kube_config

    found: Any = Configuration()
    await load_kube_config(config_file=path, client_configuration=found)
    return Access(
        url=found.host.rstrip("/"),
        verify=bool(found.verify_ssl),
        authority=_text(found.ssl_ca_cert),
        certificate=_text(found.cert_file),
        key=_text(found.key_file),
        authorization=found.api_key.get("BearerToken", ""),
        server_name=found.tls_server_name or "",
        proxy=found.proxy or "",
    )


def _text(path: str | None) -> str:
    return Path(path).read_text() if path else ""


def main(argv: Sequence[str]) -> int:
    """Print the Access as JSON. Exit status 1: the file cannot be read, and the last line of stderr says why."""
    try:
        found = asyncio.run(_read(argv[0]))
    except Exception as error:  # Plug-ins raise exceptions of any type.
        sys.stderr.write(str(error).replace("\n", " ") or type(error).__name__)
        return 1
    sys.stdout.write(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
