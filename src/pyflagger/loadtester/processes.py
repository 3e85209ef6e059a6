"""Commands as child processes, each in its own process group, so that the whole group can be stopped.

Called by the runner. A command ends when its process has exited and no process holds its output open. Then the rest of
its group is stopped, as after a timeout or when the caller disconnects. This module knows nothing about canaries.
"""

from __future__ import annotations

import asyncio
import glob
import os
import signal
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from pyflagger.api import durations
from pyflagger.clock import Clock

GRACE = 5.0
"""Seconds between TERM and KILL."""

_POLL = 0.02
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. `error` is empty on success. `output` is the end of stdout and stderr."""

    result: Literal["succeeded", "failed", "timed out"]
    output: str
    error: str = ""


class Tail:
    """The last `limit` bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._lost = 0

    def feed(self, data: bytes) -> None:
        """Append data."""
        self._kept += data
        excess = len(self._kept) - self._limit
        if excess > 0:
            del self._kept[:excess]
            self._lost += excess

    def text(self) -> str:
        """The kept bytes as text, after a note of how many were omitted."""
        kept = self._kept.decode("utf-8", "replace")
        return f"({self._lost} bytes omitted) {kept}" if self._lost else kept


async def run(
    argv: tuple[str, ...], *, environment: Mapping[str, str], timeout: float, max_output: int, clock: Clock
) -> Outcome:
    """Run a command until it ends. When cancelled, stops its whole process group before it returns."""
    tail = Tail(max_output)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Outcome("failed", "", _why_not(argv[0], error))
    try:
        if not await _within(clock, timeout, _drain(process, tail)):
            return Outcome("timed out", tail.text(), f"timed out after {durations.show(timeout)}")
    finally:
        await asyncio.shield(asyncio.ensure_future(stop_group(process, clock)))
    status = process.returncode or 0
    return Outcome("failed" if status else "succeeded", tail.text(), _said(status))


async def stop_group(process: asyncio.subprocess.Process, clock: Clock) -> None:
    """Stop the remaining processes of a group: TERM, then KILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _signal(process.pid, number):
            break
        deadline = clock.monotonic() + GRACE
        while _alive(process) and clock.monotonic() < deadline:
            await clock.sleep(_POLL)
    await process.wait()


async def _within(clock: Clock, seconds: float, work: Coroutine[None, None, None]) -> bool:
    """Whether the work finished in time. Otherwise it is cancelled."""
    task, timer = asyncio.ensure_future(work), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
        return task.done()
    finally:
        timer.cancel()
        task.cancel()


async def _drain(process: asyncio.subprocess.Process, tail: Tail) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(_CHUNK):
        tail.feed(data)
    await process.wait()


def _signal(group: int, number: int) -> bool:
    """Signal every process of a group. Returns False when none is left that we may signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _alive(process: asyncio.subprocess.Process) -> bool:
    """Whether a process of the group still runs. Reaps orphans of the group: process 1 of a container inherits them."""
    if process.returncode is None:
        return True
    with suppress(ChildProcessError):
        while os.waitpid(-process.pid, os.WNOHANG) != (0, 0):
            pass
    return _signal(process.pid, 0) and not _only_zombies(process.pid)


def _only_zombies(group: int) -> bool:
    """Whether all processes of a group have exited and only wait for their parent; False where that is unknown."""
    states = []
    for stat in glob.iglob("/proc/[0-9]*/stat"):
        with suppress(OSError), open(stat, encoding="utf-8", errors="replace") as file:
            state, _, member_of = file.read().rpartition(")")[2].split()[:3]
            if int(member_of) == group:
                states.append(state)
    return bool(states) and all(state == "Z" for state in states)


def _said(status: int) -> str:
    """The exit of a process in Go's words; empty for success."""
    if status >= 0:
        return f"exit status {status}" if status else ""
    try:
        return f"signal: {signal.strsignal(-status) or -status}".lower()
    except ValueError:
        return f"signal: {-status}"


def _why_not(program: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f'exec: "{program}": executable file not found in $PATH'
    return f'exec: "{program}": {error}'
