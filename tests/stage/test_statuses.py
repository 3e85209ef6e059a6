"""Statuses that flagger did not write: of a restored backup, or of another program."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pytest

from pyflagger.kube.client import ApiError
from pyflagger.objects import Obj
from stage.stage import MERGE, path_of
from stage.test_definitions import NONSENSE, SETS, loose
from stage.test_kill import NEW, NEWER, Play

pytestmark = pytest.mark.looptime

OVER = pytest.mark.parametrize("phase", ["Terminating", "Terminated"])


async def begun(definitions: Sequence[Obj], **spec: object) -> Play:
    """An initialized canary."""
    play = Play(None, True, definitions=definitions, **spec)
    await play.begin()
    return play


async def write(play: Play, **status: object) -> None:
    """Somebody writes to the status."""
    path = f"{path_of('Canary', 'test', 'shop')}/status"
    await play.stage.client.call("PATCH", path, {"status": status}, MERGE)


async def told(play: Play, text: str) -> int:
    """How often an event has this text."""
    listed = await play.stage.client.call("GET", path_of("Event", "test"))
    return sum(event.get("count", 1) for event in listed["items"] if text in event["message"])


async def goes_on(play: Play) -> None:
    """The next release succeeds, and no bug of ours was found on the way."""
    await play.stage.set_image("shop", "shop", NEWER)
    await play.phase("Progressing")
    await play.phase("Succeeded")
    assert not await told(play, "bug in flagger")
    left = await play.end()
    assert NEWER in left["Deployment"]["shop-primary"]


@SETS
@OVER
async def test_a_canary_in_a_phase_of_deletion_is_deleted(phase: str, definitions: Sequence[Obj]) -> None:
    """The finalizer goes, whichever phase an operator that died had written, and the target serves again."""
    play = await begun(definitions, revertOnDeletion=True)
    play.mortal.dead.set()
    await write(play, phase=phase)
    await play.stage.delete("Canary", "shop")
    await play.stage.clock.sleep(60)
    with pytest.raises(ApiError):
        await play.stage.get("Canary", "shop")
    assert (await play.stage.get("Deployment", "shop"))["spec"]["replicas"] == 2
    assert not await told(play, "bug in flagger")


@SETS
@OVER
async def test_a_canary_that_is_not_being_deleted_is_initialized_again(phase: str, definitions: Sequence[Obj]) -> None:
    """As after a backup was restored: said once, the primary serves all the time, and a change is a new revision."""
    play = await begun(definitions)
    await write(play, phase=phase)
    await play.phase("Initialized")
    assert await told(play, f"again: its status has phase {phase}, but it is not being deleted") == 1
    assert not play.witness.weight
    await goes_on(play)


@SETS
async def test_in_the_middle_of_a_release(definitions: Sequence[Obj]) -> None:
    """Visitors go to the primary before the target's pods go; what the target runs is judged from the beginning."""
    play = await begun(definitions)
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(25)
    await write(play, phase="Terminated")
    await play.phase("Succeeded")
    assert [weight for weight, _ in groupby(seen.what for seen in play.witness.weights)] == [0, 25, 0, 25, 50, 0]
    assert await told(play, "again: its status has phase Terminated") == 1
    await goes_on(play)


async def test_a_phase_that_nobody_knows() -> None:
    """Definitions of old admit any: named in an event, and the canary is initialized again."""
    play = await begun(loose())
    await write(play, phase="Analysing")
    await play.phase("Initialized")
    assert await told(play, "invalid values in the status of shop.test: status.phase 'Analysing'") == 1
    assert await told(play, "again: its status has a phase that flagger does not know") == 1
    await goes_on(play)


@pytest.mark.parametrize("case", NONSENSE)
async def test_a_value_that_cannot_be_read_is_told_once(case: str) -> None:
    """It is replaced by what it was understood as, or removed."""
    play = await begun(loose())
    await write(play, **NONSENSE[case])
    await play.stage.clock.sleep(60)
    status = await play.stage.status("shop")
    assert "never" not in str(status) and status["phase"] == "Initialized"
    legible = case in ("counts", "a round in a far year")
    assert await told(play, "Replacing invalid values in the status of shop.test: status.") == (0 if legible else 1) - (
        case == "an empty time"
    )
    await goes_on(play)
