"""The result of a reconcile function: ordered writes, Events, and the time of the next reconciliation.

Every controller of the sandbox returns one, and `manager` carries it out. Nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pyflagger.objects import Obj, Write


class Key(NamedTuple):
    """One object for one controller. The namespace is empty for cluster-scoped kinds."""

    controller: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Said:
    """A Kubernetes Event about an object: the type `Normal` or `Warning`, a reason in one word, a message."""

    about: Obj
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one reconciliation. `look_again` is in seconds from now; None waits for the next change."""

    writes: tuple[Write, ...] = ()
    look_again: float | None = None
    said: tuple[Said, ...] = ()


NOTHING = Outcome()


def soonest(*waits: float | None) -> float | None:
    """The shortest wait. None means forever."""
    return min((wait for wait in waits if wait is not None), default=None)
