"""What has been released is forgotten: no series and no memory is left behind by it."""

from __future__ import annotations

import pytest

from stage.soak import Size, grown, soak

CANARIES, ROUNDS = 3, 12


@pytest.mark.long
@pytest.mark.looptime
async def test_nothing_grows_from_release_to_release() -> None:
    """As many series and objects after the last release as once everything had settled."""
    sizes = [size async for size in soak(CANARIES, ROUNDS)]
    assert sizes[-1].releases == CANARIES * ROUNDS
    assert not grown(sizes), [size.objects for size in sizes]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (Size(90, 10, 1000, 0.0), ""),
        (Size(90, 10, 1019, 0.0), ""),
        (Size(90, 10, 1100, 0.0), "objects"),
        (Size(90, 11, 1000, 0.0), "series"),
    ],
)
def test_growth_is_seen(last: Size, told: str) -> None:
    """More series, or more objects than chance allows, are named."""
    found = grown([Size(30, 10, 900, 0.0), Size(60, 10, 1000, 0.0), last])
    assert told in found if told else not found
