"""Values kept as long as what they are made of is the same."""

from __future__ import annotations

import pytest

from pyflagger.operator.observe.memo import Memo


class Works:
    """Counts how often it works."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        return self.times


def test_worked_out_once_for_the_same() -> None:
    """Equal is the same; another name and other parts are not."""
    memo, work = Memo(), Works()
    assert [memo.of("a", ([1], "x"), work), memo.of("a", ([1], "x"), work)] == [1, 1]
    assert memo.of("b", ([1], "x"), work) == 2
    assert memo.of("a", ([2], "x"), work) == 3
    assert memo.of("a", ([1], "x"), work) == 4


def test_nothing_is_kept_of_a_failure() -> None:
    """It is tried again, and what was known before is not taken for the new."""
    memo, work = Memo(), Works()

    def fails() -> int:
        raise RuntimeError

    memo.of("a", (1,), work)
    with pytest.raises(RuntimeError):
        memo.of("a", (2,), fails)
    assert memo.of("a", (2,), work) == 2


def test_it_holds_the_newest_of_equal_parts() -> None:
    """An object that was read anew replaces its equal, which can be forgotten."""
    memo, work = Memo(), Works()
    old, new = {"a": [1]}, {"a": [1]}
    memo.of("a", (old,), work)
    memo.of("a", (new,), work)
    assert memo._known["a"][0][0] is new
