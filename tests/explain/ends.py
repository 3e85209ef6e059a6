"""States 50, 51, 53 and 56: the last release was rolled back, or somebody suspended the canary."""

from __future__ import annotations

from explain.corpus import State
from explain.shop import Shop, corrected, promoted
from stage import manifests
from stage.trouble import nothing, value

BACK = {"name": "back", "type": "rollback", "url": "http://gate.test/rollback/check"}


async def by_hook(shop: Shop) -> None:
    """A rollback hook lets the release go back. Later it does not any more."""
    await shop.begin(analysis=manifests.analysis(webhooks=[BACK]))
    await shop.release("2")
    await shop.until("Failed")


async def without_hook(shop: Shop) -> None:
    """A new revision, without the hook."""
    await shop.stage.patch("Canary", "shop", {"spec": {"analysis": {"webhooks": None}}})
    await corrected(shop)


async def by_threshold(shop: Shop) -> None:
    """Too many checks fail."""
    await shop.begin()
    shop.answers = value("50")
    await shop.release("2")
    await shop.until("Progressing")
    await shop.until("Failed")


async def again(shop: Shop) -> None:
    """The revision that failed is applied again while the next one waits for its gate."""
    await by_threshold(shop)
    gate = {"name": "ask", "type": "confirm-rollout", "url": "flagger://gate"}
    await shop.stage.patch("Canary", "shop", {"spec": {"analysis": {"webhooks": [gate]}}})
    await shop.release("3")
    await shop.until("Waiting")
    await shop.release("2")
    await shop.until("Failed")
    await shop.passes(20)


async def without_gate(shop: Shop) -> None:
    """A new revision, without the gate."""
    await shop.stage.patch("Canary", "shop", {"spec": {"analysis": {"webhooks": None}}})
    await good_version(shop)


async def good_version(shop: Shop) -> None:
    """A new revision passes its checks."""
    shop.answers = nothing
    await corrected(shop)


async def suspended(shop: Shop) -> None:
    """Somebody suspends the canary in the middle of a release."""
    await shop.begin()
    await shop.release_until("canaryWeight", 25)
    await shop.stage.patch("Canary", "shop", {"spec": {"suspend": True}})
    await shop.passes(30)


async def resumed(shop: Shop) -> None:
    """The manifest says so no more."""
    await shop.stage.patch("Canary", "shop", {"spec": {"suspend": False}})
    await promoted(shop)


STATES = (
    State(50, by_hook, "rolled-back", "rollback hook back asked for it", "Release a corrected revision", without_hook,
          "manual webhook invoked"),
    State(51, by_threshold, "rolled-back", "success rate 50.00% < 99%", "Release a corrected revision", good_version,
          "failed checks threshold reached 2", quick=True),
    State(53, again, "refused", "a revision that failed before", "flagger retry shop -n test", without_gate,
          "failed checks threshold reached 2"),
    State(56, suspended, "suspended", "spec.suspend is true", "kubectl patch canary shop", resumed,
          "skipping canary run as object is suspended"),
)  # fmt: skip
