"""The evidence of a comparison: known values, error rates, and units that it must not count."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyflagger.api.compared import BLIND_MAX, Comparison, Counted
from pyflagger.core import betting
from pyflagger.core.betting import Unit, begun, counted, evidence, factors, fair_share, merged, ratio, sound, total

KNOWN = json.loads((Path(__file__).parent / "data" / "betting.json").read_text())
"""Values of an independent implementation, exact to nine digits."""

MARGIN = 1.25
ROLLS_BACK = math.log(100)


def unit(at: int, bad: float, requests: float, primary_bad: float, primary_requests: float) -> Unit:
    """A unit of 30 seconds."""
    return Unit(30.0 * (at + 1), Counted(bad, requests), Counted(primary_bad, primary_requests))


def after(units: list[list[float]], margin: float = MARGIN) -> Comparison:
    """The state after these units."""
    state = begun("rate", 0.0)
    for at, counts in enumerate(units):
        state = counted(state, unit(at, *counts), margin)
    return state


# Known values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", KNOWN["evidence"], ids=lambda known: known["name"])
def test_evidence(known: dict[str, Any]) -> None:
    """After each unit of ten histories: no errors, one error, a clump, a late fault, millions of requests."""
    state = begun("rate", 0.0)
    for at, (counts, wanted) in enumerate(zip(known["units"], known["evidence"], strict=True)):
        state = counted(state, unit(at, *counts), known["margin"])
        assert evidence(state) == pytest.approx(wanted, abs=1e-8)


@pytest.mark.parametrize(("counts", "margin", "wanted"), KNOWN["factors"])
def test_factors(counts: list[float], margin: float, wanted: list[float]) -> None:
    """What the bet on each alternative gains."""
    bad, requests, primary_bad, primary_requests = counts
    found = factors(Counted(bad, requests), Counted(primary_bad, primary_requests), margin)
    assert found == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(("logs", "wanted"), KNOWN["merged"])
def test_merging(logs: list[float], wanted: float) -> None:
    """Several metrics: the average, also where the numbers themselves are too small for a float."""
    states = [replace(begun("rate", 0.0), wealth=(log,), reserve=log - 800) for log in logs]
    assert merged(states) == pytest.approx(wanted, abs=1e-7)


# Error rates --------------------------------------------------------------------------------------------------------


@given(
    st.floats(1, 1e6),
    st.floats(1, 1e6),
    st.integers(1, 400),
    st.floats(1, 4),
)
def test_no_bet_gains_under_the_null(ours: float, theirs: float, bad: int, margin: float) -> None:
    """A clump of any size that lies on the canary's side with its fair probability gains nothing on average."""
    fair = fair_share(ours, theirs, margin)
    won = factors(Counted(bad, ours), Counted(0, theirs), margin)
    lost = factors(Counted(0, ours), Counted(bad, theirs), margin)
    for one, other in zip(won, lost, strict=True):
        assert fair * math.exp(one) + (1 - fair) * math.exp(other) <= 1 + 1e-9


def bad_requests(random: Random, requests: int, share: float) -> int:
    """Independent failures."""
    return sum(random.random() < share for _ in range(requests))


def rolled_back(random: Random, units: int, times: float) -> bool:
    """Whether the evidence ever rolls back a canary whose share of failures is `times` that of the primary."""
    state = begun("rate", 0.0)
    for at in range(units):
        ours, theirs = bad_requests(random, 50, 0.01 * times), bad_requests(random, 450, 0.01)
        state = counted(state, unit(at, ours, 50, theirs, 450), MARGIN)
        if evidence(state) >= ROLLS_BACK:
            return True
    return False


def test_a_healthy_canary_stays() -> None:
    """At the margin itself, 60 runs of 20 units without a rollback; ten times worse, each is found."""
    random = Random(7)
    assert sum(rolled_back(random, 20, MARGIN) for _ in range(60)) == 0
    assert all(rolled_back(random, 20, 10.0) for _ in range(20))


# Units --------------------------------------------------------------------------------------------------------------


def test_the_same_unit_counts_once() -> None:
    """An operator that repeats a round after a crash."""
    once = after([[3, 50, 5, 950]])
    assert counted(once, unit(0, 3, 50, 5, 950), MARGIN) is once


@pytest.mark.parametrize(
    "counts", [[3, 2, 0, 10], [-1, 2, 0, 10], [0, math.nan, 0, 10], [0, 1, 0, math.inf], [0, 1, 2, 1]]
)
def test_impossible_numbers_change_nothing(counts: list[float]) -> None:
    """A counter that jumped is never evidence, and is never made to fit."""
    before = after([[0, 50, 5, 950]])
    assert counted(before, unit(1, *counts), MARGIN) is before


def test_a_side_without_requests_is_no_evidence() -> None:
    """It only counts how long the comparison has been blind. The next unit with both sides ends that."""
    state = begun("rate", 0.0)
    assert state.blind == BLIND_MAX
    state = after([[0, 50, 5, 950], [3, 10, 0, 0], [0, 0, 4, 100]])
    assert (state.blind, state.units, state.until) == (2, 1, 90.0)
    assert evidence(state) == evidence(after([[0, 50, 5, 950]]))
    assert counted(state, unit(3, 0, 50, 0, 950), MARGIN).blind == 0


def test_sums_and_odds() -> None:
    """The sums over all units, and an odds ratio that a change of weight with the base rate does not distort."""
    state = after([[1, 100, 9, 900], [50, 500, 50, 500]])
    assert (state.canary, state.primary) == (Counted(51, 600), Counted(59, 1400))
    assert ratio(state) == pytest.approx(1.0, abs=0.01)
    assert ratio(begun("rate", 0.0)) is None


def test_a_stored_state_must_be_sound() -> None:
    """A state of another form, or with numbers that none can have, starts anew."""
    state = after([[1, 100, 9, 900]])
    assert sound(state)
    broken = [
        Comparison(),
        replace(state, wealth=(0.0,)),
        replace(state, odds=()),
        replace(state, reserve=math.nan),
        replace(state, until=math.inf),
        replace(state, canary=Counted(2, 1)),
        replace(state, primary=Counted(0, math.inf)),
    ]
    assert not any(map(sound, broken))


def test_the_money_is_whole() -> None:
    """It starts at 1, and the reserve never runs out."""
    assert evidence(begun("rate", 0.0)) == pytest.approx(0.0)
    assert total([-1000.0, -1000.0]) == pytest.approx(-1000 + math.log(2))
    assert betting.RELEASED < 1
