"""`flagger completion SHELL`: prints a script that completes commands, options and their values in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pyflagger.cli.main import COMMANDS, COMPLETING
from pyflagger.cli.people import Commands, Words


@click.command(cls=Words)
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
def command(shell: str) -> None:
    """Print the completion script of a shell, for example: source <(flagger completion bash)"""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(Commands(COMMANDS), {}, "flagger", COMPLETING).source())
