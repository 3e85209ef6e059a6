"""A route that begins to lead to other Services names them first: proxies have the time to learn of each write."""

from __future__ import annotations

import pytest

from core.world import World, canary, ready_world
from pyflagger.api.canary import Phase
from pyflagger.core.decision import Ensure, Part, Revert
from pyflagger.core.situation import Handed

ANNOUNCED = "announced"
UNREADY = "HTTPRoute web: parent Gateway gw is not ready"


def written(world: World) -> int:
    """How often routes were written so far."""
    return sum(action in (Ensure(Part.ROUTING), Revert("routing")) for action in world.actions)


def begun(**facts: object) -> World:
    """A world whose route has been written for the first of three times."""
    world = World(canary(), writes=[ANNOUNCED, ANNOUNCED], **facts)
    while not written(world):
        world.run(0.1)
    return world


def test_each_write_is_two_seconds_after_the_one_before() -> None:
    """The canary is initialized after the third."""
    world = begun()
    assert [written(world.run(0.9)) for _ in range(5)] == [1, 1, 2, 2, 3]
    assert world.status.phase is Phase.INITIALIZED


def test_the_seconds_begin_when_the_route_is_accepted() -> None:
    """Nothing is told of a data plane that accepts it soon."""
    world = begun(route_waiting=UNREADY)
    assert written(world.run(5)) == 1
    world.route_waiting = ""
    assert [written(world.run(1)) for _ in range(2)] == [1, 2]
    assert UNREADY not in world.texts


def test_a_route_that_is_not_accepted_is_waited_for_ten_seconds() -> None:
    """Then it is written as if it were."""
    world = begun(route_waiting=UNREADY)
    assert written(world.run(11)) == 1 and written(world.run(1.2)) == 2
    assert world.until(Phase.INITIALIZED)


def test_an_operator_that_was_restarted_waits_anew() -> None:
    """It does not know when the route was written."""
    world = begun().run(1.5)
    world.restart()
    assert written(world.run(1.5)) == 1 and written(world.run(1)) == 2


def test_a_route_that_somebody_resets_is_announced_again() -> None:
    """One event tells of it, and whatever else drifted is mended at once."""
    world = ready_world()
    world.parts[Part.ROUTING], world.route, world.writes = "drift", None, [ANNOUNCED, ANNOUNCED]
    world.run(0.1)
    world.parts[Part.PRIMARY_SERVICE] = "drift"
    world.run(1)
    assert written(world) == 1 and Ensure(Part.PRIMARY_SERVICE) in world.actions
    world.run(5)
    assert written(world) == 3 and len(world.texts) == 1


@pytest.mark.parametrize("dies", [None, *range(12)])
def test_what_deletion_gives_back_is_announced(dies: int | None) -> None:
    """Told once, unless the operator dies; the Canary goes two seconds after the last write."""
    world = ready_world(spec={"revertOnDeletion": True})
    world.handed, world.writes, world.kill_after = Handed(("HTTPRoute web",)), [ANNOUNCED, ANNOUNCED], dies
    world.delete().run(30)
    assert world.gone and written(world) >= 3
    assert dies is not None or world.texts.count("Restoring HTTPRoute web to what it was before shop.test") == 1


def test_a_canary_that_is_deleted_goes_only_once_its_routes_lead_back() -> None:
    """Until two seconds after the last write."""
    world = ready_world(spec={"revertOnDeletion": True})
    world.handed, world.writes = Handed(("HTTPRoute web",)), [ANNOUNCED, ANNOUNCED]
    world.delete()
    while written(world) < 3:
        world.run(0.1)
    assert not world.run(1.8).gone and world.run(0.5).gone
