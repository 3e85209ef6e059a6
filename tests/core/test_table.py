"""The table of a release says everything: no rule can write a phase that its row does not name."""

from __future__ import annotations

import ast

import pytest

from core.moves import CORE, moves, phase_of, written
from pyflagger.api.canary import Phase
from pyflagger.core import promotion, transitions
from pyflagger.core.transitions import ALLOWED, DELETION, RELEASE, Rows, following

ROWS = [
    pytest.param(phase, row, id=f"{phase.value or 'New'}: {row.event}")
    for table in (RELEASE, DELETION)
    for phase, rows in table.items()
    for row in (*rows.rows, rows.last)
]


@pytest.mark.parametrize(("phase", "row"), ROWS)
def test_a_rule_moves_where_its_row_says(phase: Phase, row: transitions.Row[object]) -> None:
    """To each of these phases and to no other one; it may always leave the phase as it is."""
    assert moves(row.rule) - {phase} == set(row.to) - {phase}


@pytest.mark.parametrize("table", [RELEASE, DELETION], ids=["release", "deletion"])
def test_every_phase_has_its_rows(table: dict[Phase, Rows]) -> None:
    """And no rule is asked twice in a phase, nor are two events of one name."""
    assert set(table) == set(Phase)
    for rows in table.values():
        every = (*rows.rows, rows.last)
        assert len({row.rule for row in every}) == len(every)
        assert len({row.event for row in every}) == len(every)


def test_nothing_else_writes_a_phase() -> None:
    """A status enters a phase in one place, which only rules call; no other code sets one."""
    for path in sorted(CORE.glob("*.py")):
        source = path.read_text()
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        entered = [call for call in calls if getattr(call.func, "id", "") == "enter"]
        assert len(entered) == (path.stem == "writing")
        but = [call for call in calls if getattr(call.func, "attr", "") == "but"]
        assert not [call for call in but if any(word.arg == "phase" for word in call.keywords)] or (
            path.stem == "conditions"
        )


def test_events_of_a_diagram() -> None:
    """Of one edge each event stands once, in the order of the table."""
    assert following(Phase.PROMOTING) == {
        Phase.FAILED: ("undone", "primary past its deadline"),
        Phase.FINALISING: ("all traffic to the primary",),
        Phase.SUCCEEDED: ("promoted",),
        Phase.TERMINATING: ("deleted",),
    }
    assert Phase.TERMINATING not in ALLOWED[Phase.TERMINATING]


def test_the_search_for_phases() -> None:
    """It reads both sides of a choice, finds what is called, and refuses a phase that it cannot read."""
    assert written(ast.parse("write(view, Phase.FAILED if a else None)")) == {Phase.FAILED}
    assert written(ast.parse("write(view, to=Phase.FAILED, message=m)")) == {Phase.FAILED}
    assert moves(promotion.step_home) == {Phase.FINALISING}
    with pytest.raises(AssertionError, match="which phase is to"):
        phase_of(ast.parse("to", mode="eval").body)
