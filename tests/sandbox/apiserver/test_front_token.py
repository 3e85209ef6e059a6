"""The sandbox's door on loopback: only who brings its token is served."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from pyflagger.clock import SystemClock
from pyflagger_sandbox.apiserver import ApiServer, HttpFront


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer sandbox"}, 401),
        ({"Authorization": "Basic cGxhbnRlZA=="}, 401),
        ({"Authorization": "Bearer planted"}, 201),
    ],
)
async def test_the_token(headers: dict[str, str], status: int) -> None:
    """A page in a browser may send a simple POST to loopback; without the token it creates nothing."""
    server = ApiServer(SystemClock())
    body = '{"metadata":{"name":"made"}}'
    async with HttpFront(server, token="planted") as front, aiohttp.ClientSession() as session:
        path = f"{front.base}/api/v1/namespaces"
        async with session.post(path, data=body, headers=headers) as answer:
            assert answer.status == status
            assert (await answer.json())["kind"] == ("Namespace" if status == 201 else "Status")
        async with session.get(f"{path}/made", headers={"Authorization": "Bearer planted"}) as answer:
            assert (answer.status == 200) == (status == 201)
        async with session.get(f"{front.url}/api/v1/namespaces/default") as answer:
            assert answer.status == 200
        async with session.get(f"{front.base}/plante/api/v1/namespaces/default") as answer:
            assert answer.status == 401


async def test_a_watcher_that_leaves_at_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Before the first byte of the answer: that is no error, and no word in the log."""

    async def gone(self: web.StreamResponse, request: web.BaseRequest) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    async with HttpFront(ApiServer(SystemClock())) as front, aiohttp.ClientSession() as session:
        monkeypatch.setattr(web.StreamResponse, "prepare", gone)
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{front.url}/api/v1/namespaces?watch=1")
    assert not caplog.records
