"""Each end, gate and halt of the table has its alert: a new row without one fails here."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.moves import CORE, module, reached
from pyflagger.api.canary import Phase
from pyflagger.core import absent, reasons
from pyflagger.core.transitions import RELEASE

TOLD = frozenset({Phase.INITIALIZED, Phase.WAITING, Phase.WAITING_PROMOTION, Phase.SUCCEEDED, Phase.FAILED})
"""The ends of a release, and its closed gates."""

EARLIER = {"rollback.carry_on", "promotion.give_up"}
"""Rules that end what an earlier decision began, with an alert: see `test_no_rollback_begins_in_silence`."""

STARTS = frozenset({"new revision", "gate open"})
DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"


def calls(node: ast.AST, name: str) -> list[ast.Call]:
    """The calls of a function in some code."""
    return [call for call in ast.walk(node) if isinstance(call, ast.Call) and getattr(call.func, "id", "") == name]


def alerts(rule: Callable[..., Any]) -> bool:
    """Whether a rule can alert, by itself or by what it calls."""
    return any(calls(module(where)[0][name], "Alert") for where, name in reached(rule))


MOVES = sorted(
    {
        (row.rule.__module__.rpartition(".")[2], row.rule.__name__, to, event): row.rule
        for rows in RELEASE.values()
        for row in (*rows.rows, rows.last)
        for to, event in row.to.items()
        if to in TOLD or event in STARTS
    }.items(),
    key=lambda each: each[0],
)


@pytest.mark.parametrize(("move", "rule"), MOVES, ids=[f"{to.value}: {event}" for (_, _, to, event), _ in MOVES])
def test_each_end_start_and_gate_alerts(move: tuple[str, str, Phase, str], rule: Callable[..., Any]) -> None:
    """Or an earlier decision of the same run has."""
    name = ".".join(move[:2])
    assert alerts(rule) != (name in EARLIER), f"{name} enters {move[2].value} without an alert"


def test_no_rule_is_excused_that_does_not_exist() -> None:
    """The names above are those of the table."""
    assert {".".join(move[:2]) for move, _ in MOVES} >= EARLIER
    assert {move[3] for move, _ in MOVES} >= STARTS


def functions() -> list[tuple[str, ast.FunctionDef]]:
    """Every function of `core`, with its module."""
    return [
        (path.stem, node)
        for path in sorted(CORE.glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    ]


def test_no_rollback_begins_in_silence() -> None:
    """Whatever records the cause of a rollback alerts in the same decision, or is given the alert."""
    begins = [(where, code) for where, code in functions() if calls(code, "Rollback") and calls(code, "write")]
    assert {code.name for _, code in begins} == {"aborted", "before_start", "by_comparison", "_begin", "primary_ready"}
    for _, code in begins:
        given = {arg.arg for arg in code.args.args}
        assert calls(code, "Alert") or "alert" in given


HALTS = {("waiting", "hold_for_primary"), ("rollback", "_owed"), ("rollback", "refused"), ("strategy", "_increase")}
"""What halts or diverts a release without a change of phase."""


def test_each_halt_alerts() -> None:
    """The primary fails, the canary gets all traffic, a revision is refused, the gate of an increase is closed."""
    found = {(where, code.name): code for where, code in functions()}
    assert all(calls(found[halt], "Alert") for halt in HALTS)


def texts() -> set[str]:
    """The text of each alert, up to its first variable part."""
    fixed = {value for name, value in vars(reasons).items() if name.startswith("ALERT_")}
    made = (
        function("\0")
        for module_ in (reasons, absent)
        for name, function in vars(module_).items()
        if name.startswith("alert_")
    )
    return fixed | {text.partition("\0")[0].strip() for text in made}


def test_each_text_is_in_the_documentation() -> None:
    """The page says when each text is sent."""
    said = DOCS.read_text()
    assert len(texts()) >= 13
    assert not [text for text in sorted(texts()) if text not in said]
