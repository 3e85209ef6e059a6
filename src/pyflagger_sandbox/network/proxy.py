"""A forward proxy on loopback: commands in pods reach cluster names through it.

`curl http://podinfo-canary/` works in a pod of namespace `test` because its `http_proxy` is this proxy, with the
namespace as user name. `pyflagger_sandbox.cluster` starts it. It resolves names through `Names`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from aiohttp import web
from yarl import URL

from pyflagger_sandbox.network.names import Names, NoSuchService
from pyflagger_sandbox.network.relay import Relay

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class ForwardProxy:
    """An HTTP proxy for plain requests in absolute form."""

    def __init__(self, names: Names) -> None:
        self._names, self._relay = names, Relay()
        self._runner: web.ServerRunner | None = None
        self.port = 0

    async def start(self, host: str = "127.0.0.1") -> None:
        """Listen on a free port."""
        self._relay.start()
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection."""
        if self._runner:
            await self._runner.cleanup()
        await self._relay.stop()

    def url(self, namespace: str, pod: str = "") -> str:
        """The value of `http_proxy` for a pod of this namespace. `pod` is the address that `localhost` resolves to."""
        return f"http://{namespace}{f':{pod}' if pod else ''}@127.0.0.1:{self.port}"

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = URL(request.raw_path, encoded=True)
        if not target.absolute or target.host is None or target.port is None:
            return web.Response(status=400, text="this is a forward proxy: absolute http:// addresses only\n")
        namespace, pod = _said(request.headers)
        if pod and target.host in LOCAL:
            return await self._relay.send(request, target.with_host(pod))
        try:
            address = self._names.resolve(target.host, target.port, namespace)
        except NoSuchService as error:
            return web.Response(status=503, text=f"{error}\n")
        if address is not None:
            target = target.with_host(address.host).with_port(address.port)
        return await self._relay.send(request, target)


def _said(headers: Mapping[str, str]) -> tuple[str, str]:
    """The namespace and pod address from the proxy credentials; empty if missing."""
    scheme, _, text = headers.get("Proxy-Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        namespace, _, pod = base64.b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return namespace, pod
