"""The Events of a canary and of its objects, by their names: objects that are gone have Events too.

Used by `flagger events`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pyflagger.objects import Obj, part
from pyflagger.seeing import raw
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import EventView

RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
"""The characters that Kubernetes puts in names of its own. Words are not made of them."""


class Owns:
    """Whether an Event is about a canary, its workloads, their ReplicaSets or pods, or the objects that route it."""

    def __init__(self, look: Look) -> None:
        compiled, meta = look.compiled, look.canary["metadata"]
        workloads = {compiled.target, compiled.primary}
        self._named = {("Canary", meta["name"]), *((ref.kind, ref.name) for ref in (*workloads, *compiled.routes))}
        names = "|".join(re.escape(ref.name) for ref in workloads)
        self._made = {
            "ReplicaSet": re.compile(f"({names})-{RANDOM}+"),
            "Pod": re.compile(f"({names})(-{RANDOM}+)?-{RANDOM}{{5}}"),
        }

    def __call__(self, event: Obj) -> bool:
        """Whether it is."""
        about = part(event, "involvedObject")
        kind, name = raw.text(about, "kind"), raw.text(about, "name")
        pattern = self._made.get(kind)
        return (kind, name) in self._named or bool(pattern and pattern.fullmatch(name))


def event_of(obj: Obj) -> EventView:
    """An Event."""
    about = part(obj, "involvedObject")
    at = raw.time(obj, "lastTimestamp") or raw.time(obj, "eventTime") or raw.time(obj["metadata"], "creationTimestamp")
    return EventView(
        at=at,
        type=raw.text(obj, "type"),
        object=f"{raw.text(about, 'kind')} {raw.text(about, 'name')}",
        reason=raw.text(obj, "reason"),
        text=raw.text(obj, "message"),
        times=raw.number(obj, "count") or 1,
    )


def in_order(events: Iterable[EventView], since: float = 0.0) -> list[EventView]:
    """Events by their time, without those before `since`."""
    return sorted((each for each in events if (each.at or 0.0) >= since), key=lambda each: each.at or 0.0)
