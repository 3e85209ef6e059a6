"""Reaps orphans: exited processes that commands left behind in other process groups.

The kernel makes process 1 of a container the parent of orphans, or else the nearest subreaper. The load tester is the
one or declares itself the other. The runner reaps commands itself, immediately, to get their exit status. So this
module reaps only processes that are zombies at two consecutive checks.
"""

from __future__ import annotations

import ctypes
import glob
import os
from contextlib import suppress

from pyflagger.clock import Clock

LOOK_SECONDS = 1.0
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the subreaper of our descendants. Without support for it (not Linux), process 1 inherits orphans."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def reap(clock: Clock) -> None:
    """Reap orphans until cancelled."""
    seen: set[int] = set()
    while True:
        await clock.sleep(LOOK_SECONDS)
        zombies = _zombies()
        for pid in zombies & seen:
            _bury(pid)
        seen = zombies


def _bury(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _zombies() -> set[int]:
    """Children that have exited and are not reaped yet."""
    found = set()
    for children in glob.iglob("/proc/self/task/*/children"):
        with suppress(OSError), open(children, encoding="ascii") as file:
            found |= {int(word) for word in file.read().split() if _state(word) == "Z"}
    return found


def _state(pid: str) -> str:
    with suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]
    return ""
