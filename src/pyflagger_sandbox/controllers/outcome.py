"""What a reconcile function returns: writes in order, what to say about it, and when to look again.

Made by every controller of the sandbox, carried out by `manager`. Nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pyflagger.objects import Obj, Write


class Key(NamedTuple):
    """Names one object for one controller; the namespace is empty for cluster-scoped kinds."""

    controller: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Said:
    """A Kubernetes Event about an object: `Normal` or `Warning`, a reason in one word, a sentence."""

    about: Obj
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of looking at one object. `look_again` is in seconds from now; None waits for the next change."""

    writes: tuple[Write, ...] = ()
    look_again: float | None = None
    said: tuple[Said, ...] = ()


NOTHING = Outcome()


def soonest(*waits: float | None) -> float | None:
    """The shortest of some waits, none counted as forever."""
    return min((wait for wait in waits if wait is not None), default=None)
