"""The corpus of `flagger explain`: the right cause first, the same one in every form, and a remedy that works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from explain import blocked, checks, ends, gates, held, pods, primaries, scalers
from explain.corpus import State
from explain.shop import Shop
from pyflagger.cli.explaining import text as explained
from pyflagger.cli.text import Screen
from pyflagger.kube.errors import NotFound
from pyflagger.seeing import documents
from pyflagger.seeing.model import Explanation

pytestmark = pytest.mark.looptime

STATES = tuple(
    sorted(
        (
            *pods.STATES,
            *primaries.STATES,
            *scalers.STATES,
            *checks.STATES,
            *gates.STATES,
            *held.STATES,
            *ends.STATES,
            *blocked.STATES,
        ),
        key=lambda state: state.number,
    )
)
NUMBERS = tuple(range(1, 73))


def each(states: tuple[State, ...]) -> list[Any]:
    """The states as parameters. Those that are not for each run are `long`."""
    return [
        pytest.param(state, id=f"{state.number}-{state.code}", marks=[] if state.quick else [pytest.mark.long])
        for state in states
    ]


@pytest.mark.parametrize("state", each((*STATES, *checks.MORE, *gates.MORE, *primaries.MORE)))
async def test_a_state(state: State) -> None:
    """Its first cause is the right one in each form, and the advice brings the release to its end."""
    shop = Shop(**state.options)
    await state.made(shop)
    found, _, why = await shop.look()
    said = "\n".join(explained(why, found.now, Screen(width=10_000), verbose=False))
    told = await shop.said()
    assert not why.healthy and [cause.code for cause in why.causes][:1] == [state.code], (said, why.causes, told)
    assert documents.explanation(why)["causes"][0]["code"] == state.code
    before, _, advice = said.partition("\nDO ")
    assert state.text.lower() in _flat(before), said
    assert state.do.lower() in _flat(advice), said
    assert any(state.said in line for line in told), told
    await state.mended(shop)
    assert await _ended(shop, why), "the remedy does not end the cause"


def _flat(text: str) -> str:
    """A text in one line."""
    return " ".join(text.lower().split())


async def _ended(shop: Shop, before: Explanation) -> bool:
    """Whether the first cause is gone, or the Canary is."""
    try:
        after = (await shop.look())[2]
    except NotFound:
        return True
    return before.causes[0].code not in {cause.code for cause in after.causes}


def test_the_numbers() -> None:
    """Each state of the list is in the table once."""
    assert tuple(state.number for state in STATES) == NUMBERS


def test_the_page_has_each_code() -> None:
    """The docs say what to do about each."""
    page = (Path(__file__).parents[2] / "docs" / "explain.md").read_text()
    assert not {state.code for state in STATES if f"`{state.code}`" not in page}
