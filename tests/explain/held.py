"""States 31, 52, 54, 55 and 58: what somebody asked for holds or ended the release."""

from __future__ import annotations

from typing import Any

from explain.checks import sick
from explain.corpus import State
from explain.shop import STANDS_SECONDS, Shop, corrected, promoted
from pyflagger.api import actions
from pyflagger.api.durations import stamp
from stage import manifests
from stage.trouble import nothing


async def ask(shop: Shop, action: str, **spec: Any) -> None:
    """What `flagger ACTION` does, by ann."""
    uid = (await shop.stage.get("Canary", "shop"))["metadata"]["uid"]
    body = {"canary": "shop", "action": action, "by": "ann", **spec}
    await shop.stage.create(actions.rendered("shop", "test", uid, body))


async def paused_and_bad(shop: Shop) -> None:
    """Somebody pauses the release, also when checks fail, and they do."""
    await shop.begin()
    await shop.release_until("canaryWeight", 25)
    await ask(shop, "pause", reason="checking the logs", onFailure="hold")
    await shop.passes(2)
    shop.answers = sick("50", "100")
    await shop.passes(40)


async def paused(shop: Shop) -> None:
    """Somebody pauses the release."""
    await shop.begin()
    await shop.release_until("canaryWeight", manifests.STEP)
    await ask(shop, "pause", reason="checking the logs")
    await shop.passes(STANDS_SECONDS)


async def paused_and_late(shop: Shop) -> None:
    """Somebody pauses the release. Nobody takes what they ask for next in time, because the operator is down."""
    await paused(shop)
    await shop.stage.stop_operator()
    await ask(shop, "promote", expires=stamp(shop.stage.clock.now() + 60))
    await shop.passes(90)
    await shop.stage.start_operator()
    await shop.passes(STANDS_SECONDS)


async def aborted(shop: Shop) -> None:
    """Somebody aborts the release."""
    await shop.begin()
    await shop.release_until("canaryWeight", manifests.STEP)
    await ask(shop, "abort", reason="wrong branch")
    await shop.until("Failed")


async def undone(shop: Shop) -> None:
    """Somebody undoes the last release, and the target is applied again as it is."""
    await shop.begin()
    await shop.release("2")
    await shop.until("Progressing")
    await shop.until("Succeeded")
    await shop.passes(5)
    await ask(shop, "undo", reason="slow at night")
    await shop.until("Failed")
    await shop.release("2")
    await shop.passes(20)


async def retried(shop: Shop) -> None:
    """Somebody asks for another try of the revision."""
    await ask(shop, "retry")
    await promoted(shop)


async def resumed(shop: Shop) -> None:
    """Checks pass, and somebody resumes the release."""
    shop.answers = nothing
    await shop.passes(12)
    await ask(shop, "resume")
    await promoted(shop)


STATES = (
    State(31, paused_and_bad, "metric-bad", "is 50%, at least 99%", "Correct the new version", resumed,
          "success rate"),
    State(52, aborted, "rolled-back", "aborted by ann: wrong branch", "Release a corrected revision", corrected,
          "Rolling back shop.test aborted by ann: wrong branch"),
    State(54, undone, "refused", "undone by ann: release 1 of shop.test runs again", "flagger retry shop -n test",
          retried, "Undoing shop.test to release 1 by ann"),
    State(55, paused, "paused", "paused by ann: checking the logs", "flagger resume shop -n test", resumed,
          "Waiting Paused", quick=True),
    State(58, paused_and_late, "paused", "promote by ann expired", "flagger resume shop -n test", resumed, "expired"),
)  # fmt: skip
