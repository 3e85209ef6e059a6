"""A cache of computed values of one canary, valid while their inputs stay the same.

Versions of an object share their unchanged parts, so a comparison of equal inputs only compares addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Values by name, each with its inputs."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[object, ...], Any]] = {}

    def of(self, name: str, made_of: tuple[object, ...], work_out: Callable[[], T]) -> T:
        """The value of this name, computed again if the inputs have changed. Exceptions are not cached."""
        known = self._known.get(name)
        value: T = known[1] if known is not None and known[0] == made_of else work_out()
        self._known[name] = (made_of, value)
        return value
