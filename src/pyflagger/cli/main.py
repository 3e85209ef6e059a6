"""`flagger`: selects the command. Services take Go-style flags, the other commands are for interactive use.

A first argument that is a flag means `run`. So does an empty command line, except at a terminal outside of a pod, so
that the image's entry point replaces the reference's. Commands are imported when selected, so that the operator does
not load the other commands.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from pyflagger import __revision__, __version__

STEERING = "pyflagger.cli.steering"
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("pyflagger.cli.run", "the operator (Go-style flags; also what `flagger -flag…` means)"),
    "loadtester": ("pyflagger.cli.loadtester", "the load-tester service (Go-style flags)"),
    "list": ("pyflagger.cli.listing", "list canaries: what each does, and what it waits for"),
    "get": ("pyflagger.cli.getting", "show a canary: its traffic, its checks and its pods"),
    "explain": ("pyflagger.cli.explaining", "say why a canary stands where it stands, and what to do"),
    "history": ("pyflagger.cli.history", "the releases of a canary: how each ended, and what it changed"),
    "wait": ("pyflagger.cli.waiting", "wait until a release has ended; for CI"),
    "promote": (STEERING, "promote a release now, if its checks pass"),
    "pause": (STEERING, "hold a release where it is"),
    "resume": (STEERING, "let a paused release go on"),
    "abort": (STEERING, "roll a release back"),
    "retry": (STEERING, "run a revision that failed again"),
    "restart": (STEERING, "begin the analysis of a release again"),
    "weight": (STEERING, "set the weight of the canary"),
    "undo": (STEERING, "give the primary the pod template of an earlier release"),
    "gate": ("pyflagger.cli.gates", "open, close or list the gates of a release"),
    "actions": ("pyflagger.cli.requests", "the requests about a canary, and what became of each"),
    "events": ("pyflagger.cli.happening", "the Events of a canary and of its objects, in one order"),
    "logs": ("pyflagger.cli.podlogs", "the logs of both versions, with role and pod before each line"),
    "dashboard": ("pyflagger.cli.dashboard", "show canaries in a browser on this machine, with your own rights"),
    "crds": ("pyflagger.cli.crds", "print the CustomResourceDefinitions as YAML"),
    "alerts": ("pyflagger.cli.alerts", "send a sample to the receiver of an AlertProvider"),
    "lint": ("pyflagger.cli.lint", "check manifests before they reach a cluster"),
    "rehearse": ("pyflagger.cli.rehearse", "play a release on virtual time, against scripted metrics"),
    "sandbox": ("pyflagger.cli.sandbox", "run a small cluster on this machine, until Ctrl-C"),
    "migrate": (
        "pyflagger.cli.migrate",
        "say what changes in a move from Flagger, and prepare the way back",
    ),
    "load": ("pyflagger.cli.load", "send traffic to hosts of the ingress, or generate load on a URL"),
    "demo": ("pyflagger.cli.demo", "play a release on the sandbox and watch it"),
    "version": ("pyflagger.cli.versions", "the version of this program, of the operator and of the cluster"),
    "completion": ("pyflagger.cli.completion", "print the completion script of a shell"),
}
SERVICES = ("run", "loadtester")
COMPLETING = "_FLAGGER_COMPLETE"
"""The variable that a shell sets to request completions."""

HELP = ("-h", "-help", "--help")
VERSION = f"Flagger version {__version__} revision  {__revision__}"


PLUGIN = "kubectl flagger"
"""What people type for the entry point `kubectl-flagger`."""


def called() -> str:
    """The name that this program was called by."""
    return PLUGIN if os.path.basename(sys.argv[0]) == "kubectl-flagger" else "flagger"


def command_line(argv: Sequence[str], environ: Mapping[str, str], *, terminal: bool = False) -> list[str]:
    """The arguments with the command's name first; `--help` and `--version` need none.

    `terminal`: a person reads the output. Without arguments, it gets the help instead of an operator.
    """
    words = list(argv)
    if not words:
        return ["--help" if terminal and not environ.get("KUBERNETES_SERVICE_HOST") else "run"]
    if words[0] == "help":
        return [*words[1:], "--help"]
    if words[0] in HELP:
        return ["--help"]
    if words[0] == "--version":
        return words
    return ["run", *words] if words[0].startswith("-") else words


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit status (2: the command line is invalid)."""
    name = called()
    person = sys.stdout.isatty() or name == PLUGIN
    typed = list(sys.argv[1:] if argv is None else argv)
    words = command_line(typed, os.environ, terminal=person)
    if name == PLUGIN and words == ["run", *typed]:
        words = typed  # kubectl's plugin starts no operator by a flag.
    if words[0] == "--version":
        print(VERSION)
        return 0
    if words[0] in SERVICES and COMPLETING not in os.environ:
        return int(importlib.import_module(COMMANDS[words[0]][0]).main(words[1:]))
    from pyflagger.cli.people import Commands, call

    if COMPLETING in os.environ:
        from pyflagger.cli.completing import limit

        limit()
    return call(Commands(COMMANDS, name), words, name)


if __name__ == "__main__":
    sys.exit(main())
