"""Killed after every write of a release whose primary has no pods while it rolls: nobody finds none, the end is one."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.objects import Obj
from stage.manifests import MAX, analysis
from stage.test_kill import NEW, NEWER, Play
from stage.visitors import Visitors

pytestmark = pytest.mark.looptime


class Drained(Play):
    """A target with strategy Recreate, whose pods take a while."""

    def __init__(self, fatal: int | None, heard: bool, **canary_fields: Any) -> None:
        super().__init__(fatal, heard, **canary_fields)
        self.stage.pods_take = 4.0
        self.visitors = Visitors(self.stage, "nginx")

    def target(self) -> Obj:
        """All pods go before new ones come."""
        made = super().target()
        made["spec"]["strategy"] = {"type": "Recreate"}
        return made


async def promoted(fatal: int | None, heard: bool, **spec: Any) -> tuple[Drained, Obj, int]:
    """A release to its end; what is left, and how many visits failed."""
    play = Drained(fatal, heard, **spec)
    await play.begin()
    await play.visitors.start()
    begun = play.stage.clock.now()
    await play.stage.set_image("shop", "shop", NEW)
    await play.phase("Succeeded")
    return await _ended(play, begun)


async def interrupted(fatal: int | None, heard: bool, **spec: Any) -> tuple[Drained, Obj, int]:
    """Another revision comes when the canary has everybody and nothing is copied yet; counted until it comes."""
    play = Drained(fatal, heard, **spec)
    await play.begin()
    await play.visitors.start()
    begun = play.stage.clock.now()
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(100)
    lost = play.visitors.failed(begun)
    await play.stage.set_image("shop", "shop", NEWER)
    await play.phase("Succeeded")
    play, found, _ = await _ended(play, begun)
    return play, found, lost


async def _ended(play: Drained, begun: float) -> tuple[Drained, Obj, int]:
    await play.stage.clock.sleep(5)
    lost = play.visitors.failed(begun)
    return play, await play.end(), lost


def check(play: Drained, lost: int) -> None:
    """Nobody failed; the template was copied while the canary had everybody, after its last weight was judged."""
    assert lost == 0
    assert MAX in {seen.what for seen in play.witness.judged}
    for changed in play.witness.images[1:]:
        last = [seen for seen in play.witness.weights if seen.revision < changed.revision][-1]
        assert last.what == 100, f"copied at weight {last.what}"
    assert 100 not in {seen.what for seen in play.witness.judged}, "judged with everybody"


STEPPED = {"stepWeightPromotion": 50}


@pytest.mark.long
@pytest.mark.parametrize(
    "story, home, heard",
    [(promoted, {}, False), (promoted, {}, True), (promoted, STEPPED, True), (interrupted, {}, False)],
    ids=["unheard", "heard", "stepped home", "interrupted"],
)
async def test_killed_after_every_write(story: Any, home: dict[str, int], heard: bool) -> None:
    """Whenever it dies."""
    spec = {"analysis": analysis(**home)}
    calm, wanted, lost = await story(None, heard, **spec)
    check(calm, lost)
    for fatal in range(1, len(calm.mortal.writes) + 1):
        try:
            play, found, lost = await story(fatal, heard, **spec)
            assert play.mortal.dead.is_set()
            assert found == wanted
            check(play, lost)
        except AssertionError as error:
            raise AssertionError(f"killed after write {fatal}, {calm.mortal.writes[fatal - 1]}: {error}") from error
    print(f"{story.__name__}: killed at {len(calm.mortal.writes)} points")
    assert len(calm.mortal.writes) >= 15
