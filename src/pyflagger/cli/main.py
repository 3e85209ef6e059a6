"""`flagger`: which command runs. Services take Go-style flags, the rest is for people.

A first word that is a flag means `run`, so that the image's entry point is a drop-in for the reference's. Commands are
imported when chosen: the operator never pays for what only people use.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from pyflagger import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("pyflagger.cli.run", "the operator (Go-style flags; also what `flagger -flag…` means)"),
    "loadtester": ("pyflagger.cli.loadtester", "the load-tester service (Go-style flags)"),
    "crds": ("pyflagger.cli.crds", "print the CustomResourceDefinitions as YAML"),
    "lint": ("pyflagger.cli.lint", "check manifests before they reach a cluster"),
    "sandbox": ("pyflagger.cli.sandbox", "a small cluster on this machine, until Ctrl-C"),
    "demo": ("pyflagger.cli.demo", "play a release on the sandbox and watch it"),
}


def usage() -> str:
    """What can be said to `flagger`."""
    lines = ["usage: flagger COMMAND [OPTIONS]", ""]
    lines += [f"  {name:<12}{text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join([*lines, "", "`flagger COMMAND --help` says more."])


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status (2: the command line is wrong)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "-help", "help"):
        print(usage())
        return 0
    if words[0] in ("version", "--version"):
        print(f"Flagger version {__version__} revision  unknown")
        return 0
    if words[0].startswith("-"):
        words.insert(0, "run")
    if words[0] not in COMMANDS:
        print(f"flagger: unknown command {words[0]!r}\n\n{usage()}", file=sys.stderr)
        return 2
    command = importlib.import_module(COMMANDS[words[0]][0])
    return int(command.main(words[1:]))


if __name__ == "__main__":
    sys.exit(main())
