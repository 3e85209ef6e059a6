"""The releases of a canary, as their records say. Called by `flagger history` and by the view of one canary."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyflagger.objects import Obj, part
from pyflagger.seeing import raw
from pyflagger.seeing.model import Image, RecordView, ReleaseView

CONTEXT_LINES = 3


def releases(records: Iterable[Obj]) -> tuple[ReleaseView, ...]:
    """The releases, the newest first."""
    return tuple(sorted(map(release_of, records), key=lambda each: each.number, reverse=True))


def release_of(record: Obj) -> ReleaseView:
    """The head of a record."""
    spec, status = part(record, "spec"), part(record, "status")
    reason = part(status, "reason")
    return ReleaseView(
        number=raw.number(spec, "number"),
        outcome=raw.text(status, "outcome"),
        revision=raw.text(spec, "revision"),
        cause=raw.text(spec, "cause"),
        images=tuple(Image(*(raw.text(each, key) for key in IMAGE)) for each in raw.items(spec, "images")),
        changes=tuple(each for each in spec.get("changes") or () if isinstance(each, str)),
        weight=raw.number(status, "weight"),
        failed=raw.number(status, "failedChecks"),
        threshold=raw.number(part(spec, "plan"), "threshold"),
        started=raw.time(spec, "startedAt"),
        finished=raw.time(status, "finishedAt"),
        took=raw.text(status, "took"),
        code=raw.text(reason, "code"),
        text=raw.text(reason, "text"),
        todo=raw.text(reason, "todo"),
    )


IMAGE = ("container", "old", "new")


def record_of(record: Obj) -> RecordView:
    """The whole record."""
    spec, status = part(record, "spec"), part(record, "status")
    return RecordView(
        release=release_of(record),
        origin=raw.number(part(spec, "from"), "number"),
        plan=part(spec, "plan"),
        checks=raw.items(spec, "checks"),
        hooks=raw.items(spec, "hooks"),
        rounds=raw.items(status, "rounds"),
        skipped=raw.number(status, "skipped"),
        waits=raw.items(status, "waits"),
        actions=raw.items(status, "actions"),
        template=part(status, "template") or None,
        template_omitted=raw.text(status, "templateOmitted"),
    )


def difference(old: RecordView, new: RecordView) -> tuple[str, ...]:
    """The lines of a unified diff of two releases: pod template, plan, checks and hooks."""
    before, after = (f"release {each.release.number}" for each in (old, new))
    pages = [*_page(old)], [*_page(new)]
    return tuple(difflib.unified_diff(*pages, before, after, n=CONTEXT_LINES, lineterm=""))


def _page(record: RecordView) -> Iterator[str]:
    """The parts of a record that two releases share, a value a line."""
    template: Any = record.template if record.template is not None else _omitted(record)
    parts = {"plan": record.plan, "checks": record.checks, "hooks": record.hooks, "template": template}
    for name, value in parts.items():
        yield from _lines(name, value)


def _omitted(record: RecordView) -> str:
    return record.template_omitted or f"not kept: the release ended as {record.release.outcome}"


def _lines(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _lines(f"{path}.{key}", value[key])
    elif isinstance(value, list | tuple):
        for at, each in enumerate(value):
            named = each.get("name") if isinstance(each, Mapping) else None
            yield from _lines(f"{path}[{named or at}]", each)
    else:
        yield f"{path}: {value if isinstance(value, str) else json.dumps(value)}"
