"""State 31: somebody holds a release whose checks fail."""

from __future__ import annotations

from typing import Any

from explain.corpus import State
from explain.shop import Shop, promoted
from pyflagger.api import actions
from stage.trouble import nothing, value


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
    shop.answers = value("50")
    await shop.passes(40)


async def resumed(shop: Shop) -> None:
    """Checks pass, and somebody resumes the release."""
    shop.answers = nothing
    await shop.passes(12)
    await ask(shop, "resume")
    await promoted(shop)


STATES = (
    State(31, paused_and_bad, "metric-bad", "is 50%, at least 99%", "Correct the new version", resumed, "success rate"),
)
