"""A row of the corpus of `flagger explain`: a state of a canary, what must be said first, and what ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from explain.shop import Shop

Act = Callable[[Shop], Awaitable[None]]


class State(NamedTuple):
    """A state. `made` brings the canary into it, and `mended` carries out the remedy and sees the release go on.

    `code`: of the first cause. `text`: a phrase of the explanation before DO. `do`: a phrase of the advice or of a
    command. `said`: a phrase of a condition or Event of the operator; empty if it says none. `quick`: for each run.
    `options`: those of the operator.
    """

    number: int
    made: Act
    code: str
    text: str
    do: str
    mended: Act
    said: str = ""
    quick: bool = False
    options: Mapping[str, Any] = MappingProxyType({})
