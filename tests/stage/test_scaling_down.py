"""The two seconds after a release that succeeded: the operator dies, the Canary is deleted, or the next revision comes.

The canary's pods are still there, because proxies may not know yet that they get no traffic.
"""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api.defaults import HEARD_SECONDS
from pyflagger.kube.resources import CANARIES
from stage.test_kill import DEADLINE_SECONDS, NEW, NEWER, Play, check_safety

pytestmark = pytest.mark.looptime


async def ended(**fields: Any) -> Play:
    """A release that has just succeeded."""
    play = Play(None, True, **fields)
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.phase("Succeeded")
    assert await conditions(play) == ["Promoted", "ScalingDown"]
    assert play.witness.weight == 0 and play.witness.scales[-1].what != 0
    return play


async def conditions(play: Play) -> list[str]:
    """The types of the conditions that are true, but for the clock of the judging rounds."""
    told = (await play.stage.status("shop"))["conditions"]
    return sorted(one["type"] for one in told if one["status"] == "True" and one["type"] != "Judged")


async def test_a_crash_loses_no_pod_early_and_none_for_good() -> None:
    """The next operator reads the condition, and counts the two seconds from its own start."""
    play = await ended()
    play.mortal.dead.set()
    died = play.stage.clock.now()
    await play.stage.clock.sleep(3 * HEARD_SECONDS)
    assert await conditions(play) == ["Promoted"]
    found = await play.end()
    (asleep,) = [seen for seen in play.witness.scales if seen.what == 0][1:]
    assert died + HEARD_SECONDS <= asleep.at < died + 2 * HEARD_SECONDS
    assert found["Deployment"]["shop"][0] == 0 and found["Canary"]["shop"]["phase"] == "Succeeded"
    check_safety(play)


async def test_a_deletion_hands_the_pods_back_as_they_are() -> None:
    """They are never scaled to zero in between, and serve everybody in the end."""
    play = await ended(revertOnDeletion=True)
    wanted = play.witness.scales[-1].what
    await play.stage.delete("Canary", "shop")
    end = play.stage.clock.now() + DEADLINE_SECONDS
    while "shop" in await play._all(CANARIES):
        assert play.stage.clock.now() < end, "the canary is never gone"
        await play.stage.clock.sleep(0.25)
    found = await play.end()
    assert play.witness.scales[-1].what == wanted == found["Deployment"]["shop"][0]
    assert found["Service"]["shop"][0] == {"app": "shop"}


async def test_the_next_revision_reuses_the_pods() -> None:
    """Scaled to zero once, after the second release."""
    play = await ended()
    scaled = len(play.witness.scales)
    await play.stage.set_image("shop", "shop", NEWER)
    await play.phase("Progressing")
    await play.phase("Succeeded")
    found = await play.end()
    assert [seen.what for seen in play.witness.scales[scaled:]] == [0]
    assert [seen.what for seen in play.witness.images][-2:] == [NEW, NEWER]
    assert found["Canary"]["shop"]["promoted is applied"]
    check_safety(play)
