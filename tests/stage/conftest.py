"""Every story of the stage runs with a memo that works each value out again and compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pyflagger.operator.observe.memo import Memo


@pytest.fixture(autouse=True)
def _memo_tells_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the memo remembers is what would be worked out now, so a story writes the same with and without it."""
    remembered = Memo.of

    def of(self: Memo, name: str, made_of: tuple[object, ...], work_out: Callable[[], Any]) -> Any:
        value = remembered(self, name, made_of, work_out)
        fresh = work_out()
        assert fresh == value, f"{name} was remembered as {value}, and would be {fresh} now"
        return value

    monkeypatch.setattr(Memo, "of", of)
