"""The image table: the program for each image name, and the interface of a program.

The sandbox has no registry. Pulling fails for an image that is not in the table, or for a tag that its entry does not
accept, as it does for a misspelt name on a real cluster.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from pyflagger.clock import Clock

VERSION_TAG = re.compile(r"latest|v?\d[\w.-]*")


class StartFailed(Exception):
    """The program did not start. `code` is the exit code of its container."""

    def __init__(self, message: str, code: int = 128) -> None:
        super().__init__(message)
        self.code = code


class NoSuchCommand(Exception):
    """The container does not have this executable."""


@dataclass(frozen=True, slots=True)
class Image:
    """A parsed image reference, such as `ghcr.io/stefanprodan/podinfo:6.0.1`."""

    reference: str
    repository: str
    tag: str

    @property
    def name(self) -> str:
        """The last part of the repository."""
        return self.repository.rpartition("/")[2]


def parse(reference: str) -> Image:
    """Parse a reference. Ignores a digest. The default tag is `latest`."""
    bare = reference.partition("@")[0]
    repository, colon, tag = bare.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = bare, ""
    return Image(reference, repository, tag or "latest")


@dataclass(frozen=True, slots=True)
class Launch:
    """The arguments of a program. `write` writes a log line. With `remap` the program picks its own ports."""

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
        """Requested port → port that it listens on."""

    async def wait(self) -> int:
        """Wait for its end. Returns the exit code."""

    def drain(self) -> None:
        """Become unready but keep serving, because `stop` follows soon."""

    async def stop(self, grace: float) -> None:
        """Stop it, by force after `grace` seconds. Returns when it has ended."""

    async def execute(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        """Run a command in the container. Returns exit code and output. Raises NoSuchCommand, TimeoutError."""


Program: TypeAlias = Callable[[Launch], Awaitable[Process]]
"""Starts a container. Raises StartFailed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the table: the program, and the tags that exist."""

    program: Program
    tags: re.Pattern[str] = field(default=VERSION_TAG)


class Images:
    """The table. Keys are whole repositories, or their last parts."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)

    def pull(self, image: Image) -> Program:
        """The program of an image. Raises LookupError with the list of known images."""
        entry = self._entries.get(image.repository) or self._entries.get(image.name)
        if entry is None:
            known = ", ".join(sorted(self._entries))
            raise LookupError(f"{image.reference}: not found; the sandbox has {known}")
        if not entry.tags.fullmatch(image.tag):
            raise LookupError(f"{image.reference}: not found: no such tag")
        return entry.program
