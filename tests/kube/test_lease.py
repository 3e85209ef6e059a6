"""Who leads: one at a time, whatever stops, dies, lags or loses its way to the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client, NotLeader
from pyflagger.kube.lease import NAME, Elector, Timing
from pyflagger.kube.resources import LEASES
from pyflagger_sandbox.apiserver.faults import Broken, modified, server_error, writes
from pyflagger_sandbox.apiserver.messages import Request
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess

pytestmark = pytest.mark.looptime

TIMING = Timing()
LATEST = TIMING.lease + 2 * TIMING.retry


class Sleeper(LoopClock):
    """A clock whose owner can be stopped, as by SIGSTOP: what sleeps then wakes when it is continued."""

    stopped: asyncio.Event | None = None

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if self.stopped is not None:
            await self.stopped.wait()


class Place:
    """A server and its candidates."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.server = ApiServer(self.clock)
        self.client = Client(InProcess(self.server, "spectator"), self.clock)
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """With a namespace."""
        await self.client.call("POST", "/api/v1/namespaces", {"metadata": {"name": "flagger-system"}})

    def candidate(self, name: str, clock: LoopClock | None = None) -> Elector:
        """One candidate."""
        clock = clock or LoopClock(seed=sum(name.encode()))
        return Elector(Client(InProcess(self.server, name), clock), clock, "flagger-system", name, TIMING)

    def run(self, elector: Elector) -> asyncio.Task[None]:
        """Acquire and hold, as `operator.run` does."""

        async def lead() -> None:
            await elector.acquire()
            await elector.hold()

        task = asyncio.create_task(lead())
        self.tasks.append(task)
        return task

    async def lease(self) -> Any:
        """Its spec."""
        return (await self.client.get(LEASES, "flagger-system", NAME))["spec"]

    async def until(self, elector: Elector, seconds: float = LATEST + 1) -> float:
        """Wait until somebody leads; after how long."""
        began = self.clock.now()
        while not elector.leading:
            assert self.clock.now() - began < seconds
            await self.clock.sleep(0.1)
        return self.clock.now() - began

    async def followed(self, a: Elector, b: Elector) -> asyncio.Task[None]:
        """The first leads, the second has waited for half a minute; the first one's task."""
        task = self.run(a)
        await self.until(a)
        self.run(b)
        await self.clock.sleep(30)
        return task

    async def end(self) -> None:
        """Stop everybody."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def of(name: str, only: Any = None) -> Any:
    """Matches requests of one candidate."""
    return lambda request: request.agent == name and (only is None or only(request))


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A place that ends after the test."""
    place = Place()
    yield place
    await place.end()


async def test_the_first_one_leads(place: Place) -> None:
    """And says so as client-go would."""
    await place.begin()
    a = place.candidate("a")
    assert not a.leading
    place.run(a)
    await place.until(a, 1)
    a.fence()
    spec = await place.lease()
    assert spec["holderIdentity"] == "a" and spec["leaseDurationSeconds"] == 60 and spec["leaseTransitions"] == 0
    assert spec["acquireTime"] == spec["renewTime"]
    await place.clock.sleep(100)
    later = await place.lease()
    assert a.leading and later["renewTime"] > spec["renewTime"] and later["acquireTime"] == spec["acquireTime"]
    assert later["leaseTransitions"] == 0


async def test_the_second_one_waits(place: Place) -> None:
    """For as long as the first renews; it is told who that is."""
    await place.begin()
    a, b = place.candidate("a"), place.candidate("b")
    place.run(a)
    await place.until(a)
    seen: list[str] = []
    place.tasks.append(asyncio.create_task(b.acquire(seen.append)))
    await place.clock.sleep(3600)
    assert not b.leading and set(seen) == {"a holds it"}
    with pytest.raises(NotLeader):
        b.fence()


async def test_a_candidate_says_why_it_cannot_ask(place: Place) -> None:
    """A namespace that is not there, or a right that is missing."""
    seen: list[str] = []
    place.tasks.append(asyncio.create_task(place.candidate("a").acquire(seen.append)))
    await place.clock.sleep(60)
    assert seen and all("flagger-system" in why for why in seen)


async def test_a_dead_leader_is_followed_by_another(place: Place) -> None:
    """After its lease, and not before."""
    await place.begin()
    a, b = place.candidate("a"), place.candidate("b")
    task = await place.followed(a, b)
    task.cancel()
    assert TIMING.lease - TIMING.retry <= await place.until(b) <= LATEST
    spec = await place.lease()
    assert spec["holderIdentity"] == "b" and spec["leaseTransitions"] == 1


async def test_a_leader_that_goes_in_good_order_is_followed_at_once(place: Place) -> None:
    """It gives the lease back."""
    await place.begin()
    a, b = place.candidate("a"), place.candidate("b")
    task = await place.followed(a, b)
    task.cancel()
    await a.release()
    assert not a.leading
    assert await place.until(b) <= 2 * TIMING.retry
    await a.release()
    assert (await place.lease())["holderIdentity"] == "b", "who does not lead gives nothing back"


async def test_a_stopped_and_continued_leader_does_not_write(place: Place) -> None:
    """By its own clock it may have lost the lease: the fence is down before it has asked anybody."""
    await place.begin()
    clock = Sleeper()
    a, b = place.candidate("a", clock), place.candidate("b")
    task = await place.followed(a, b)
    clock.stopped = asyncio.Event()
    await place.until(b)
    assert not a.leading
    with pytest.raises(NotLeader):
        a.fence()
    stopped, clock.stopped = clock.stopped, None
    stopped.set()
    await asyncio.wait_for(task, 20)
    assert not a.leading and b.leading
    assert (await place.lease())["holderIdentity"] == "b"


async def test_never_two(place: Place) -> None:
    """Three candidates, all but one of them cut off every now and then, each in its turn the one that is not."""
    await place.begin()
    names = ("a", "b", "c")
    electors = {name: place.candidate(name) for name in names}

    async def again(name: str) -> None:
        while True:
            await electors[name].acquire()
            await electors[name].hold()

    place.tasks += [asyncio.create_task(again(name)) for name in names]
    led: set[str] = set()
    for minute in range(6 * 60):
        leaders = [name for name in names if electors[name].leading]
        assert len(leaders) <= 1, leaders
        led.update(leaders)
        if minute % 45 == 44:
            left = names[minute // 45 % len(names)]
            for name in set(names) - {left}:
                place.server.faults.fail(lambda r: Broken("cut"), of(name), times=100)
        await place.clock.sleep(60)
    assert led == set(names)


async def test_a_short_outage_is_survived(place: Place) -> None:
    """Two renewals that fail are no reason to stop."""
    await place.begin()
    a = place.candidate("a")
    task = place.run(a)
    await place.until(a)
    place.server.faults.fail(lambda r: server_error(), of("a", writes), times=2)
    for _ in range(300):
        await place.clock.sleep(0.1)
        assert a.leading
    assert not task.done()


async def test_a_long_outage_is_not(place: Place) -> None:
    """Who cannot renew stops before anybody else may begin."""
    await place.begin()
    a = place.candidate("a")
    task = place.run(a)
    await place.until(a)
    place.server.faults.fail(lambda r: Broken("away"), of("a"), times=10_000)
    began = place.clock.now()
    await asyncio.wait_for(task, 60)
    assert place.clock.now() - began <= TIMING.lease / 2
    assert not a.leading


async def test_a_renewal_that_somebody_overtook_ends_the_lead(place: Place) -> None:
    """A conflict means that another one wrote the Lease."""
    await place.begin()
    a = place.candidate("a")
    task = place.run(a)
    await place.until(a)
    place.server.faults.fail(modified, of("a", writes), times=1)
    await asyncio.wait_for(task, 20)
    assert not a.leading


async def test_two_at_the_same_moment(place: Place) -> None:
    """One of them creates the Lease, the other one finds it."""
    await place.begin()
    electors = [place.candidate(name) for name in "abcde"]
    for elector in electors:
        place.run(elector)
    await place.clock.sleep(20)
    assert sum(elector.leading for elector in electors) == 1


async def test_clocks_need_not_agree(place: Place) -> None:
    """The age of a lease is measured by the one who waits, not read from its time stamps."""
    await place.begin()
    ahead = LoopClock(start=1_900_000_000.0)
    a, b = place.candidate("a"), place.candidate("b", ahead)
    place.run(a)
    await place.until(a)
    place.run(b)
    await place.clock.sleep(600)
    assert a.leading and not b.leading


async def test_a_lease_of_another_make(place: Place) -> None:
    """One that the reference wrote, with fields of its own, is taken over once it has run out; the fields stay."""
    await place.begin()
    foreign = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "namespace": "flagger-system"},
        "spec": {"holderIdentity": "old", "leaseDurationSeconds": 15, "leaseTransitions": 7, "strategy": "x"},
    }
    await place.client.create(foreign)
    a = place.candidate("a")
    place.run(a)
    assert 15 <= await place.until(a) <= 30
    spec = await place.lease()
    assert spec["leaseTransitions"] == 8 and spec["holderIdentity"] == "a"


@pytest.mark.parametrize("spec", [{}, {"holderIdentity": None}, {"holderIdentity": "", "renewTime": None}])
async def test_a_lease_that_nobody_holds(place: Place, spec: dict[str, Any]) -> None:
    """It is taken at once."""
    await place.begin()
    meta = {"name": NAME, "namespace": "flagger-system"}
    await place.client.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec})
    a = place.candidate("a")
    place.run(a)
    assert await place.until(a) <= 1


async def test_without_the_right_to_leases_nobody_leads(place: Place) -> None:
    """And nobody crashes."""
    await place.begin()

    def denied(request: Request) -> Exception:
        from pyflagger.admission.errors import ApiError

        return ApiError(403, "Forbidden", "leases is forbidden", {})

    place.server.faults.fail(denied, of("a"), times=10_000)
    a = place.candidate("a")
    task = place.run(a)
    await place.clock.sleep(600)
    assert not a.leading and not task.done()
