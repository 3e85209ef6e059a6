"""The demo's live picture: everything that the story shows, in whatever room a terminal has."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from pyflagger.cli.demo.scenario import Shown
from pyflagger.cli.demo.views import BAR_MAX, BAR_MIN, Picture, bar_columns
from pyflagger.objects import Ref

STATUS = {"phase": "Progressing", "weight": 30, "iterations": 0, "failed": 0, "reason": "The step is held."}
CHECK = {
    "name": "request-duration",
    "value": 3.018,
    "unit": "ms",
    "min": None,
    "max": 500.0,
    "passed": True,
    "text": "",
}
HOOK = {"name": "acceptance-test", "hook": "pre-rollout", "passed": False, "text": "it returned 500: no"}
TRAFFIC = {"weight": 30, "total": 150, "failed": 2, "canary": 45, "share": 30.0, "visitors": {"everybody": 30.0}}
BEGIN = {"type": "Normal", "reason": "Release", "message": "version 6.0.1, a good one", "revision": "6.0.1"}


ABOUT = "A story whose description is longer than some terminals are wide [and] has brackets."


def event(number: int) -> dict[str, Any]:
    """One of many."""
    return {"type": "Normal", "reason": "Synced", "message": f"Advance podinfo.demo canary weight {number}"}


def drawn(width: int, height: int, events: int = 12) -> list[str]:
    """The lines of a picture in the middle of a story, on a terminal of that size."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    picture = Picture("nginx-canary", ABOUT, console)
    records = [("event", BEGIN), ("status", STATUS), ("check", CHECK), ("check", HOOK), ("traffic", TRAFFIC)]
    for kind, record in (*records, *(("event", event(number)) for number in range(events))):
        picture.show({"t": 12.3, "kind": kind, **record})
    with console.capture() as captured:
        console.print(picture.render())
    return captured.get().splitlines()


@pytest.mark.parametrize("width, height", [(200, 60), (110, 50), (100, 24), (80, 24), (60, 30), (40, 40)])
def test_everything_is_in_the_picture(width: int, height: int) -> None:
    """Phase, weight, checks with value and limit, why it waits, who sees what, the last event; and it fits."""
    lines = drawn(width, height)
    text = " ".join(" ".join(line.strip("│╭╮╰╯─ ") for line in lines).split())
    assert lines[0].count("nginx-canary") == 1
    for told in (
        ABOUT,
        "version 6.0.1, a good one",
        "Progressing",
        "30 %",
        "The step is held.",
        "request-duration 3.02 ms (≤ 500 ms) passed",
        "acceptance-test (pre-rollout) FAILED it returned 500: no",
        "everybody",
        "150 requests in the last second, 2 failed",
        "canary weight 11",
    ):
        assert told in text, "\n".join(lines)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert "…" not in text


@pytest.mark.parametrize("width", range(40, 130, 10))
def test_bars_are_whole(width: int) -> None:
    """A third of each is full, whatever their length: none is cut by the edge."""
    bars = [line for line in drawn(width, 60) if "░" in line]
    assert len(bars) == 2
    for bar in bars:
        full, empty = bar.count("█"), bar.count("░")
        assert BAR_MIN <= full + empty <= BAR_MAX
        assert full == round(0.3 * (full + empty))


def test_older_events_give_way() -> None:
    """A low terminal shows fewer of them, the last ones, in their order."""
    for height in (19, 20, 24, 60):
        shown = [line for line in drawn(80, height) if "canary weight" in line]
        numbers = [int(line.split("weight ")[1].split()[0]) for line in shown]
        assert numbers == list(range(12 - len(numbers), 12))
    assert len([line for line in drawn(80, 60) if "canary weight" in line]) == 8


def test_a_terminal_that_is_too_low_for_anything() -> None:
    """No events then; the rest is drawn as far as there is room."""
    assert not [line for line in drawn(80, 5) if "canary weight" in line]


@pytest.mark.parametrize("width, names, columns", [(100, [], 40), (60, ["everybody"], 25), (20, ["everybody"], 6)])
def test_the_length_of_bars(width: int, names: list[str], columns: int) -> None:
    """Long where there is room, never nothing."""
    assert bar_columns(width, names) == columns


def rows_of(picture: Picture, console: Console) -> list[str]:
    """The lines of a picture without its frame."""
    with console.capture() as captured:
        console.print(picture.render())
    return [line.strip("│ ") for line in captured.get().splitlines()]


def test_rows_keep_their_places() -> None:
    """A new release asks its checks in another order: each stays in the row that it had."""
    console = Console(file=io.StringIO(), width=100, height=40, force_terminal=True, color_system=None)
    picture = Picture("a", "b", console)
    for record in ({"kind": "event", **BEGIN}, {"kind": "check", **HOOK}, {"kind": "check", **CHECK}):
        picture.show({"t": 1.0, **record})
    before = [line for line in rows_of(picture, console) if line.startswith("check")]
    picture.show({"t": 2.0, "kind": "event", **BEGIN})
    fresh = [line for line in rows_of(picture, console) if line.startswith("check")]
    picture.show({"t": 3.0, "kind": "check", **CHECK})
    after = [line for line in rows_of(picture, console) if line.startswith("check")]
    names = ["acceptance-test", "request-duration"]
    for lines in (before, fresh, after):
        assert [line.split()[1] for line in lines] == names
    assert all("not checked yet" in line for line in fresh)
    assert "not checked yet" in after[0] and "passed" in after[1]


@pytest.mark.parametrize(
    ("expected", "phase", "shown"),
    [
        ("Failed", "Failed", "Failed, as expected"),
        ("Succeeded", "Failed", "Failed"),
        ("Failed", "Progressing", "Progressing"),
        ("Succeeded", "Succeeded", "Succeeded"),
    ],
)
def test_a_failure_that_the_story_wants(expected: str, phase: str, shown: str) -> None:
    """A bad version that is rolled back is the good end of its story."""
    console = Console(file=io.StringIO(), width=100, height=40, force_terminal=True, color_system=None)
    picture = Picture("a", "b", console)
    picture.show({"t": 1.0, "kind": "event", **BEGIN, "expected": expected})
    picture.show({"t": 2.0, "kind": "status", **STATUS, "phase": phase})
    (row,) = [line for line in rows_of(picture, console) if line.startswith("phase")]
    assert row.split(maxsplit=1)[1] == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "it scales"), ("0", "paused at 0"), (True, "paused at true"), ({"a": None}, 'paused at {"a": null}')],
)
def test_values_are_shown_as_manifests_have_them(value: object, text: str) -> None:
    """No `None`, no `True`."""
    shown = Shown(Ref("v1", "ConfigMap", "a", "b"), ("x",), "paused at", "it scales")
    assert shown.told(value) == text
