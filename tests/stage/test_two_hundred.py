"""Two hundred canaries released at once: nothing is read, little is written, nobody is late."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pyflagger.api.defaults import HEARD_SECONDS, SETTLE_SECONDS
from pyflagger.core.decision import Decision
from pyflagger.objects import Key
from pyflagger.operator.spectator import Spectator
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.fleet import IDEAL_SECONDS, NAMESPACE, STEPS, Fleet
from stage.meter import Meter
from stage.stage import MERGE, Stage, healthy, path_of, vector

pytestmark = pytest.mark.looptime

MANY = 200
REQUESTS_A_RELEASE = 27
"""Two of them create and close its record."""

WRITES_A_STEP = 3
LATE_SECONDS = 1.0
TICKS = len(STEPS) + 1
DECISIONS_A_RELEASE = 30
"""Those with which a look ends included: ten of them do something, three ask."""

CPU_MS_GOAL = 5.0
"""On a machine with nothing else to do; what is ten times as much is a fault on any machine."""


def steps_of(writes: list[str]) -> list[int]:
    """How many writes there were from each change of weight to the next one, that one left out."""
    at = [index for index, path in enumerate(writes) if "/ingresses/" in path]
    return [after - before for before, after in pairwise(at)]


@pytest.mark.long
async def test_two_hundred_at_once() -> None:
    """From the first watch to the last promotion the operator reads nothing, and writes what the design allows."""
    meter = Meter()
    stage = Stage(meter=meter)
    await stage.start()
    fleet = Fleet(MANY, stage)
    await fleet.begin()
    before = meter.seconds
    bill = await fleet.release()
    spent = (meter.seconds - before) / (MANY * TICKS) * 1000
    print(f"{MANY} canaries: {spent:.2f} ms of CPU a canary-tick (goal {CPU_MS_GOAL:g}), {bill.a_release:.1f} requests")
    assert 0 < spent < 10 * CPU_MS_GOAL
    assert not bill.reads, bill.reads
    assert bill.a_release <= REQUESTS_A_RELEASE, bill.requests
    assert max(bill.seconds.values()) <= IDEAL_SECONDS + SETTLE_SECONDS + HEARD_SECONDS + LATE_SECONDS
    assert len(bill.seconds) == MANY
    for name in fleet.names:
        # The event that tells of the step is counted beside the two writes that make it.
        steps = steps_of([entry.path for entry in fleet.writes_to(name)])[: len(STEPS) - 1]
        assert steps == [WRITES_A_STEP - 1] * (len(STEPS) - 1), name
    assert bill.writes["patch", "ingresses"] == MANY * (len(STEPS) + 1)


async def test_at_rest_nothing_is_asked() -> None:
    """An hour without a release: not one call, watches that the server ends now and then aside."""
    stage = Stage()
    await stage.start()
    fleet = Fleet(20, stage)
    await fleet.begin()
    await stage.clock.sleep(3600)
    asked = fleet.asked()
    assert {verb for verb, _ in asked} <= {"watch"}, asked
    kinds = len({resource for _, resource in asked})
    assert asked.total() <= kinds * 3600 / 240, asked


@pytest.mark.long
async def test_a_bad_version_of_all_of_them() -> None:
    """Two hundred rollbacks cost no more than two hundred releases."""

    async def answer(request: HttpRequest) -> HttpAnswer:
        asks_for_rate = "/api/v1/query" in request.url and "vector" not in request.url
        return HttpAnswer(200, vector("50")) if asks_for_rate else await healthy(request)

    stage = Stage(answer)
    await stage.start()
    fleet = Fleet(40, stage)
    await fleet.begin()
    bill = await fleet.release(phase="Failed")
    assert not bill.reads
    assert bill.a_release <= REQUESTS_A_RELEASE


class Counted(Spectator):
    """Counts decisions."""

    count = 0

    def decided(self, key: Key, decision: Decision) -> None:
        """One more."""
        self.count += 1


@pytest.mark.parametrize("name", ["app-000", "app-000-primary"])
async def test_pods_that_change_no_fact_are_not_looked_at(name: str) -> None:
    """A status that makes nothing ready or unready decides nothing; one that does is looked at, as is the way back."""
    stage = Stage()
    stage.spectator = counted = Counted()
    await stage.start()
    await Fleet(1, stage).begin()
    await stage.clock.sleep(5)
    before = counted.count
    for number in range(10):
        conditions = [{"type": "Progressing", "status": "True", "reason": "x", "message": str(number)}]
        await stage.client.call("PATCH", status_of(name), {"status": {"conditions": conditions}}, MERGE)
        await stage.clock.sleep(1)
    assert counted.count == before
    there = (await stage.get("Deployment", name, NAMESPACE))["status"].get("observedGeneration")
    for generation in (0, there):
        await stage.client.call("PATCH", status_of(name), {"status": {"observedGeneration": generation}}, MERGE)
        await stage.clock.sleep(1)
        assert counted.count > before
        before = counted.count


def status_of(name: str) -> str:
    """Where a Deployment's status is."""
    return f"{path_of('Deployment', NAMESPACE, name)}/status"


async def test_a_release_takes_few_looks() -> None:
    """Our own writes coming back, and what pods do on the way, are no reason to look again."""
    stage = Stage()
    stage.spectator = counted = Counted()
    await stage.start()
    fleet = Fleet(20, stage)
    await fleet.begin()
    counted.count = 0
    await fleet.release()
    print(f"{counted.count / 20:.1f} decisions a release")
    assert counted.count / 20 <= DECISIONS_A_RELEASE
