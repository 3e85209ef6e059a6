"""A network, an API server and a clock, for tests of requests of metric providers."""

from __future__ import annotations

import pytest

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import NotLeader
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.operator.evidence.clouds import Clouds
from pyflagger.operator.evidence.sender import Sender
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest


class World:
    """A network, an API server and a clock. Each answers as the test sets, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[HttpRequest] = []
        self.called: list[ApiRequest] = []
        self.answer: HttpAnswer | HttpFailure = HttpAnswer(200, b"ok")
        self.api: ApiAnswer | Exception = ApiAnswer(200, {"x": "y"}, b"{}")
        self.clock = LoopClock()
        client = Client(self, self.clock, self.fence)  # type: ignore[arg-type]
        self.leads = True
        self.sender = Sender(self, client, self.clock, Clouds(self))

    def fence(self) -> None:
        """Refuse writes of an operator that does not lead."""
        if not self.leads:
            raise NotLeader(Problem(Fault.CLUSTER, "another operator leads"))

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Answer a request to the network."""
        self.asked.append(request)
        if isinstance(self.answer, HttpFailure):
            raise self.answer
        return self.answer

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Answer a call to the API server."""
        self.called.append(request)
        if isinstance(self.api, Exception):
            raise self.api
        return self.api


async def failure(world: World, request: HttpRequest) -> HttpFailure:
    """The failure of a request."""
    with pytest.raises(HttpFailure) as caught:
        await world.sender.send(request)
    return caught.value
