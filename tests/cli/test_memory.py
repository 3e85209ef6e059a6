"""Memory that is free goes back to the system: what `flagger run` tells the C library, where it is one that listens."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from pyflagger.cli import run


def test_the_bounds_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them: one alone leaves the others where the library put them."""
    told: dict[int, int] = {}
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=told.__setitem__))
    run.give_back_memory()
    assert told == {run.M_MMAP_THRESHOLD: run.LARGE, run.M_TRIM_THRESHOLD: run.KEPT, run.M_ARENA_MAX: 1}


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """No such call, or no library to be found, is no reason not to run."""

    def away(_: None) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", away)
    run.give_back_memory()
