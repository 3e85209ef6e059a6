"""Temporary files and folders. After a SIGKILL, the next sandbox removes those that this one left behind.

A sandbox locks its files while it runs, and the kernel releases the locks however the process ends. So a file of this
user was left behind if it is not locked and older than a start takes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "flagger-"
YOUNG_SECONDS = 60.0
"""A younger file may be unlocked because its sandbox has not locked it yet."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder or a file that exists until `remove`, or until another sandbox starts after this process has ended."""

    path: Path
    lock: int

    def remove(self) -> None:
        """Remove it and release its lock."""
        _remove(self.path)
        with suppress(OSError):
            os.close(self.lock)


def folder(name: str) -> Kept:
    """A new folder of this sandbox."""
    return _kept(Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-")))


def file(name: str, suffix: str) -> Kept:
    """A new file of this sandbox that only its user can read."""
    handle, path = tempfile.mkstemp(prefix=f"{PREFIX}{name}-", suffix=suffix)
    os.close(handle)
    return _kept(Path(path))


def _kept(path: Path) -> Kept:
    lock = os.open(path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return Kept(path, lock)


def sweep(now: Callable[[], float], names: tuple[str, ...] = ("sandbox", "traefik")) -> list[Path]:
    """Remove and return what sandboxes of this user left behind. `now` returns seconds since the epoch."""
    found = [path for name in names for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}{name}-*")]
    return [path for path in found if _is_left(path, now()) and _remove(path)]


def _is_left(path: Path, now: float) -> bool:
    try:
        about = path.lstat()
        if about.st_uid != os.getuid() or path.is_symlink() or now - about.st_mtime < YOUNG_SECONDS:
            return False
        lock = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(lock)


def _remove(path: Path) -> bool:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
    return not path.exists()
