"""Objects of other owners, and objects of an earlier Canary: what a decision does about them."""

from __future__ import annotations

from core.world import World, canary, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import Fault, Problem

TAKEN = Problem(Fault.MANIFEST, "service shop-canary.test exists and does not belong to this canary", "Rename it.")
STEPS = {"stepWeight": 20, "maxWeight": 40}


def test_nothing_is_made_while_a_name_is_taken() -> None:
    """Taken on, told once, and initialized once the name is free."""
    world = World(canary(), foreign=(TAKEN,)).run(60)
    assert world.texts == [TAKEN.text] and world.status.phase is Phase.INITIALIZING
    assert world.primary is None and set(world.parts.values()) == {"missing"}
    blocked = next(each for each in world.status.conditions if each.type == "Blocked")
    assert blocked.message == f"{TAKEN.text}. {TAKEN.todo}" and blocked.reason == "Manifest"
    world.foreign = ()
    world.until(Phase.INITIALIZED)


def test_a_name_that_is_taken_in_a_release_holds_it() -> None:
    """Traffic stays as it is, and the release goes on to its end afterwards."""
    world = ready_world(STEPS).change("v1:r2").run(12)
    before = world.route
    assert before is not None and before.canary
    world.foreign = (TAKEN,)
    assert world.run(60).route == before and world.texts.count(TAKEN.text) == 1
    world.foreign = ()
    world.until(Phase.SUCCEEDED)


def test_owner_references_are_renewed_before_anything_else() -> None:
    """In the bootstrap and later, told once; a name that is taken comes first."""
    text = "Service web-canary, Deployment web-primary of an earlier canary now belong to shop.test"
    loose = ("Service web-canary", "Deployment web-primary")
    world = World(canary(), foreign=(TAKEN,), unbound=loose).run(20)
    assert world.unbound == loose and text not in world.texts
    world.foreign = ()
    world.until(Phase.INITIALIZED)
    assert world.unbound == () and world.texts.count(text) == 1
    world.unbound = loose
    world.run(5)
    assert world.unbound == () and world.texts.count(text) == 2


def test_a_rival_is_all_that_is_told() -> None:
    """Objects of the older Canary are in the way only as long as it is."""
    rival = Problem(Fault.MANIFEST, "service web already belongs to canary elder, which is older", "Wait.")
    world = World(canary(), problems=(rival,), rivalled=True, foreign=(TAKEN,)).run(20)
    assert world.texts == [rival.text] and world.status.phase is Phase.NEW
    world.problems, world.rivalled = (), False
    assert world.run(20).texts == [rival.text, TAKEN.text]
    world.foreign = ()
    world.until(Phase.INITIALIZED)
