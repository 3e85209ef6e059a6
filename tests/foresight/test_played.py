"""Outlooks against releases that the operator's own rules play."""

from __future__ import annotations

import math

import pytest

from foresight.played import Case, Release, foreseen, grid, played
from pyflagger.foresight.judges import Traffic

CASES = grid()


def close(case: Case, runs: int) -> None:
    """Within four standard errors, and those of a simulated outlook."""
    told, found = foreseen(case), played(case, runs)
    error = math.sqrt(max(told * (1 - told), 0.001) / runs)
    assert found == pytest.approx(told, abs=4 * error + 0.012)


@pytest.mark.parametrize("number", [0, 9, 16, 31, 48])
def test_an_outlook_is_what_the_operator_does(number: int) -> None:
    """Of a ramp, weights, mirrored steps, an A/B test and blue/green, each with another metric."""
    close(CASES[number], 400)


@pytest.mark.long
@pytest.mark.parametrize("number", range(len(CASES)))
def test_sixty_outlooks_are_what_the_operator_does(number: int) -> None:
    """`python -m bench.outlooks` plays more."""
    close(CASES[number], 4000)


def test_a_played_release_knows_its_ends() -> None:
    """Without errors it is promoted, and with nothing else rolled back."""
    always, never = (CASES[0]._replace(share=share, traffic=Traffic(100)) for share in (0.0, 1.0))
    assert (played(always, 3), played(never, 3)) == (0.0, 1.0)
    assert Release(always).start.route.canary == 5
