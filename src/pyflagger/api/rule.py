"""The input of a rule of `validate`, and the helper that builds the problem it reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Fault, Problem


@dataclass(frozen=True, slots=True)
class Context:
    """The input of a rule."""

    canary: Canary
    provider: str
    capabilities: Capabilities
    known_providers: Sequence[str]
    no_cross_namespace: bool


def wrong(path: str, what: str, todo: str = "") -> Problem:
    """A problem of the manifest. `what` continues the sentence that begins with the path."""
    return Problem(Fault.MANIFEST, f"{path} {what}", todo or f"Correct {path}.", path)
