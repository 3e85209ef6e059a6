"""The printed columns of custom resources: JSON paths, and times as kubectl shows them."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.admission.crd import columns
from pyflagger.admission.jsonpath import compiled
from pyflagger.admission.times import age, duration, epoch

OBJ = {"a": {"b.c": 1, "list": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}, "n": None}


@pytest.mark.parametrize(
    "path, found",
    [
        (".a.list[0].type", ["Ready"]),
        (".a.list[-1].type", ["Other"]),
        ("a.list[*].status", ["True", "False"]),
        ('.a.list[?(@.type=="Ready")].status', ["True"]),
        (".a['b.c']", [1]),
        (r".a.b\.c", [1]),
        (".a.none", []),
        (".a[0]", []),
        (".n", []),
        (".a[", []),
    ],
)
def test_a_path(path: str, found: list[Any]) -> None:
    """The values at it; none for a path that cannot be read."""
    assert compiled(path)(OBJ) == found


@pytest.mark.parametrize(
    "seconds, shown",
    [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (185, "3m5s"),
        (600, "10m"),
        (3 * 3600 + 120, "3h2m"),
        (9 * 3600, "9h"),
        (50 * 3600, "2d2h"),
        (20 * 86400, "20d"),
        (3 * 365 * 86400 + 86400, "3y1d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_a_duration(seconds: float, shown: str) -> None:
    """Two figures where the first is small."""
    assert duration(seconds) == shown


def test_an_age() -> None:
    """Unknown without a time that can be read."""
    now = epoch("2026-01-01T00:02:00Z")
    assert age("2026-01-01T00:00:00Z", now) == "2m"
    assert age("2026-01-01T01:00:00+01:00", now) == "2m"
    assert [age(value, now) for value in (None, "yesterday", 5)] == ["<unknown>"] * 3


def test_the_columns_of_a_definition() -> None:
    """A name first; several values are joined, booleans are in lower case, a date is an age."""
    declared = [
        {"name": "Types", "type": "string", "jsonPath": ".list[*].t"},
        {"name": "On", "type": "boolean", "jsonPath": ".on"},
        {"name": "Text", "type": "string", "jsonPath": ".on"},
        {"name": "Since", "type": "date", "jsonPath": ".since"},
        {"name": "None", "type": "string", "jsonPath": ".none"},
    ]
    obj = {"metadata": {"name": "x"}, "list": [{"t": "a"}, {"t": "b"}], "on": True, "since": "2026-01-01T00:00:00Z"}
    now = epoch("2026-01-01T00:05:00Z")
    assert [column.cell(obj, now) for column in columns(declared)] == ["x", "a,b", True, "true", "5m", None]
    assert [column.name for column in columns(None)] == ["Name", "Age"]
