"""The rounds of releases as charts and as rows of a table. Pure. Used by `pages`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pyflagger.api.durations import epoch_or_none
from pyflagger.core.verdict import UNITS
from pyflagger.dashboard.chart import Chart, Flag, Point, Series, chart
from pyflagger.dashboard.words import clock_text, number
from pyflagger.objects import part
from pyflagger.seeing import raw
from pyflagger.seeing.model import ActionView, RecordView
from pyflagger.seeing.words import age


class Result(NamedTuple):
    """The result of a check or hook in a round."""

    verdict: str
    value: float | None
    text: str


class Row(NamedTuple):
    """A judged round. `results`: of checks and hooks, in the order of the heads. `gap`: the end of a time without."""

    at: float
    weight: int
    iteration: int
    results: tuple[Result | None, ...]
    end: str
    gap: float | None = None


class Table(NamedTuple):
    """The rounds of a release. `heads`: the names of its checks and hooks."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]


class Drawn(NamedTuple):
    """A check of a release with its chart. `chart` is None before the first round."""

    name: str
    unit: str
    min: float | None
    max: float | None
    chart: Chart | None


def last_round(canary: Mapping[str, Any], record: RecordView) -> tuple[Mapping[str, Any], ...]:
    """The round that only the status of a Canary has: a record under way is written once a minute."""
    status = part(canary, "status")
    found, at = part(status, "round"), raw.text(raw.holding(status).get("Judged", {}), "lastUpdateTime")
    known = raw.text(record.rounds[-1], "at") if record.rounds else ""
    mine = (
        record.release.outcome == "Running" and raw.number(part(status, "release"), "number") == record.release.number
    )
    return ({**found, "at": at},) if mine and found and at > known else ()


def drawn(record: RecordView, requests: Sequence[ActionView] = ()) -> tuple[Drawn, ...]:
    """The checks of a release with their charts, on one axis of time. Requests that were carried out are flags."""
    flags = [Flag(each.decided, _asked(each)) for each in requests if each.state == "Done" and each.decided is not None]
    return tuple(_drawn(each, [record], said_at, flags) for each in record.checks)


def _asked(request: ActionView) -> str:
    reason = f": {request.reason}" if request.reason else ""
    return f"{clock_text(request.decided or 0.0)}, {request.action} by {request.by}{reason}"


def overlaid(old: RecordView, new: RecordView) -> tuple[Drawn, ...]:
    """The checks that one of two releases has, with the rounds of both, by the time since each began."""
    checks = {raw.text(each, "name"): each for each in (*old.checks, *new.checks)}
    return tuple(_drawn(each, [old, new], said_after) for each in checks.values())


def said_at(_: Series, point: Point) -> str:
    """A point of one release in words."""
    return f"{clock_text(point.at)}, weight {point.weight}: {_said(point)}"


def said_after(series: Series, point: Point) -> str:
    """A point of one of two releases in words."""
    return f"{series.name}, after {age(point.at)}, weight {point.weight}: {_said(point)}"


def _said(point: Point) -> str:
    value = "" if point.value is None else f"{number(point.value)} "
    return f"{value}{point.verdict}{f', {point.text}' if point.text and point.verdict != 'pass' else ''}"


def _drawn(
    check: Mapping[str, Any],
    records: Sequence[RecordView],
    told: Callable[[Series, Point], str],
    flags: Sequence[Flag] = (),
) -> Drawn:
    name, source = raw.text(check, "name"), raw.text(check, "source")
    unit = UNITS.get(name, "") if source == "builtin" else ""
    low, high = _limit(check, "min"), _limit(check, "max")
    begins = [0.0] if len(records) == 1 else [each.release.started or 0.0 for each in records]
    series = [
        Series(f"release {each.release.number}", tuple(_points(each, name, begin)))
        for each, begin in zip(records, begins, strict=True)
    ]
    return Drawn(name, unit, low, high, chart(series, low, high, unit, told, flags))


def _limit(check: Mapping[str, Any], key: str) -> float | None:
    value = check.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _points(record: RecordView, name: str, begin: float) -> Iterator[Point]:
    """A check in the rounds of a record, by the seconds since `begin`."""
    for each in record.rounds:
        at = epoch_or_none(raw.text(each, "at"))
        found = next((one for one in raw.items(each, "checks") if raw.text(one, "name") == name), None)
        if at is not None and found is not None:
            result = _result(found)
            yield Point(at - begin, result.value, result.verdict, result.text, raw.number(each, "weight"))


def _result(found: Mapping[str, Any]) -> Result:
    return Result(raw.text(found, "verdict") or "unknown", _limit(found, "value"), raw.text(found, "text"))


def table(record: RecordView) -> Table:
    """The rounds of a record, a row each."""
    heads = [(key, raw.text(each, "name")) for key in ("checks", "hooks") for each in getattr(record, key)]
    return Table(tuple(name for _, name in heads), tuple(_row(each, heads) for each in record.rounds))


def _row(found: Mapping[str, Any], heads: Sequence[tuple[str, str]]) -> Row:
    gap = found.get("gap")
    lost = epoch_or_none(gap[-1]) if isinstance(gap, list) and gap and isinstance(gap[-1], str) else None
    by_name = {
        (key, raw.text(each, "name")): _result(each) for key in ("checks", "hooks") for each in raw.items(found, key)
    }
    return Row(
        at=epoch_or_none(raw.text(found, "at")) or 0.0,
        weight=raw.number(found, "weight"),
        iteration=raw.number(found, "iteration"),
        results=tuple(by_name.get(head) for head in heads),
        end=raw.text(found, "end"),
        gap=lost,
    )
