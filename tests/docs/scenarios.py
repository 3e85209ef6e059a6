"""The page of scenarios: what Flagger's own end-to-end suites play, and which tests play it here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from docs.tables import table

SCENARIOS = Path(__file__).parent / "scenarios.yaml"
HELD = {"traffic": "**traffic**", "server": "server", "virtual": "virtual"}
"""The best first."""

INTRO = """\
# Scenarios of the reference

Written by `make docs` from `tests/docs/scenarios.yaml`.

What Flagger's own end-to-end suites play, and which tests play it here. A word says on what:

- **traffic**: on a real control plane, behind a real proxy of that kind; requests were counted.
- server: on a real control plane, with the project's own definitions; no proxy that reads the objects.
- virtual: whole releases, or rendered objects, in virtual time on the embedded API server.

There are no suites for App Mesh, OSM and the Service Mesh Interface; what their routers are held to is in
[providers.md](providers.md), as are all abilities of all providers.
"""


def scenarios() -> dict[str, list[dict[str, Any]]]:
    """What the file says, by suite."""
    found: dict[str, list[dict[str, Any]]] = yaml.safe_load(SCENARIOS.read_text())
    return found


def named() -> Iterator[str]:
    """Ids of all tests that are named."""
    for rows in scenarios().values():
        for row in rows:
            yield from row["tests"]


def page() -> str:
    """All of it."""
    head = ["scenario", "held on", "tests", "what is not played, and why"]
    tables = (f"\n## {suite}\n\n{table(head, [_row(one) for one in found])}" for suite, found in scenarios().items())
    return INTRO + "".join(tables)


def _row(one: dict[str, Any]) -> list[str]:
    return [one["what"], HELD[one["held"]], ", ".join(f"`{test}`" for test in one["tests"]), one.get("lacks", "")]
