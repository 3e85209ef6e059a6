"""The page of help texts: what `flagger help COMMAND` prints, for each command."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

import click

from pyflagger.cli.main import COMMANDS, SERVICES, main
from pyflagger.cli.people import Commands

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


def commands() -> Iterator[tuple[str, ...]]:
    """Each command, and those of a group after it."""
    for name in COMMANDS:
        yield (name,)
        if name not in SERVICES:
            found = Commands(COMMANDS).get_command(click.Context(click.Command("flagger")), name)
            yield from ((name, inner) for inner in getattr(found, "commands", {}))


def page() -> str:
    """All of it."""
    parts = [("flagger", helped()), *((f"flagger {' '.join(words)}", helped(*words)) for words in commands())]
    return INTRO + "".join(f"\n## `{name}`\n\n```text\n{text}\n```\n" for name, text in parts)
