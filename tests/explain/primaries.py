"""States 16 to 26: the target or the primary does not do what the release needs."""

from __future__ import annotations

from explain.corpus import State
from explain.ends import by_threshold
from explain.shop import STANDS_SECONDS, Shop, promoted
from pyflagger_sandbox.apiserver.faults import server_error
from pyflagger_sandbox.apiserver.messages import Request
from stage import manifests
from stage.trouble import nothing, value

ORPHAN = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}


async def paused(shop: Shop) -> None:
    """Somebody paused the Deployment, and changes its image."""
    await shop.begin()
    await shop.stage.patch("Deployment", "shop", {"spec": {"paused": True}})
    await shop.release("2")
    await shop.passes(STANDS_SECONDS)


async def resumed(shop: Shop) -> None:
    """What `kubectl rollout resume` does."""
    await shop.stage.patch("Deployment", "shop", {"spec": {"paused": None}})
    await promoted(shop)


async def broken_primary(shop: Shop) -> None:
    """The primary's pods crash between releases, and a new revision comes."""
    await shop.begin()
    await _break(shop)
    await shop.release("2")
    await shop.passes(STANDS_SECONDS)


async def _break(shop: Shop) -> None:
    shop.kubelet.sick["-primary-"] = "crash"
    await shop.restart("-primary-")


async def primary_mended(shop: Shop) -> None:
    """The primary's pods start again, and do not crash."""
    shop.kubelet.sick.clear()
    await shop.restart("-primary-")
    await promoted(shop)


async def deleted(shop: Shop) -> None:
    """Somebody deletes the primary between two releases. Its new pods take a while."""
    await shop.begin()
    await _delete_primary(shop)


async def deleted_after_failure(shop: Shop) -> None:
    """A release failed, and somebody deletes the primary. The record of the first release has its template."""
    await by_threshold(shop)
    await shop.passes(5)
    await _delete_primary(shop)


async def _delete_primary(shop: Shop) -> None:
    shop.kubelet.takes = 20
    await shop.stage.delete("Deployment", "shop-primary")
    await shop.passes(5)


async def down(shop: Shop) -> None:
    """The primary's pods crash between two releases."""
    await shop.begin()
    await shop.passes(30)
    await _break(shop)
    await shop.passes(5)


async def up_again(shop: Shop) -> None:
    """The primary's pods start again, and a new revision is promoted."""
    shop.kubelet.sick.clear()
    await shop.restart("-primary-")
    await shop.passes(30)
    await shop.release("2")
    await promoted(shop)


async def there_again(shop: Shop) -> None:
    """Its pods get ready by themselves, and the next release is promoted."""
    await shop.passes(30)
    assert "repairing" not in [cause.code for cause in (await shop.look())[2].causes]
    shop.answers = nothing
    await shop.release("3")
    await promoted(shop)


async def failed_without_primary(shop: Shop) -> None:
    """A release failed, and somebody deletes the primary."""
    await by_threshold(shop)
    await shop.stage.delete("Deployment", "shop-primary")
    await shop.passes(5)


async def put_back(shop: Shop) -> None:
    """The promoted template is applied again, so flagger creates the primary from it."""
    shop.answers = nothing
    await shop.release("1")
    await shop.passes(15)
    await shop.stage.get("Deployment", "shop-primary")
    await next_version(shop)


async def other_target(shop: Shop) -> None:
    """The Canary names another target, and the primary of that one does not exist."""
    await shop.begin()
    await shop.stage.create(manifests.settings("cart"))
    await shop.stage.create(manifests.deployment("cart"))
    await shop.stage.patch("Canary", "shop", {"spec": {"targetRef": ORPHAN}})
    await shop.passes(10)


async def first_target(shop: Shop) -> None:
    """The Canary names the first target again."""
    await shop.stage.patch("Canary", "shop", {"spec": {"targetRef": {**ORPHAN, "name": "shop"}}})
    await shop.passes(5)
    await shop.release("2")
    await promoted(shop)


async def not_promoted(shop: Shop) -> None:
    """The primary does not come up with the new version."""
    await shop.begin()
    await shop.release("2")
    await shop.until("Progressing")
    shop.kubelet.sick["-primary-"] = "crash"
    await shop.until("Failed", seconds=600)


async def next_version(shop: Shop) -> None:
    """A new revision comes up everywhere."""
    shop.kubelet.sick.clear()
    await shop.release("3")
    await promoted(shop)


async def held_rollback(shop: Shop) -> None:
    """A rollback has begun. Before its route could be written, the primary's pods break."""
    await shop.begin()
    await shop.release_until("canaryWeight", 25)
    shop.stage.server.faults.fail(lambda request: server_error(), _route, times=10**9)
    shop.answers = value("50")
    while not any("threshold reached" in text for text in await shop.said()):
        await shop.passes(1)
    await _break(shop)
    await shop.passes(2)
    shop.stage.server.faults.rules.clear()
    await shop.passes(STANDS_SECONDS)


def _route(request: Request) -> bool:
    return request.method == "PATCH" and request.path.endswith("/ingresses/shop-canary")


async def rolled_back(shop: Shop) -> None:
    """The primary is ready again, so traffic goes back to it."""
    shop.kubelet.sick.clear()
    await shop.restart("-primary-")
    await shop.until("Failed")
    shop.answers = nothing
    await next_version(shop)


STATES = (
    State(16, paused, "target-paused", "deployment/shop is paused", "kubectl rollout resume", resumed,
          "Waiting CanaryNotReady", quick=True),
    State(20, broken_primary, "primary-not-ready", "exits with 1", "--previous", primary_mended, "shop-primary",
          quick=True),
    State(21, deleted, "repairing", "flagger created shop-primary.test again", "Find the client that deleted it",
          there_again, ""),
    State(22, deleted_after_failure, "repairing", "from the record of release 1", "Find the client that deleted it",
          there_again, "flagger creates it again from the record of release 1"),
    State(23, failed_without_primary, "primary-missing", "shop.test is not the promoted revision",
          "restore the promoted revision", put_back, "Blocked",
          options={"release_history": 0}),
    State(24, other_target, "primary-missing", "cart.test is not the promoted revision",
          "Restore spec.targetRef", first_target, "Blocked"),
    State(25, not_promoted, "canary-serving", "primary not ready", "Release a new revision", next_version,
          "Promotion of shop.test failed"),
    State(26, held_rollback, "rollback-holds", "exits with 1", "--previous", rolled_back, "", quick=True),
)  # fmt: skip
MORE = (State(20, down, "primary-not-ready", "exits with 1", "--previous", up_again),)
"""The same between releases."""
