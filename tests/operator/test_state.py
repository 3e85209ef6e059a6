"""What is kept in mind between looks when the wall clock is stepped."""

from __future__ import annotations

import pytest

from pyflagger.core.memory import DUE, Memory, Time
from pyflagger.operator.state import State


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_stepped_clock_moves_what_it_is_compared_with(step: float) -> None:
    """A weight that was held for three seconds was, whatever the clock says now."""
    state = State(memory=Memory(tick=Time(1000.0)), due=1010.0)
    state.keep_time(500.0)
    state.keep_time(500.0 + step)
    assert (state.memory.tick, state.due) == (1000.0 + step, 1010.0 + step)


def test_a_slewed_clock_moves_nothing() -> None:
    """What differs by rounding alone stays to the last digit."""
    state = State(memory=Memory(tick=Time(1000.0)), due=1010.0)
    for offset in (500.0, 500.1, 499.9, 500.0000001):
        state.keep_time(offset)
    assert (state.memory.tick, state.due) == (1000.0, 1010.0)


def test_what_was_due_at_once_stays_due() -> None:
    """Nothing known, and a mark for "at once", are no times that could move."""
    for tick in (None, DUE):
        state = State(memory=Memory(tick=tick))
        state.keep_time(500.0)
        state.keep_time(-3100.0)
        assert state.memory.tick == tick
