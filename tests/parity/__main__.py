"""`python -m parity TREE`: read a source tree of Flagger, and write `reference.json` and docs/parity.md."""

from __future__ import annotations

import sys
from pathlib import Path

from parity import reference, table

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m parity TREE (a source tree of Flagger, such as a clone at a tag)")
    reference.keep(Path(sys.argv[1]))
    table.PAGE.write_text(table.page())
