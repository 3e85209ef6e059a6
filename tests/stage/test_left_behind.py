"""What stays behind is named and touched by nobody: after another name in a living Canary, and after the Canary."""

from __future__ import annotations

import pytest

from pyflagger.objects import Obj
from stage.manifests import deployment, ingress, settings
from stage.trouble import Pair

pytestmark = pytest.mark.looptime

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
LEFT = "left from an earlier spec"


async def rested() -> Pair:
    """Two canaries that rest."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    return pair


async def leftovers(pair: Pair) -> list[str]:
    """Every Warning about them."""
    return [text for text in await pair.told() if LEFT in text]


async def spec(pair: Pair, kind: str, name: str) -> Obj:
    """What an object says."""
    found: Obj = (await pair.stage.get(kind, name, "sick"))["spec"]
    return found


async def test_what_another_name_leaves_behind_is_named_and_touched_by_nobody() -> None:
    """In the middle of a release: the new ones serve, the old ones stay as they were, and each change is told once."""
    pair = await rested()
    old = [("Service", name) for name in ("sick", "sick-canary", "sick-primary")] + [("Deployment", "sick-primary")]
    before = [await spec(pair, kind, name) for kind, name in old[:3]]
    await pair.stage.patch("Ingress", "sick", {"spec": ingress("shop")["spec"]}, "sick")
    await pair.edit(service={"name": "shop", "port": 80})
    text = await pair.tells(LEFT)
    assert text.startswith("Warning Service sick, Service sick-canary, Service sick-primary of sick.sick: ")
    assert [await spec(pair, kind, name) for kind, name in old[:3]] == before
    for name in ("shop", "shop-canary", "shop-primary"):
        await spec(pair, "Service", name)
    await pair.release("sick")
    await pair.phase("sick", "Succeeded")
    assert await leftovers(pair) == [text], "once, whatever else happens"
    await pair.stage.delete("Service", "sick-canary", "sick")
    await pair.tells("^Warning Service sick, Service sick-primary of sick.sick: ")
    for name in ("sick", "sick-primary"):
        await pair.stage.delete("Service", name, "sick")
    await pair.stage.clock.sleep(5)
    assert len(await leftovers(pair)) == 2 and await pair.told("calm")


async def test_after_a_restart_what_is_left_is_still_known() -> None:
    """By what the objects say of themselves, not by what the process saw."""
    pair = await rested()
    await pair.stage.patch("Ingress", "sick", {"spec": ingress("shop")["spec"]}, "sick")
    await pair.edit(service={"name": "shop", "port": 80})
    await pair.tells(LEFT)
    await pair.stage.stop_operator()
    await pair.stage.delete("Service", "sick-canary", "sick")
    await pair.stage.start_operator()
    await pair.tells("^Warning Service sick, Service sick-primary of sick.sick: ")


async def test_what_people_made_themselves_is_no_leftover() -> None:
    """Objects beside it, of others and of nobody, are never named."""
    pair = await rested()
    for name in ("sick-old", "sick-primary-old"):
        made = await pair.stage.get("Service", "sick", "sick")
        kept = {key: value for key, value in made["spec"].items() if key in ("ports", "selector")}
        await pair.stage.create(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": kept}, "sick"
        )
    await pair.release("sick")
    await pair.phase("sick", "Succeeded")
    assert await leftovers(pair) == []


@pytest.mark.parametrize("revert", [False, True])
async def test_a_target_that_sleeps_on_is_told(revert: bool) -> None:
    """Without `revertOnDeletion` nobody wakes it up; who is handed it back hears nothing."""
    pair = await rested()
    await pair.edit(revertOnDeletion=revert)
    await pair.stage.clock.sleep(1)
    await pair.stage.delete("Canary", "sick", "sick")
    if not revert:
        text = await pair.tells("is deleted and")
        assert text == "Warning Canary sick.sick is deleted and sick.sick runs no pods: scale it up"
    await pair.stage.clock.sleep(30)
    assert len([text for text in await pair.told() if "is deleted and" in text]) == (0 if revert else 1)
    assert ((await spec(pair, "Deployment", "sick"))["replicas"] == 0) is not revert


async def test_a_canary_that_goes_while_it_is_served_by_its_target_is_not_worth_a_word() -> None:
    """In the middle of a release the target has its pods."""
    pair = await rested()
    await pair.release("sick")
    await pair.weight(10)
    await pair.stage.delete("Canary", "sick", "sick")
    await pair.stage.clock.sleep(30)
    assert not [text for text in await pair.told() if "is deleted and" in text]


async def test_another_provider_leaves_its_routes_behind() -> None:
    """By Services alone from now on: the Ingress beside the user's stays as it was."""
    pair = await rested()
    before = await pair.stage.get("Ingress", "sick-canary", "sick")
    await pair.edit(provider="kubernetes")
    await pair.tells("^Warning Ingress sick-canary of sick.sick: ")
    after = await pair.stage.get("Ingress", "sick-canary", "sick")
    assert (after["spec"], after["metadata"]["annotations"]) == (before["spec"], before["metadata"]["annotations"])
    await pair.release("sick")
    await pair.phase("sick", "Succeeded")


async def test_another_target_takes_nothing_over_before_it_has_a_primary_that_was_promoted() -> None:
    """The old primary and the Services that lead to it stay as they are, and that is told."""
    pair = await rested()
    for obj in (settings("shop"), deployment("shop")):
        await pair.stage.create(obj, "sick")
    services = ("sick", "sick-primary", "sick-canary")
    before = [await spec(pair, "Service", name) for name in services]
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    await pair.edit(targetRef=reference, service={"name": "sick", "port": 80, "targetPort": 8080})
    await pair.tells("shop-primary")
    await pair.stage.clock.sleep(60)
    assert [await spec(pair, "Service", name) for name in services] == before
    assert (await spec(pair, "Deployment", "sick-primary"))["replicas"] == 2
