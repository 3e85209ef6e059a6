"""The page of help texts: what `flagger help COMMAND` prints, for each command."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from pyflagger.cli.main import COMMANDS

COLUMNS = "100"
INTRO = """\
# Help texts

Written by `make docs`: what `flagger help COMMAND` prints. [Commands and flags](../commands.md) explains more.
"""


def helped(*command: str) -> str:
    """The help text of a command, or of `flagger` itself, as a terminal of 100 columns shows it."""
    words = [sys.executable, "-m", "pyflagger.cli.main", "help", *command]
    environ = {**os.environ, "COLUMNS": COLUMNS, "NO_COLOR": "1"}
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ, timeout=60)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def page() -> str:
    """All of it."""
    with ThreadPoolExecutor(2) as workers:
        texts = list(workers.map(helped, COMMANDS))
    parts = [("flagger", helped()), *((f"flagger {name}", text) for name, text in zip(COMMANDS, texts, strict=True))]
    return INTRO + "".join(f"\n## `{name}`\n\n```text\n{text}\n```\n" for name, text in parts)
