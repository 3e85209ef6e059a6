"""The image table: which program an image name stands for, and what a program is handed and gives back.

The sandbox has no registry. An image that is not in the table, or whose tag the entry does not take, cannot be pulled,
as with a misspelt name anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from pyflagger.clock import Clock

VERSION_TAG = re.compile(r"latest|v?\d[\w.-]*")


class StartFailed(Exception):
    """The program could not be started; `code` is the exit code that its container ends with."""

    def __init__(self, message: str, code: int = 128) -> None:
        super().__init__(message)
        self.code = code


class NoSuchCommand(Exception):
    """The container has no such executable."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image reference taken apart: `ghcr.io/stefanprodan/podinfo:6.0.1`."""

    reference: str
    repository: str
    tag: str

    @property
    def name(self) -> str:
        """The last part of the repository."""
        return self.repository.rpartition("/")[2]


def parse(reference: str) -> Image:
    """Take a reference apart; a digest stands for no tag, and no tag for `latest`."""
    bare = reference.partition("@")[0]
    repository, colon, tag = bare.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = bare, ""
    return Image(reference, repository, tag or "latest")


@dataclass(frozen=True, slots=True)
class Launch:
    """What a program is started with. `write` takes a log line; with `remap` it picks its ports itself."""

    image: Image
    namespace: str
    pod: str
    container: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    address: str
    remap: bool
    clock: Clock
    write: Callable[[str], None]


class Process(Protocol):
    """A running container."""

    @property
    def ports(self) -> Mapping[int, int]:
        """Port as the program was asked for → port that it listens on."""

    async def wait(self) -> int:
        """The exit code, once it has ended."""

    def drain(self) -> None:
        """It will be stopped soon: say unready, serve on."""

    async def stop(self, grace: float) -> None:
        """End it, by force after `grace` seconds. Returns when it has ended."""

    async def execute(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        """Run a command inside: exit code and output. Raises NoSuchCommand, TimeoutError."""


Program: TypeAlias = Callable[[Launch], Awaitable[Process]]
"""Starts a container. Raises StartFailed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table: what to run, and the tags that exist."""

    program: Program
    tags: re.Pattern[str] = field(default=VERSION_TAG)


class Images:
    """The table, by the last part of the repository or by all of it."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)

    def pull(self, image: Image) -> Program:
        """The program of an image. Raises LookupError that names what there is."""
        entry = self._entries.get(image.repository) or self._entries.get(image.name)
        if entry is None:
            known = ", ".join(sorted(self._entries))
            raise LookupError(f"{image.reference}: not found; the sandbox has {known}")
        if not entry.tags.fullmatch(image.tag):
            raise LookupError(f"{image.reference}: not found: no such tag")
        return entry.program
