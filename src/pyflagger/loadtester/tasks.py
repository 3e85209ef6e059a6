"""Parses a webhook's metadata to a task; one row of the table for each task type.

Pure: returns a `Task` or raises BadTask. Called by the HTTP handlers.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyflagger.goflags import boolean

Split = Callable[[str], tuple[str, ...]]


class BadTask(ValueError):
    """The metadata is invalid. The text becomes the answer (400)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a task type runs: the words before the command, and whether the caller waits for the result."""

    argv: Split
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Task:
    """One command to run for one canary."""

    kind: str
    canary: str
    command: str
    argv: tuple[str, ...]
    blocking: bool
    return_output: bool = False
    log_output: bool = True
    report_failure: bool = False


def _shell(program: str) -> Split:
    return lambda command: (program, "-c", command)


def _words(program: str) -> Split:
    """Split a command into words as a shell would, quotes included, without running a shell."""

    def split(command: str) -> tuple[str, ...]:
        try:
            return (program, *shlex.split(command))
        except ValueError as error:
            raise BadTask(f"cannot split cmd into words: {error}") from None

    return split


KINDS: Mapping[str, Kind] = {
    "bash": Kind(_shell("bash")),
    "cmd": Kind(_shell("sh"), blocking=False),
    "helm": Kind(_words("helm")),
    "helmv3": Kind(_words("helm")),
    "kubectl": Kind(_words("kubectl")),
    "sh": Kind(_shell("sh")),
}
UNSUPPORTED = frozenset({"concord", "ngrinder"})
"""Task types of the reference that are not implemented yet."""


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
    command = metadata.get("cmd", "")
    if not command.strip():
        raise BadTask("cmd not found in metadata")
    if rules.commands is not None and not rules.commands.fullmatch(command):
        raise BadTask("cmd does not match -allowed-commands")
    if "\0" in command:
        raise BadTask("cmd contains a NUL character")
    return Task(
        kind=name,
        canary=canary,
        command=command,
        argv=kind.argv(command),
        blocking=kind.blocking,
        return_output=_switch(metadata, "returnCmdOutput"),
        log_output=kind.blocking or metadata.get("logCmdOutput") == "true",
        report_failure=_switch(metadata, "reportFailure"),
    )


def _kind(name: str, rules: Rules) -> Kind:
    known = [kind for kind in KINDS if not rules.types or kind in rules.types]
    if name in UNSUPPORTED:
        raise BadTask(f"task type {name} is not supported by this load tester yet (use {', '.join(known)})")
    if name not in KINDS:
        raise BadTask(f"unknown task type {name} (use {', '.join(known)})")
    if name not in known:
        raise BadTask(f"task type {name} is not allowed (allowed: {', '.join(known) or 'none'})")
    return KINDS[name]


def _switch(metadata: Mapping[str, str], key: str) -> bool:
    try:
        return boolean(metadata.get(key, "false"))
    except ValueError as error:
        raise BadTask(f"{key} {metadata[key]!r} {error}") from None
