"""The diagram of the phases, drawn from the table of a release."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyflagger.api.status import Phase
from pyflagger.core.transitions import following

BLOCK = re.compile(r"```mermaid\nstateDiagram-v2\n.*?```\n", re.DOTALL)
"""Where the diagram stands on its page."""


def diagram() -> str:
    """An arrow for each transition, with the events that lead to it."""
    return "\n".join(["```mermaid", "stateDiagram-v2", *_arrows(), "```", ""])


def _arrows() -> Iterator[str]:
    for phase in Phase:
        for to, events in following(phase).items():
            yield f"    {name(phase)} --> {name(to)}: {', '.join(events)}"


def name(phase: Phase) -> str:
    """A phase as the diagram names it."""
    return phase.value or "New"
