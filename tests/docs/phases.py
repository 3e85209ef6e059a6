"""The diagrams of the phases, drawn from the table of a release."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pyflagger.api.status import Phase
from pyflagger.core.transitions import following

BLOCK = re.compile(r"```mermaid\nstateDiagram-v2\n.*?```\n", re.DOTALL)
"""Where a diagram stands on its page."""

Arrow = tuple[Phase, Phase, str]
"""From, to, and the events that lead there."""

KINDS = ("good", "failed", "cancelled")
DELETED, RESTORED = "deleted", "restored"
REST = "AnyOtherPhase"
"""The state of the last diagram that stands for every phase with the arrow `deleted`."""


def diagrams() -> list[str]:
    """A good release, a failed one, a cancelled one, and deletion. Each transition is an arrow of exactly one."""
    return [*(_drawn([arrow for arrow in arrows() if _kind(arrow) == kind]) for kind in KINDS), _ends()]


def arrows() -> Iterator[Arrow]:
    """All transitions, with their events."""
    for phase in Phase:
        for to, events in following(phase).items():
            yield phase, to, ", ".join(events)


def _kind(arrow: Arrow) -> str:
    before, after, events = arrow
    if events in (DELETED, RESTORED):
        return ""
    if Phase.FAILED in (before, after):
        return "failed"
    return "cancelled" if " is back" in events or "primary gone" in events else "good"


def _drawn(found: Sequence[Arrow], rest: Phase | None = None) -> str:
    label = {phase: REST if phase is rest else name(phase) for phase in Phase}
    titles = [f'    state "any other phase" as {REST}'] if rest is not None else []
    lines = (f"    {label[before]} --> {label[after]}: {events}" for before, after, events in found)
    return "\n".join(["```mermaid", "stateDiagram-v2", *titles, *lines, "```", ""])


def _ends() -> str:
    """Every phase can be left by a deletion, so one state stands for all that have no other arrow here."""
    restored = [arrow for arrow in arrows() if arrow[2] == RESTORED]
    named = {phase for arrow in restored for phase in arrow[:2]}
    deleted = [arrow for arrow in arrows() if arrow[2] == DELETED]
    rest = next(arrow for arrow in deleted if arrow[0] not in named)
    return _drawn([rest, *(arrow for arrow in deleted if arrow[0] in named), *restored], rest[0])


def name(phase: Phase) -> str:
    """A phase as the diagrams name it."""
    return phase.value or "New"
