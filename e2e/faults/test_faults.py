"""Fault by kind of release: the end that it would have had anyway, no visitor lost, no step left out or taken twice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.faults import table
from e2e.faults.acts import faults
from e2e.faults.faulty_proxy import Loop
from e2e.faults.releases import Kind
from e2e.faults.scenario import Fault, Row, Scenario
from e2e.stage import Stage

AT_ONCE = 6
FAULTS = faults()
CASES = [
    pytest.param(fault, kind.name, id=f"{fault.name}-{kind.name}", marks=[pytest.mark.long] if fault.long else [])
    for fault in FAULTS
    for kind in fault.kinds
]
Played = dict[tuple[str, str], Row | BaseException]


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, stage: Stage, figure: Callable[[str], None]) -> Iterator[Played]:
    """Everything that is asked for is played once, as much at once as can be."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = {given["fault"].name for given in params if "fault" in given}
    found: Played = {}
    loop = Loop()
    plays = [(fault, kinds) for fault in FAULTS if fault.name in asked for kinds in _groups(fault)]
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            together = [play for play in plays if not play[0].alone]
            for outcome in pool.map(lambda play: _played(stage, loop, *play), together):
                found |= outcome
        for play in plays:
            if play[0].alone:
                found |= _played(stage, loop, *play)
        table.write([row for row in found.values() if isinstance(row, Row)], os.environ.get("FAULTS_DOC", ""), figure)
        yield found
    finally:
        loop.close()


def _groups(fault: Fault) -> list[list[Kind]]:
    return [[kind] for kind in fault.kinds] if fault.apart else [list(fault.kinds)]


def _played(stage: Stage, loop: Loop, fault: Fault, kinds: list[Kind]) -> Played:
    began = time.monotonic()
    try:
        rows = Scenario(stage, fault, loop, kinds).run()
    except Exception as error:
        return {(fault.name, kind.name): error for kind in kinds}
    finally:
        print(f"{fault.name}: played in {time.monotonic() - began:.0f} s", flush=True)
    for line in table.cells(rows):
        print(line, flush=True)
    return {(fault.name, row.kind): row for row in rows}


@pytest.mark.parametrize("fault, kind", CASES)
def test_a_release_under(fault: Fault, kind: str, rows: Played) -> None:
    """It ends as it should; no visitor notices; each step is taken once; never two writers."""
    row = rows[fault.name, kind]
    if isinstance(row, BaseException):
        raise row
    assert row.end == row.wanted, row
    if row.wanted != "gone":
        assert not row.failed, row
        assert (row.steps.skipped, row.steps.doubled) == (0, 0), row
    assert len(row.turns) == (2 if fault.elected else 1), row
