"""The Events of a canary and of its objects, by their names: objects that are gone have Events too.

Used by `flagger events` and the dashboard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyflagger.api.durations import epoch_or_none
from pyflagger.objects import Obj, part
from pyflagger.seeing import raw
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import CanaryView, EventView, RecordView, Time

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


def timeline(view: CanaryView, records: Iterable[RecordView]) -> list[EventView]:
    """The Events of a view. Without any, the newest release as its record tells it."""
    newest = max(records, key=lambda each: each.release.number, default=None)
    return list(view.events) or (in_order(recorded(newest)) if newest else [])


def recorded(record: RecordView) -> Iterator[EventView]:
    """The begin of a release, its rounds, its waits and its end, as Events."""
    release = record.release
    about = f"Release {release.number}"
    if release.started is not None:
        yield _told(release.started, about, f"began{f': {release.cause}' if release.cause else ''}")
    for each in record.rounds:
        yield from _round(each, about)
    for each in record.waits:
        at = epoch_or_none(raw.text(each, "from"))
        if at is not None:
            yield _told(at, about, raw.text(each, "text"))
    if release.finished is not None:
        failed = release.outcome not in ("Promoted", "Initialized")
        yield _told(release.finished, about, release.text or release.outcome, warning=failed)


def _round(found: Mapping[str, Any], about: str) -> Iterator[EventView]:
    at = epoch_or_none(raw.text(found, "at"))
    if at is None or found.get("gap"):
        return
    results = [each for key in ("checks", "hooks") for each in raw.items(found, key)]
    bad = [raw.text(each, "name") for each in results if raw.text(each, "verdict") != "pass"]
    said = f"not passed: {', '.join(bad)}" if bad else "all passed"
    yield _told(at, about, f"round at weight {raw.number(found, 'weight')}: {said}", warning=bool(bad))


def _told(at: float, about: str, text: str, *, warning: bool = False) -> EventView:
    return EventView(Time(at), "Warning" if warning else "Normal", about, "Recorded", text, 1)
