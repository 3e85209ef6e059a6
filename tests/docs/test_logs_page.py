"""The log by its schema: the source gives no field that the docs do not have, and a release shows it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import structlog

from docs.fields import TABLE, fields, given
from pyflagger import logs
from pyflagger.logs import FIELDS
from pyflagger.operator.process.telemetry import Telemetry
from stage.manifests import analysis
from stage.story import Story

PAGE = Path(__file__).resolve().parents[2] / "docs" / "observability.md"
TYPES = {"text": str, "number": (int, float), "boolean": bool, "list of texts": list}


def test_the_table_is_the_schema() -> None:
    """`make docs` writes it."""
    found = TABLE.search(PAGE.read_text())
    assert found and found[0].strip() == fields().strip()


def test_every_field_of_the_source_is_in_it() -> None:
    """A new field needs a line in `pyflagger.logs.FIELDS`, and an old line needs a field."""
    words = list(given())
    assert [(place, name) for place, name in words if name not in FIELDS] == []
    own = {"level", "ts", "caller", "msg", "exception"}
    assert set(FIELDS) - own - {name for _, name in words} == set()


@pytest.mark.looptime
async def test_the_lines_of_releases_follow_it() -> None:
    """A good and a bad release: JSON objects with known fields of the documented types, level first."""
    stream, before = io.StringIO(), structlog.get_config()
    try:
        logs.configure("debug", "json", stream)
        for bad in (False, True):
            story = Story("linkerd", bad=bad, analysis=analysis())
            await story.begin()
            await story.change()
            await story.until("Failed" if bad else "Succeeded")
            await story.stage.stop()
    finally:
        structlog.configure(**before)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) > 20
    for line in lines:
        assert list(line)[:4] == ["level", "ts", "caller", "msg"]
        assert line["level"] in ("info", "warn", "error")
        for name, value in line.items():
            assert isinstance(value, TYPES[FIELDS[name][0]]), (name, value)


def test_metrics_of_the_process_exist() -> None:
    """Each metric of ours in the table is exposed, and none that is exposed is missing from it."""
    rows = re.findall(r"^\| `(?:go|process)_.*?\| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    ours = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    text = Telemetry("1", "nginx").expose({}).decode()
    exposed = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert ours - exposed == set()
    unmapped = {"python_gc_objects_uncollectable_total", "process_virtual_memory_max_bytes"}
    assert {name for name in exposed if name.startswith(("process_", "python_"))} - unmapped <= ours
