"""Where the requests of metric providers go: the network, or the API server."""

from __future__ import annotations

import pytest
from world import World, failure

from pyflagger.kube.protocol import ApiAnswer, TransportError
from pyflagger.wire import HttpAnswer, HttpRequest


@pytest.fixture
def world() -> World:
    """A world that answers everything."""
    return World()


@pytest.mark.looptime
async def test_plain_requests_go_to_the_network(world: World) -> None:
    """They are unchanged, and wait for as long as they say."""
    begun, request = world.clock.monotonic(), HttpRequest("GET", "http://x", after=1.5)
    assert await world.sender.send(request) == HttpAnswer(200, b"ok")
    assert world.asked == [request] and world.clock.monotonic() - begun == 1.5 and not world.called


async def test_requests_of_the_cluster_go_to_the_api_server(world: World) -> None:
    """Path, query and body reach it; every status is an answer; the network is not asked."""
    world.api = ApiAnswer(404, {}, b"no such metric")
    answer = await world.sender.send(HttpRequest("GET", "/apis/x/y?labelSelector=a%3Db", cluster=True, timeout=3.0))
    assert (answer.status, answer.body, world.asked) == (404, b"no such metric", [])
    (call,) = world.called
    assert (call.method, call.path, dict(call.query), call.timeout) == ("GET", "/apis/x/y", {"labelSelector": "a=b"}, 3)


async def test_an_api_server_that_gives_no_answer(world: World) -> None:
    """It is a failed connection. A body over the limit is a failure too."""
    world.api = TransportError("connection refused")
    found = await failure(world, HttpRequest("GET", "/apis/x", cluster=True))
    assert (found.kind, str(found)) == ("connect", "GET /apis/x of the API server: connection refused")
    world.api = ApiAnswer(200, {}, b"x" * 11)
    assert (await failure(world, HttpRequest("GET", "/apis/x", cluster=True, max_bytes=10))).kind == "too-large"


async def test_only_the_leader_writes(world: World) -> None:
    """A provider that creates objects does so as every other write of the operator."""
    world.leads = False
    assert "another operator leads" in str(await failure(world, HttpRequest("POST", "/apis/x", cluster=True)))
    assert world.called == []
    assert (await world.sender.send(HttpRequest("GET", "/apis/x", cluster=True))).status == 200
