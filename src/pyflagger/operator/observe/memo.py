"""What was worked out for one canary, kept as long as what it was made of stays the same.

Used by `operator.observe`. Objects share the parts that did not change from one version to the next, so comparing what
is the same is comparing addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Values by name, each beside what it was made of."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[object, ...], Any]] = {}

    def of(self, name: str, made_of: tuple[object, ...], work_out: Callable[[], T]) -> T:
        """The value of that name; worked out when it was made of something else so far. An exception is not kept."""
        known = self._known.get(name)
        value: T = known[1] if known is not None and known[0] == made_of else work_out()
        self._known[name] = (made_of, value)
        return value
