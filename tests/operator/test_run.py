"""One process of the operator: its Lease, its exit status, and its readiness.

The Lease and the operator's work use different transports, so that a busy replica keeps its Lease.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

from pyflagger.api.crds import crds
from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client, NotFound
from pyflagger.kube.lease import NAME, Timing
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.kube.resources import LEASES
from pyflagger.operator import run
from pyflagger.operator.options import Options
from pyflagger.operator.run import Operator, identity, lease_namespace, serve
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess
from stage.stage import Script, healthy, path_of

pytestmark = pytest.mark.looptime


class Busy(InProcess):
    """A way on which calls wait behind others for an hour."""

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Carry out a call, late."""
        await asyncio.sleep(3600)
        return await super().call(request)


async def test_a_lease_is_renewed_however_many_calls_wait() -> None:
    """Ten minutes in which nothing else gets through."""
    clock = LoopClock()
    server = ApiServer(clock)
    own = InProcess(server, "lease")
    await Client(own, clock).call("POST", "/api/v1/namespaces", {"metadata": {"name": "test"}})
    options = Options(enable_leader_election=True, leader_election_namespace="test", port=0)
    served = asyncio.ensure_future(serve(options, Busy(server, "flagger"), own, Script(healthy), clock))
    await clock.sleep(600)
    lease = await Client(own, clock).get(LEASES, "test", NAME)
    renewed = datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp()
    assert clock.now() - renewed < Timing().renew and not served.done()
    served.cancel()
    with suppress(asyncio.CancelledError):
        await served


class Process:
    """A replica in a cluster with the namespace `test`, whose Lease is there. Signals reach it by `signals`."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.server = ApiServer(self.clock)
        self.client = Client(InProcess(self.server, "test"), self.clock)
        self.work = Counted(self.server, "flagger")
        self.signals: dict[int, Callable[[], None]] = {}
        self.task: asyncio.Task[int] | None = None

    async def begin(self) -> None:
        """Run it for a moment."""
        options = Options(enable_leader_election=True, leader_election_namespace="test", port=0)
        own = InProcess(self.server, "lease")
        self.task = asyncio.ensure_future(serve(options, self.work, own, Script(healthy), self.clock))
        await self.clock.sleep(10)

    async def ended(self) -> int:
        """The exit status."""
        assert self.task is not None
        return await asyncio.wait_for(self.task, 120)

    async def holder(self) -> str:
        """The identity in the Lease."""
        return str((await self.client.get(LEASES, "test", NAME))["spec"]["holderIdentity"])

    async def take(self) -> None:
        """Another replica has the Lease, and holds it for an hour."""
        spec = {"holderIdentity": "other", "leaseDurationSeconds": 3600, "renewTime": "2024-01-01T00:00:00.000000Z"}
        try:
            lease = await self.client.get(LEASES, "test", NAME)
        except NotFound:
            kind = {"apiVersion": LEASES.api_version, "kind": LEASES.kind}
            await self.client.create({**kind, "metadata": {"name": NAME, "namespace": "test"}, "spec": spec})
        else:
            await self.client.replace({**lease, "spec": spec})


class Counted(InProcess):
    """A transport that counts the calls and watches."""

    used = 0

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Carry out a call."""
        self.used += 1
        return await super().call(request)


@pytest.fixture
async def process(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Process]:
    """A replica that has not begun. Its signal handlers are not those of the process of the tests."""
    made = Process()
    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", made.signals.__setitem__)
    for definition in crds():
        await made.client.call("POST", path_of("CustomResourceDefinition"), definition)
    await made.client.call("POST", "/api/v1/namespaces", {"metadata": {"name": "test"}})
    yield made
    if made.task is not None:
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_is_an_orderly_end(process: Process, number: int) -> None:
    """The exit status is 0, and another replica can take the Lease immediately."""
    await process.begin()
    assert await process.holder() and process.work.used
    process.signals[number]()
    assert await process.ended() == 0
    assert await process.holder() == ""


async def test_a_second_signal_ends_at_once(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one does not."""
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    await process.begin()
    process.signals[signal.SIGTERM]()
    assert ends == []
    process.signals[signal.SIGINT]()
    assert ends == [1]


async def test_a_lost_lease_is_an_error(process: Process) -> None:
    """The exit status is 1, and the Lease stays with the replica that has it."""
    await process.begin()
    await process.take()
    assert await process.ended() == 1
    assert await process.holder() == "other"


async def test_a_replica_that_waits_does_nothing(process: Process) -> None:
    """It makes no call but for the Lease, and a signal ends it with 0."""
    await process.take()
    await process.begin()
    assert process.work.used == 0
    process.signals[signal.SIGTERM]()
    assert await process.ended() == 0
    assert process.work.used == 0 and await process.holder() == "other"


BOTH = {"leader_election_namespace": "lease", "namespace": "watched"}


@pytest.mark.parametrize(
    ("options", "own", "namespace"),
    [
        (BOTH, "pod", "watched"),
        ({"leader_election_namespace": "lease"}, "pod", "lease"),
        ({}, "pod", "pod"),
        ({}, None, "kube-system"),
    ],
)
async def test_the_namespace_of_the_lease(options: dict[str, Any], own: str | None, namespace: str) -> None:
    """As in Flagger, so that both never lead at once. Only flagger's own manifests set the variable."""
    assert lease_namespace(Options(**options), {} if own is None else {"POD_NAMESPACE": own}) == namespace


async def test_why_a_replica_waits_is_logged_once(process: Process) -> None:
    """Each reason."""
    said: list[str] = []
    tell = run._once(said.append)
    for why in ("other holds it", "other holds it", "leases is forbidden"):
        tell(why)
    assert said == ["waiting for the Lease: other holds it", "waiting for the Lease: leases is forbidden"]


async def test_replicas_on_one_host_differ() -> None:
    """Or both would believe that they hold the Lease."""
    clock = LoopClock()
    assert identity(clock) != identity(clock)


async def test_whether_it_acts_is_a_metric(process: Process) -> None:
    """From its start to its end: alerting rules tell from it that no replica acts."""
    operator = Operator(Options(), InProcess(process.server, "flagger"), Script(healthy), process.clock)
    seen = [b"flagger_leader 1.0" in operator.metrics()]
    await operator.start()
    seen.append(b"flagger_leader 1.0" in operator.metrics())
    await operator.stop()
    seen.append(b"flagger_leader 1.0" in operator.metrics())
    assert seen == [False, True, False]


async def test_readiness_needs_the_canaries(process: Process) -> None:
    """A cluster without the Canary's definition is named until it is there; a filled cache has no reason."""
    empty, clock = ApiServer(process.clock), process.clock
    for server, reason in ((empty, "canaries.flagger.app"), (process.server, None)):
        operator = Operator(Options(), InProcess(server, "flagger"), Script(healthy), clock)
        await operator.start()
        await clock.sleep(10)
        said = operator.unready()
        await operator.stop()
        assert said is None if reason is None else said is not None and reason in said
