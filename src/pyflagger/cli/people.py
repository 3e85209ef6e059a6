"""Commands for interactive use, based on click: help, completion, suggestions, one-line errors.

A command's module holds `command`, a click.Command whose callback returns the exit status, or several in `commands`.
`flagger run` and `flagger loadtester` never import this: they take Go-style flags, and the operator's memory is
measured.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from pyflagger.api import durations

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}
SANDBOX = "pyflagger_sandbox"
LEVELS = ("debug", "info", "warning", "error", "fatal")


class Words(click.Command):
    """A command whose long options also take one dash, as in Go: `flagger sandbox -mesh-provider linkerd`."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **{"context_settings": SETTINGS} | more)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give long options their second dash."""
        known = {name for param in self.get_params(ctx) for name in param.opts if name.startswith("--")}
        return super().parse_args(ctx, [f"-{word}" if f"-{word.partition('=')[0]}" in known else word for word in args])


class Commands(click.Group):
    """All commands of `flagger`, from a table of module and short help by name. Imports the selected module only."""

    def __init__(self, table: Mapping[str, tuple[str, str]], name: str = "flagger") -> None:
        super().__init__(name, context_settings=SETTINGS, help="Progressive delivery for Kubernetes.")
        self.table = table
        self.epilog = f"`{name} help COMMAND` explains a command."
        if name == "flagger":
            self.epilog += " `flagger -FLAG…` means `flagger run -FLAG…`."

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A command; None for a service or an unknown name."""
        if name not in self.table:
            return None
        try:
            module = importlib.import_module(self.table[name][0])
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != SANDBOX:
                raise
            return _uninstalled(name)
        found: click.Command | None = getattr(module, "commands", {}).get(name) or getattr(module, "command", None)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The short helps, without an import."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self.table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands, without an import."""
        return [
            CompletionItem(name, help=about) for name, (_, about) in self.table.items() if name.startswith(incomplete)
        ]


def _uninstalled(name: str) -> click.Command:
    """Replaces a command of the sandbox if that package is not installed, and says what to install."""

    def tell() -> int:
        print(f"flagger {name}: the sandbox is not installed: pip install 'pyflagger[sandbox]'", file=sys.stderr)
        return 1

    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    return click.Command(name, callback=tell, context_settings=settings)


class Duration(click.ParamType[float]):
    """A Go duration such as `10s` or `1m30s`, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a duration, to seconds."""
        try:
            return value if isinstance(value, float) else durations.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def call(command: click.Command, argv: Sequence[str], name: str) -> int:
    """Run a command. Returns its exit status: 2, after one line on stderr, if the command line is invalid."""
    try:
        return int(command.main(list(argv), name, standalone_mode=False) or 0)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else name
        print(f"{path}: {error.format_message()}\nTry `{path} --help`.", file=sys.stderr)
        return error.exit_code
    except click.Abort:
        return 130
