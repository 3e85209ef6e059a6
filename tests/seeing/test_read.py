"""How objects are read for a look: page by page, by the server's clock, and never with a write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import Forbidden
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream
from pyflagger.seeing.read import Reader

pytestmark = pytest.mark.looptime
DATE = {"date": "Fri, 15 Jan 2027 08:00:00 GMT"}


class Server:
    """A transport that answers lists and refuses every other verb."""

    def __init__(self, *answers: ApiAnswer) -> None:
        self.answers, self.asked = list(answers), list[ApiRequest]()

    async def call(self, request: ApiRequest) -> ApiAnswer:
        assert request.method == "GET"
        self.asked.append(ApiRequest(request.method, request.path, dict(request.query)))
        return self.answers.pop(0)

    def stream(self, request: ApiRequest) -> Any:
        raise AssertionError(ApiStream)

    async def close(self) -> None:
        return None


def page(*names: str, more: str = "") -> ApiAnswer:
    """A page of a list."""
    found = {"metadata": {"continue": more}, "items": [{"metadata": {"name": name}} for name in names]}
    return ApiAnswer(200, DATE, json.dumps(found).encode())


async def test_a_list_has_all_pages() -> None:
    """The time is that of the server."""
    server = Server(page("a", "b", more="token"), page("c"))
    found = await Reader(Client(server, LoopClock()), LoopClock()).canaries("shop", "team=x")
    assert [each["metadata"]["name"] for each in found.objects] == ["a", "b", "c"]
    assert found.now == 1_800_000_000.0
    paths = {request.path for request in server.asked}
    assert paths == {"/apis/flagger.app/v1beta1/namespaces/shop/canaries"}
    assert [dict(request.query).get("continue") for request in server.asked] == [None, "token"]
    assert {request.query["labelSelector"] for request in server.asked} == {"team=x"}


async def test_a_list_for_the_eye() -> None:
    """The server answers from its memory. It ignores the size of a page then."""
    server, clock = Server(page("a", "b")), LoopClock()
    await Reader(Client(server, clock), clock, exact=False).canaries("shop")
    assert [dict(request.query) for request in server.asked] == [{"resourceVersion": "0"}]


async def test_a_server_without_a_clock() -> None:
    """Then the time is ours."""
    clock = LoopClock()
    found = await Reader(Client(Server(ApiAnswer(200, {}, b"{}")), clock), clock).canaries()
    assert found.objects == () and found.now == clock.now()


async def test_a_refusal_is_the_servers() -> None:
    """Its words, as an exception."""
    body = json.dumps({"message": 'canaries.flagger.app is forbidden: User "ann" cannot list'}).encode()
    with pytest.raises(Forbidden, match='User "ann" cannot list'):
        await Reader(Client(Server(ApiAnswer(403, DATE, body)), LoopClock()), LoopClock()).canaries()
