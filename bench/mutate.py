"""`python -m bench.mutate`: every small breakage of the core's judging, and which of them no test notices.

Works on a copy of the tree, so a run that is stopped leaves nothing broken behind. Prints the survivors as diffs;
`docs/mutation.md` says of each why it may live. Needs cosmic-ray (the extra `mutate`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BROKEN = ("core/conditions.py", "core/verdict.py")
"""What is broken: the table of phases with what it writes, and the judging of a value."""

NEAR = " ".join(f"tests/core/test_{name}.py" for name in ("verdict", "transitions", "halted", "waiting"))
"""What should notice first: most breakages end after two seconds."""

TESTS = "tests/core"
"""What should notice the rest."""

CONFIG = """
[cosmic-ray]
module-path = [{modules}]
timeout = 900.0
excluded-modules = []
test-command = "sh -c '{test} {near} && {test} {tests}'"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/ReplaceBinaryOperator_BitOr_.*"]
"""
"""A `|` occurs in annotations only, and an annotation decides nothing."""


def main() -> int:
    """Breaks, tests, and reports."""
    with tempfile.TemporaryDirectory(prefix="mutate-") as name:
        place = Path(name)
        for part in ("src", "tests", "examples", "docs"):
            shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "Makefile", "README.md"):
            shutil.copy(ROOT / part, place / part)
        modules = ", ".join(f'"src/pyflagger/{module}"' for module in BROKEN)
        test = f"{sys.executable} -m pytest -q -x -p no:cacheprovider"
        (place / "mutate.toml").write_text(CONFIG.format(modules=modules, test=test, near=NEAR, tests=TESTS))
        environment = os.environ | {"PYTHONPATH": str(place / "src"), "PYTHONDONTWRITEBYTECODE": "1"}

        def tool(*argv: str) -> None:
            subprocess.run([Path(sys.executable).with_name(argv[0]), *argv[1:]], cwd=place, env=environment, check=True)

        tool("cosmic-ray", "init", "mutate.toml", "session.sqlite")
        tool("cr-filter-operators", "session.sqlite", "mutate.toml")
        tool("cosmic-ray", "exec", "mutate.toml", "session.sqlite")
        tool("cr-report", "session.sqlite", "--surviving-only", "--show-diff")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
