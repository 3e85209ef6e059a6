"""`flagger list`: the columns on terminals of any width, and the other forms of output."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyflagger.cli.listing import lines, printed
from pyflagger.cli.text import Screen
from pyflagger.objects import Obj
from pyflagger.seeing.fleet import row
from pyflagger.seeing.model import FleetRow, Image
from pyflagger.seeing.words import age, changed
from seeing.test_fleet import NOW, canary, condition, judged


def named(obj: Obj, name: str, namespace: str = "shop") -> FleetRow:
    """The row of a Canary of that name."""
    return row({**obj, "metadata": {**obj["metadata"], "name": name, "namespace": namespace}}, NOW)


ROWS = [
    named(
        canary("Progressing", judged(5), condition("Halted", message="success rate 93.10% < 99%", since=NOW - 40),
               canaryWeight=40, failedChecks=4),
        "cart",
    ),
    named(canary("Waiting", condition("Promoted", "Unknown", message="Gate approve is closed.")), "web"),
    named(canary("Succeeded", lastTransitionTime="2027-01-12T08:00:00Z"), "billing"),
]  # fmt: skip


def test_the_columns() -> None:
    """Aligned, cut nowhere."""
    assert lines(ROWS, NOW, Screen(), namespaces=False, wide=False) == [
        "NAME     STATE      WEIGHT  STEP  FAILED  WAITS FOR                  SINCE",
        "cart     ▼ failing      40   2/3     4/5  success rate 93.10% < 99%    40s",
        "web      ◷ waiting       0   0/3     0/5  Gate approve is closed.       1m",
        "billing  ● idle          -     -       -  -                             3d",
    ]


@pytest.mark.parametrize("width", [60, 66, 72, 80, 200])
def test_a_terminal_cuts_texts_and_no_names(width: int) -> None:
    """No line is longer than the terminal, as long as the texts have room to be cut."""
    found = lines(ROWS, NOW, Screen(width), namespaces=False, wide=False)
    assert all(len(line) <= max(width, 65) for line in found)
    assert [line.split()[0] for line in found] == ["NAME", "cart", "web", "billing"]


def test_without_unicode() -> None:
    """Icons are letters, and the cut is three dots."""
    found = lines(ROWS, NOW, Screen(66, unicode=False), namespaces=False, wide=False)
    assert "v failing" in found[1] and found[1].isascii() and "..." in found[1]


def test_colours() -> None:
    """The state has a colour; alignment stays."""
    found = lines(ROWS, NOW, Screen(colour=True), namespaces=False, wide=False)
    assert "\x1b[31m▼ failing\x1b[0m" in found[1]


def test_wide_with_namespaces() -> None:
    """More columns on request."""
    head, first, *_ = lines(ROWS, NOW, Screen(), namespaces=True, wide=True)
    assert head.split()[:2] == ["NAMESPACE", "NAME"] and head.endswith("RELEASE  IMAGE  PROVIDER")
    assert first.startswith("shop ") and first.endswith("-  -      nginx")


@pytest.mark.parametrize(
    "image, said",
    [
        (Image("app", "r.io:5000/x/app:1.0", "r.io:5000/x/app:1.1"), "1.0 → 1.1"),
        (Image("app", "app", "app:2"), "app → 2"),
        (Image("app", "app:1", "app@sha256:0123456789abcdef"), "1 → sha256:0123456789ab"),
        (Image("app", "", "app:2"), "? → 2"),
    ],
)
def test_images_by_their_tags(image: Image, said: str) -> None:
    """Tags, digests cut short, unknown images."""
    assert changed([image]) == said


@pytest.mark.parametrize(
    "seconds, said",
    [(0, "0s"), (-3, "0s"), (59, "59s"), (60, "1m"), (80, "1m20s"), (599, "9m59s"), (720, "12m"), (7300, "2h"),
     (3 * 86400, "3d")],
)  # fmt: skip
def test_ages(seconds: float, said: str) -> None:
    """The largest unit, and two of them below ten minutes."""
    assert age(seconds) == said


def test_documents() -> None:
    """JSON for scripts, YAML, names."""
    read: Any = json.loads(printed(ROWS, "json"))
    assert [each["name"] for each in read["items"]] == ["cart", "web", "billing"]
    assert "kind: Fleet" in printed(ROWS, "yaml")
    assert printed(ROWS, "name").splitlines()[0] == "canary.flagger.app/cart"
