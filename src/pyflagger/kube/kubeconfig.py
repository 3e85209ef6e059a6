"""What a kubeconfig says: read by kubernetes_asyncio in a process of its own, whose 70 MiB are not the operator's.

Called by `kube.http`. As a program, `python -m pyflagger.kube.kubeconfig FILE`, it prints an Access as JSON; auth
plug-ins run as its children. Never sees a request.
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
"""An auth plug-in may ask somebody."""

RENEWED_SECONDS_MIN = 60.0
"""A user who is refused has the file, and with it the plug-in, asked again at most so often."""


class NoCluster(RuntimeError):
    """There is no way to an API server; the text says what was tried."""


@dataclass(frozen=True, slots=True)
class Access:
    """An API server, the way to it, and who one is there. Texts (PEM among them) are empty where there are none.

    `server_name` is the name its certificate must have, if not that of the URL; `proxy` the URL of an HTTP proxy.
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
    """What the kubeconfig's current context says. Raises NoCluster."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pyflagger.kube.kubeconfig", path, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            out, told = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        raise NoCluster(f"kubeconfig {path}: nothing after {READ_SECONDS_MAX:g} s") from None
    if child.returncode:
        raise NoCluster(
            f"kubeconfig {path}: {(told.decode(errors='replace').strip() or 'unreadable').splitlines()[-1]}"
        )
    return Access(**json.loads(out))


class Login:
    """The Authorization header of a kubeconfig's user; after a refusal the file is read anew for it."""

    def __init__(self, path: str, found: Access, clock: Clock, read: Read = access) -> None:
        self._path, self._found, self._clock, self._read = path, found, clock, read
        self._read_at, self._refused, self._lock = clock.monotonic(), False, asyncio.Lock()

    def refused(self) -> None:
        """The API server does not know the user (any more): tokens of plug-ins live for minutes."""
        self._refused = True

    async def headers(self) -> Mapping[str, str]:
        """For one call. Raises TransportError when the file is of no use any more."""
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
    """Print it; 1 when it cannot be read, and the last line on stderr says why."""
    try:
        found = asyncio.run(_read(argv[0]))
    except Exception as error:  # A plug-in may raise anything.
        sys.stderr.write(str(error).replace("\n", " ") or type(error).__name__)
        return 1
    sys.stdout.write(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
