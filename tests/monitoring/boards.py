"""The dashboards of charts/grafana, from `boards.yaml`: the fleet, one release, and Flagger's three by their uids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from monitoring.panels import Board, Panel, Row

HERE = Path(__file__).with_name("boards.yaml")
FOLDER = Path(__file__).resolve().parents[2] / "charts" / "grafana" / "dashboards"


def _board(held: Mapping[str, Any]) -> Board:
    rows = [Row(**{**row, "panels": [Panel(**panel) for panel in row["panels"]]}) for row in held["rows"]]
    return Board(**{**held, "rows": rows})


BOARDS: Mapping[str, Board] = {name: _board(held) for name, held in yaml.safe_load(HERE.read_text()).items()}
"""By file name."""


def texts() -> Mapping[Path, str]:
    """The files, and what is in them."""
    return {FOLDER / f"{name}.json": json.dumps(board.to_json(), indent=1) + "\n" for name, board in BOARDS.items()}


def write() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for file, text in texts().items():
        file.write_text(text)
