"""What is the user's is named before it is written to, and again when it is handed back."""

from __future__ import annotations

from core.world import World, canary, ready_world
from pyflagger.api.canary import Phase
from pyflagger.core.decision import Ensure, Part, Say
from pyflagger.core.situation import Handed

BOTH = ("Service web", "HTTPRoute web")
TAKING = "Taking over Service web, HTTPRoute web for shop.test. An annotation stores the original. "


def taking(world: World) -> list[str]:
    """The events of a takeover."""
    return [text for text in world.texts if text.startswith("Taking over")]


def test_one_event_before_the_first_write() -> None:
    """It names all that is taken over, and how to get it back."""
    world = World(canary(), takes=BOTH).until(Phase.INITIALIZED)
    assert taking(world) == [f"{TAKING}Set spec.revertOnDeletion to restore it when the Canary is deleted."]
    kinds = [action for action in world.actions if isinstance(action, Say | Ensure)]
    said = next(
        at for at, action in enumerate(kinds) if isinstance(action, Say) and "Taking over" in action.reason.text
    )
    assert kinds.index(Ensure(Part.APEX_SERVICE)) > said > kinds.index(Ensure(Part.PRIMARY_WORKLOAD))


def test_with_a_way_back() -> None:
    """The same event says so."""
    world = World(canary(revertOnDeletion=True), takes=BOTH).until(Phase.INITIALIZED)
    assert taking(world) == [f"{TAKING}flagger restores it when the Canary is deleted."]


def test_nothing_is_told_of_what_is_ours() -> None:
    """Nor before there is anything to write."""
    assert taking(World(canary()).until(Phase.INITIALIZED)) == []
    world = ready_world()
    world.takes = BOTH
    assert taking(world.run(60)) == []


def test_a_route_that_comes_later_is_told_by_itself() -> None:
    """What was told already is not told again with it."""
    world = World(canary(), takes=("Service web",)).until(Phase.INITIALIZED)
    world.takes, world.parts[Part.ROUTING] = ("HTTPRoute web",), "missing"
    world.run(30)
    assert [text.partition(" for ")[0] for text in taking(world)] == [
        "Taking over Service web",
        "Taking over HTTPRoute web",
    ]


def handed(found: Handed) -> list[str]:
    """The events of a deletion that hands these back."""
    world = ready_world(spec={"revertOnDeletion": True})
    world.handed = found
    world.delete().run(60)
    assert world.gone
    return world.texts


def test_what_deletion_hands_back_is_told_once() -> None:
    """What is as before, and what was ours and stays."""
    back, left = ("Service web", "HTTPRoute web"), ("Service shop",)
    given = "Restoring Service web, HTTPRoute web to what it was before shop.test"
    stays = "Leaving Service shop of shop.test to you: delete it when no visitor uses it"
    around = ["Terminating canary shop.test", "Terminated canary shop.test"]
    assert handed(Handed(back, left)) == [around[0], f"{given}. {stays}", around[1]]
    assert handed(Handed(back)) == [around[0], given, around[1]]
    assert handed(Handed(left=left)) == [around[0], stays, around[1]]
    assert handed(Handed()) == around
