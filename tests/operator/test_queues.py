"""Queues by key: in order for each key, and no key waits for another."""

from __future__ import annotations

import asyncio

import pytest

from pyflagger.operator.process.queues import Queues

pytestmark = pytest.mark.looptime
SLOW_SECONDS = 5.0


class Kept:
    """Queues of at most three items. Items of `slow` take five seconds each."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.dropped: list[str] = []
        self.queues: Queues[str, str] = Queues(self.handle, lambda key, item: self.dropped.append(item), 3)

    async def handle(self, key: str, item: str) -> None:
        """Keep an item."""
        if key == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        self.handled.append(item)

    def put(self, key: str, *items: str) -> None:
        """Queue items."""
        for item in items:
            self.queues.put(key, item)


def now() -> float:
    """The time of the loop."""
    return asyncio.get_running_loop().time()


async def test_items_of_a_key_stay_in_order() -> None:
    """Another key does not wait for them. A queue that was empty starts again."""
    kept = Kept()
    kept.put("slow", "a", "b")
    kept.put("fast", "1", "2")
    await asyncio.sleep(1)
    assert kept.handled == ["1", "2"]
    kept.put("fast", "3")
    await kept.queues.close(60)
    assert kept.handled == ["1", "2", "3", "a", "b"] and now() == 2 * SLOW_SECONDS


async def test_a_full_queue_drops_its_oldest() -> None:
    """Only of that key. What runs already is not in the queue."""
    kept = Kept()
    kept.put("slow", "runs")
    await asyncio.sleep(1)
    kept.put("slow", *"abcde")
    kept.put("fast", *"123")
    await kept.queues.close(60)
    assert kept.dropped == ["a", "b"] and kept.handled == [*"123", "runs", *"cde"]


async def test_a_cleared_queue() -> None:
    """What waits is neither handled nor dropped; what runs comes to its end."""
    kept = Kept()
    kept.put("slow", "runs")
    await asyncio.sleep(1)
    kept.put("slow", "a", "b")
    kept.queues.clear("slow")
    kept.queues.clear("unknown")
    await kept.queues.close(60)
    assert (kept.handled, kept.dropped, now()) == (["runs"], [], SLOW_SECONDS)


@pytest.mark.parametrize(("key", "seconds", "waited"), [("slow", 60, 5), ("slow", 2, 2), ("unknown", 60, 0)])
async def test_waiting_for_a_key(key: str, seconds: float, waited: float) -> None:
    """Until it has no items, or for the given time."""
    kept = Kept()
    kept.put("slow", "a")
    await kept.queues.idle(key, seconds)
    assert now() == waited
    await kept.queues.close(60)


async def test_closing_ends_what_takes_too_long() -> None:
    """No task is left, and an empty set of queues closes at once."""
    kept = Kept()
    kept.put("slow", "a", "b")
    await kept.queues.close(7)
    assert kept.handled == ["a"] and now() == 7 and len(asyncio.all_tasks()) == 1
    await kept.queues.close(7)
    assert now() == 7
