"""What is kept in mind between looks when the wall clock is stepped."""

from __future__ import annotations

import pytest

from pyflagger.api.canary import CanaryStatus
from pyflagger.core.decision import Decision, Say, WriteStatus
from pyflagger.core.memory import DUE, Memory, Subject, Time, Told
from pyflagger.core.reasons import ASKING
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


@pytest.mark.parametrize("forgets", [True, False])
def test_what_is_told_is_kept_until_a_decision_is_carried_out(forgets: bool) -> None:
    """The status write may fail: then the same is decided again, from what was known before."""
    told = {Subject("a"): Told("x")}
    state, say = State(memory=Memory(told=told)), Say("Normal", ASKING, "", "")
    decision = Decision(actions=(say, WriteStatus(CanaryStatus())), memory=Memory(tick=DUE) if forgets else None)
    state.remember(decision, 1, 5.0)
    assert (state.memory.told, state.memory.already) == (told, (say,))
    state.finished(decision)
    assert state.memory == (Memory(tick=DUE) if forgets else Memory(told=told))
