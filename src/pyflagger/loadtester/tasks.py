"""Parses a webhook's metadata to a task; one row of the table for each task type.

Pure: returns a `Task` or raises BadTask. Called by the HTTP handlers.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import concord, ngrinder
from .metadata import BadTask, switch
from .remote import Remote

Argv = tuple[str, ...]
Work = Argv | Remote
"""What a task runs: a command as words, or a test on another server."""

Reader = Callable[[Mapping[str, str]], tuple[str, Work]]
"""Metadata → the text of the task, for logs, `/tasks` and `-allowed-commands`, and its work. Raises BadTask."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a task type reads its metadata, and whether the caller waits for the result."""

    read: Reader
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work for one canary. `command` is its text."""

    kind: str
    canary: str
    command: str
    work: Work
    blocking: bool
    return_output: bool = False
    log_output: bool = True
    report_failure: bool = False


def _shell(program: str) -> Reader:
    return _command(lambda command: (program, "-c", command))


def _words(program: str) -> Reader:
    """Split a command into words as a shell would, quotes included, without running a shell."""

    def split(command: str) -> Argv:
        try:
            return (program, *shlex.split(command))
        except ValueError as error:
            raise BadTask(f"cannot split cmd into words: {error}") from None

    return _command(split)


def _command(argv: Callable[[str], Argv]) -> Reader:
    def read(metadata: Mapping[str, str]) -> tuple[str, Argv]:
        command = metadata.get("cmd", "")
        if not command.strip():
            raise BadTask("cmd not found in metadata")
        if "\0" in command:
            raise BadTask("cmd contains a NUL character")
        return command, argv(command)

    return read


KINDS: Mapping[str, Kind] = {
    "bash": Kind(_shell("bash")),
    "cmd": Kind(_shell("sh"), blocking=False),
    "concord": Kind(concord.read),
    "helm": Kind(_words("helm")),
    "helmv3": Kind(_words("helm")),
    "kubectl": Kind(_words("kubectl")),
    "ngrinder": Kind(ngrinder.read, blocking=False),
    "sh": Kind(_shell("sh")),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """The task types and commands that may run. Empty types and None allow everything."""

    types: tuple[str, ...] = ()
    commands: re.Pattern[str] | None = None


def read_task(canary: str, metadata: Mapping[str, str], rules: Rules) -> Task:
    """Parse a webhook's metadata. Raises BadTask."""
    if not metadata:
        raise BadTask("metadata not found in payload")
    name = metadata.get("type", "cmd")
    kind = _kind(name, rules)
    command, work = kind.read(metadata)
    if rules.commands is not None and not rules.commands.fullmatch(command):
        raise BadTask(f"{'cmd' if 'cmd' in metadata else command} does not match -allowed-commands")
    return Task(
        kind=name,
        canary=canary,
        command=command,
        work=work,
        blocking=kind.blocking,
        return_output=switch(metadata, "returnCmdOutput"),
        log_output=switch(metadata, "logCmdOutput") or kind.blocking,
        report_failure=switch(metadata, "reportFailure"),
    )


def _kind(name: str, rules: Rules) -> Kind:
    known = [kind for kind in KINDS if not rules.types or kind in rules.types]
    if name not in KINDS:
        raise BadTask(f"unknown task type {name} (use {', '.join(known)})")
    if name not in known:
        raise BadTask(f"task type {name} is not allowed (allowed: {', '.join(known) or 'none'})")
    return KINDS[name]
