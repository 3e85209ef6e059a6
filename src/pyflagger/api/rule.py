"""What a rule of `validate` is made of: what it may look at, and how it words a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Fault, Problem


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may look at."""

    canary: Canary
    provider: str
    capabilities: Capabilities
    known_providers: Sequence[str]
    no_cross_namespace: bool


def wrong(path: str, what: str, todo: str = "") -> Problem:
    """A problem of the manifest at a path."""
    return Problem(Fault.MANIFEST, f"{path} {what}", todo or f"Correct {path}.", path)
