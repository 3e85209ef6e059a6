"""States in which nothing is wrong: they have no cause, and what happens next is said where it is known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from explain.shop import Shop
from stage import manifests
from stage.stage import Stage

pytestmark = pytest.mark.looptime

Act = Callable[[Shop], Awaitable[Any]]
ROUNDS = {"interval": "10s", "threshold": 2, "iterations": 3}
INSIDERS = [{"headers": {"x-beta": {"exact": "yes"}}}]


async def created(shop: Shop) -> Stage:
    """The objects of the canary, just now."""
    stage = shop.stage
    await stage.start()
    await stage.namespace("test")
    for obj in (manifests.settings("shop"), manifests.deployment("shop"), manifests.ingress("shop")):
        await stage.create(obj)
    await stage.create(manifests.canary("shop"))
    return stage


async def initializing(shop: Shop) -> None:
    """The primary starts."""
    shop.stage.pods_take = 6
    await created(shop)
    await shop.passes(3)


async def starting(shop: Shop) -> None:
    """The pods of the new revision start."""
    await shop.begin()
    shop.kubelet.takes = 9
    await shop.release("2")
    await shop.passes(4)


async def idle(shop: Shop) -> None:
    """Nothing has been released yet."""
    await shop.begin()
    await shop.passes(60)


def released(seconds: float, **canary: Any) -> Act:
    """So many seconds after a release began."""

    async def made(shop: Shop) -> None:
        await shop.begin(**canary)
        await shop.release("2")
        await shop.passes(seconds)

    return made


def at(phase: str, **canary: Any) -> Act:
    """A release in a phase."""

    async def made(shop: Shop) -> None:
        await shop.begin(**canary)
        shop.kubelet.takes = 3
        await shop.release("2")
        for _ in range(2000):
            if (await shop.stage.status("shop"))["phase"] == phase:
                return
            await shop.passes(0.1)
        raise AssertionError(f"never {phase}: {await shop.stage.status('shop')}")

    return made


async def weighted(shop: Shop) -> None:
    """Between two rounds."""
    await shop.begin()
    await shop.release_until("canaryWeight", 25)
    await shop.passes(4)


async def last_step(shop: Shop) -> None:
    """At the highest weight."""
    await shop.begin()
    await shop.release_until("canaryWeight", 50)


async def cancelled(shop: Shop) -> None:
    """The promoted version is applied again in the middle of a release."""
    await weighted(shop)
    await shop.release("1")
    await shop.passes(20)


async def restarted(shop: Shop) -> None:
    """A third version replaces the second one."""
    await weighted(shop)
    await shop.release("3")
    await shop.passes(5)


async def second(shop: Shop) -> None:
    """After two releases."""
    await at("Succeeded")(shop)
    await shop.release("3")
    await shop.until("Progressing")
    await shop.until("Succeeded")
    await shop.passes(30)


async def new_operator(shop: Shop) -> None:
    """The operator was replaced in the middle of a release."""
    await weighted(shop)
    await shop.stage.stop_operator()
    await shop.stage.start_operator()
    await shop.passes(2)


STATES: dict[str, Act] = {
    "initializing": initializing,
    "idle": idle,
    "a release that began just now": released(1),
    "pods that start": starting,
    "pods that became available just now": released(3),
    "between rounds": weighted,
    "at the last step": last_step,
    "a blue/green release": released(15, analysis=ROUNDS),
    "an A/B test": released(15, analysis={**ROUNDS, "match": INSIDERS}),
    "promoting": at("Promoting"),
    "promoted just now": at("Succeeded"),
    "promoted without an analysis": at("Succeeded", skipAnalysis=True),
    "two releases": second,
    "a cancelled release": cancelled,
    "a release of a third version": restarted,
    "a new operator": new_operator,
}


QUICK = ("idle", "pods that start", "between rounds")
"""Those for each run."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.long]) for name in STATES]
)
async def test_a_healthy_state(name: str) -> None:
    """No cause is invented."""
    shop = Shop()
    await STATES[name](shop)
    _, view, why = await shop.look()
    assert why.healthy and why.causes == (), (view.canary.phase, why)
