"""The page of help texts: what `flagger help COMMAND` prints, for each command."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from pyflagger.cli.main import COMMANDS, main

COLUMNS = "100"
INTRO = """\
# Help texts

Written by `make docs`: what `flagger help COMMAND` prints. [Commands and flags](../commands.md) explains more.
"""


def helped(*command: str) -> str:
    """The help text of a command, or of `flagger` itself, as a terminal of 100 columns shows it."""
    told = io.StringIO()
    with patch.dict(os.environ, COLUMNS=COLUMNS, NO_COLOR="1"), redirect_stdout(told), redirect_stderr(told):
        main(["help", *command])
    return "\n".join(line.rstrip() for line in told.getvalue().strip().splitlines())


def page() -> str:
    """All of it."""
    parts = [("flagger", helped()), *((f"flagger {name}", helped(name)) for name in COMMANDS)]
    return INTRO + "".join(f"\n## `{name}`\n\n```text\n{text}\n```\n" for name, text in parts)
