"""When canaries are looked at: pokes, alarms, and never two looks at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pyflagger.clock import LoopClock
from pyflagger.operator.reconcile.workqueue import Workqueue

pytestmark = pytest.mark.looptime


class Diary:
    """Writes down when each look began and ended; a look takes `seconds`."""

    def __init__(self, clock: LoopClock, seconds: float = 0.0) -> None:
        self.clock, self.seconds = clock, seconds
        self.began: list[tuple[str, float]] = []
        self.open: set[str] = set()
        self.overlaps = 0

    async def reconcile(self, key: str) -> None:
        self.overlaps += key in self.open
        self.open.add(key)
        self.began.append((key, round(self.clock.monotonic(), 3)))
        await self.clock.sleep(self.seconds)
        self.open.discard(key)


@pytest.fixture
def clock() -> LoopClock:
    """The loop's own time."""
    return LoopClock()


@pytest.fixture
async def diary(clock: LoopClock) -> Diary:
    """A diary whose looks take two seconds."""
    return Diary(clock, seconds=2.0)


@pytest.fixture
async def queue(diary: Diary) -> AsyncIterator[Workqueue[str]]:
    """A running scheduler."""
    queue = Workqueue[str](diary.clock, diary.reconcile)
    task = asyncio.create_task(queue.run())
    yield queue
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await queue.stop()


async def test_a_poke_looks_at_once(queue: Workqueue[str], diary: Diary) -> None:
    """No waiting for any interval."""
    queue.add("a")
    await diary.clock.sleep(1)
    assert diary.began == [("a", 0.0)]


async def test_pokes_during_a_look_make_one_more_look(queue: Workqueue[str], diary: Diary) -> None:
    """Three pokes while busy are one look afterwards, and never two at once."""
    for _ in range(4):
        queue.add("a")
        await diary.clock.sleep(0.5)
    await diary.clock.sleep(5)
    assert [at for _, at in diary.began] == [0.0, 2.0]
    assert diary.overlaps == 0


async def test_what_a_look_has_seen_needs_no_other_look(clock: LoopClock) -> None:
    """A poke before it sees is answered by it; one after that is not."""
    began: list[float] = []

    async def reconcile(key: str) -> None:
        began.append(clock.monotonic())
        await clock.sleep(2)
        queue.seen(key)
        await clock.sleep(2)

    queue = Workqueue[str](clock, reconcile)
    queue.add("a")
    await clock.sleep(1)
    queue.add("a")
    await clock.sleep(5)
    assert began == [0.0]
    queue.add("a")
    await clock.sleep(3)
    queue.add("a")
    await clock.sleep(10)
    assert began == [0.0, 6.0, 10.0]


async def test_alarms_ring_in_their_order(queue: Workqueue[str], diary: Diary) -> None:
    """Each key at its own time, whatever the order in which they were set."""
    for key, after in (("late", 9.0), ("soon", 3.0), ("now", 0.0)):
        queue.add_after(key, after)
    await diary.clock.sleep(20)
    assert diary.began == [("now", 0.0), ("soon", 3.0), ("late", 9.0)]


async def test_a_new_alarm_replaces_the_old_one(queue: Workqueue[str], diary: Diary) -> None:
    """Only the last one rings, be it earlier or later."""
    queue.add_after("a", 10.0)
    queue.add_after("a", 4.0)
    queue.add_after("b", 1.0)
    queue.add_after("b", 6.0)
    await diary.clock.sleep(30)
    assert diary.began == [("a", 4.0), ("b", 6.0)]


async def test_silence_cancels(queue: Workqueue[str], diary: Diary) -> None:
    """A canary that is gone is not looked at any more."""
    queue.add_after("a", 3.0)
    queue.cancel("a")
    await diary.clock.sleep(10)
    assert diary.began == []


async def test_one_slow_key_does_not_hold_another(diary: Diary) -> None:
    """Looks at different keys run side by side."""
    slow = Diary(diary.clock, seconds=60.0)

    async def reconcile(key: str) -> None:
        await (slow if key == "slow" else diary).reconcile(key)

    queue = Workqueue[str](diary.clock, reconcile)
    queue.add("slow")
    queue.add("quick")
    await diary.clock.sleep(3)
    assert diary.began == [("quick", 0.0)]
    assert queue.busy() == 1
    await queue.stop()
    assert queue.busy() == 0
