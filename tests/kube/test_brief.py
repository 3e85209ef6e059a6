"""The connection of commands that end soon: TLS, proxies, limits, and who asks, as on the connection that lasts."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kube.test_kubeconfig import _ok, certificate, kubeconfig, served
from pyflagger.clock import SystemClock
from pyflagger.kube.brief import BriefTransport
from pyflagger.kube.protocol import ApiRequest, TransportError
from pyflagger.kube.reach import Endpoint, Person, find, reach

pytestmark = pytest.mark.real


@pytest.mark.parametrize("name, fits", [("api.internal", True), ("api.example", False), ("", False)])
async def test_the_name_in_the_certificate(name: str, fits: bool, tmp_path: Path) -> None:
    """`tls-server-name` replaces that of the URL."""
    certificate(tmp_path, "subjectAltName=DNS:api.internal")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    more = {"tls-server-name": name} if name else {}
    async with served(_ok, tls) as port:
        path = kubeconfig(tmp_path, f"https://127.0.0.1:{port}", {"certificate-authority": "cert.pem", **more})
        transport = BriefTransport(await find(path, "", SystemClock()))
        if fits:
            assert (await transport.call(ApiRequest("GET", "/"))).body == b"{}"
        else:
            with pytest.raises(TransportError, match=r"certificate|doesn't match"):
                await transport.call(ApiRequest("GET", "/"))
        await transport.close()


@pytest.mark.parametrize("cluster, fits", [({"insecure-skip-tls-verify": True}, True), ({}, False)])
async def test_an_unknown_authority(cluster: dict[str, Any], fits: bool, tmp_path: Path) -> None:
    """Refused, unless the kubeconfig says not to look."""
    certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with served(_ok, tls) as port:
        path = kubeconfig(tmp_path, f"https://127.0.0.1:{port}", cluster)
        transport = BriefTransport(await find(path, "", SystemClock()))
        if fits:
            assert (await transport.call(ApiRequest("GET", "/"))).status == 200
        else:
            with pytest.raises(TransportError, match="certificate"):
                await transport.call(ApiRequest("GET", "/"))
        await transport.close()


async def test_a_client_certificate_and_who_asks(tmp_path: Path) -> None:
    """The server sees the certificate, the token, and whom the person acts as."""
    certificate(tmp_path, "subjectAltName=IP:127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "cert.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        seen.append((request.transport.get_extra_info("peercert")["subject"], request.query["a"]))
        heads = request.headers
        seen.append((heads["Authorization"], heads["Impersonate-User"], heads.getall("Impersonate-Group")))
        return web.json_response({})

    async with served(answer, tls) as port:
        user = {"client-certificate": "cert.pem", "client-key": "key.pem", "token": "t"}
        path = kubeconfig(tmp_path, f"https://127.0.0.1:{port}", {"certificate-authority": "cert.pem"}, user)
        endpoint = (await reach(Person(path, impersonated="ann", groups=("a", "b")), SystemClock())).endpoint
        transport = BriefTransport(endpoint)
        assert (await transport.call(ApiRequest("GET", "/x", {"a": "b&c"}))).status == 200
        await transport.close()
    assert seen == [(((("commonName", "me"),),), "b&c"), ("Bearer t", "ann", ["a", "b"])]


async def test_a_proxy(tmp_path: Path) -> None:
    """Calls go there."""
    asked: list[str] = []

    async def pass_on(request: web.Request) -> web.Response:
        asked.append(str(request.url))
        return web.json_response({})

    async with served(pass_on) as port:
        cluster = {"proxy-url": f"http://127.0.0.1:{port}"}
        path = kubeconfig(tmp_path, "http://api.nowhere.invalid:6443", cluster)
        transport = BriefTransport(await find(path, "", SystemClock()))
        assert (await transport.call(ApiRequest("GET", "/version"))).status == 200
        await transport.close()
    assert asked == ["http://api.nowhere.invalid:6443/version"]


async def test_a_server_that_hangs_or_is_away() -> None:
    """The limit ends the wait, and the text is one line. Watches are refused."""

    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with served(hang) as port:
        transport = BriefTransport(Endpoint(f"http://127.0.0.1:{port}"), 0.2)
        with pytest.raises(TransportError, match=r"no answer within 0\.2 s|timed out"):
            await transport.call(ApiRequest("GET", "/"))
    with pytest.raises(TransportError, match="Connection refused"):
        await transport.call(ApiRequest("GET", "/"))
    with pytest.raises(TransportError, match="no watch"):
        transport.stream(ApiRequest("GET", "/"))


async def test_the_auth_provider_oidc_still_works(tmp_path: Path) -> None:
    """Its module is loaded when it is used: the provider is asked for a token, with the refresh token of the file."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path.endswith("openid-configuration"):
            return web.json_response({"token_endpoint": f"http://127.0.0.1:{port}/token"})
        return web.json_response({"id_token": "new", "refresh_token": "r2"})

    async with served(answer) as port:
        config = {"client-id": "c", "client-secret": "s", "id-token": "e30.eyJleHAiOiAxfQ.x", "refresh-token": "r",
                  "idp-issuer-url": f"http://127.0.0.1:{port}"}  # fmt: skip
        path = kubeconfig(tmp_path, user={"auth-provider": {"name": "oidc", "config": config}})
        code = f"import asyncio; from pyflagger.kube.kubeconfig import read; print(asyncio.run(read({path!r})))"
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=-1, stderr=subprocess.STDOUT)
        out, _ = await child.communicate()
    assert asked == ["/.well-known/openid-configuration", "/token"]
    assert "authorization='Bearer new'" in out.decode() and "id-token: new" in (tmp_path / "config").read_text()
