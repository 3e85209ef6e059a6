"""A spectator sees the decisions and the checks of an operator, and overrides only what it needs."""

from __future__ import annotations

import inspect

import pytest

from pyflagger.api.crds import crds
from pyflagger.clock import LoopClock
from pyflagger.core.decision import Decision
from pyflagger.kube.client import Client
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Key
from pyflagger.operator.options import Options
from pyflagger.operator.run import Operator
from pyflagger.operator.spectator import Spectator
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess
from stage.manifests import canary
from stage.stage import Script, healthy, path_of

pytestmark = pytest.mark.looptime

KEY = Key("test", "web")


class Decisions(Spectator):
    """Keeps decisions, and ignores checks."""

    def __init__(self) -> None:
        self.made: list[tuple[Key, Decision]] = []

    def decided(self, key: Key, decision: Decision) -> None:
        """Kept."""
        self.made.append((key, decision))


async def cluster(clock: LoopClock) -> ApiServer:
    """A cluster with a Canary that has no target."""
    made = ApiServer(clock)
    client = Client(InProcess(made, "test"), clock)
    for definition in crds():
        await client.call("POST", path_of("CustomResourceDefinition"), definition)
    await client.call("POST", "/api/v1/namespaces", {"metadata": {"name": "test"}})
    await client.call("POST", CANARIES.path("test"), canary("web"))
    return made


async def status_after(spectator: Spectator | None) -> tuple[object, list[tuple[str, str]]]:
    """The phase and conditions of the Canary after a minute with an operator."""
    clock = LoopClock()
    server = await cluster(clock)
    operator = Operator(Options(), InProcess(server, "flagger"), Script(healthy), clock, spectator=spectator)
    await operator.start()
    await clock.sleep(60)
    await operator.stop()
    status = (await Client(InProcess(server, "test"), clock).get(CANARIES, "test", "web")).get("status") or {}
    return status.get("phase"), [(each["type"], each["reason"]) for each in status.get("conditions") or ()]


async def test_decisions_are_seen() -> None:
    """Each with the canary that it is about, also before anything is released."""
    decisions = Decisions()
    await status_after(decisions)
    assert {key for key, _ in decisions.made} == {KEY}
    assert any(decision.actions for _, decision in decisions.made)


@pytest.mark.parametrize("spectator", [None, Spectator()])
async def test_an_operator_does_the_same_without_one(spectator: Spectator | None) -> None:
    """The spectator changes nothing: with one, with one that ignores everything, and without."""
    phase, conditions = await status_after(spectator)
    assert (phase, conditions) == await status_after(Decisions()) and conditions


def test_every_method_may_stay_as_it_is() -> None:
    """The base class ignores each report: no method has to be overridden, and none answers anything."""
    for name, method in inspect.getmembers(Spectator(), inspect.ismethod):
        wanted = inspect.signature(method).parameters
        assert method(*(None for _ in wanted)) is None, name
