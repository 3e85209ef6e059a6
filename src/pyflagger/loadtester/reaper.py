"""Reaps orphans: what commands leave behind in process groups of their own, once it has ended.

The kernel gives orphans to process 1 of a container, which the load tester is, or to the nearest subreaper, which it
declares itself to be elsewhere. Run by the service while it is a process of its own. Leaves the status of a command to
its runner, which reaps it at once: only what is a zombie at two looks in a row is reaped here.
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
    """Be the parent of orphans among our descendants. Where that is unknown (not Linux), they go to process 1."""
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
    """Children that have ended and wait to be reaped."""
    found = set()
    for children in glob.iglob("/proc/self/task/*/children"):
        with suppress(OSError), open(children, encoding="ascii") as file:
            found |= {int(word) for word in file.read().split() if _state(word) == "Z"}
    return found


def _state(pid: str) -> str:
    with suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]
    return ""
