"""A command in a container: a child process with the container's environment and open streams.

`kubectl exec` starts it, and the API server's HTTP frontend carries the streams. Containers are processes on this
machine, so a command sees the files of this machine. It runs in a temporary folder.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import tempfile
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pyflagger_sandbox.children import fall_with_parent


class Command:
    """A running command. With a terminal, `stderr` is None, and `stdout` carries both streams."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader | None,
        terminal: int = -1,
    ) -> None:
        self._process, self.stdout, self.stderr, self._terminal = process, stdout, stderr, terminal

    async def write(self, data: bytes) -> None:
        """Write to its standard input. Drops input after the command has closed it."""
        if self._terminal >= 0:
            os.write(self._terminal, data)
        elif self._process.stdin is not None:
            with suppress(ConnectionError):
                self._process.stdin.write(data)
                await self._process.stdin.drain()

    def end_of_input(self) -> None:
        """Close its standard input."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        """Set the size of its terminal."""
        if self._terminal >= 0:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def wait(self) -> int:
        """Wait for its end. Returns the exit code, or 128 plus the number of the signal that ended it."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def stop(self) -> None:
        """Kill its process group, if it still runs."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


async def start(argv: Sequence[str], env: Mapping[str, str], *, stdin: bool, terminal: bool) -> Command:
    """Start a command. Raises OSError when the program does not exist."""
    if terminal:
        return await _on_terminal(argv, env)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=dict(env),
        cwd=tempfile.gettempdir(),
        stdin=pipe if stdin else asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
        preexec_fn=fall_with_parent,
    )
    assert process.stdout is not None
    return Command(process, process.stdout, process.stderr)


async def _on_terminal(argv: Sequence[str], env: Mapping[str, str]) -> Command:
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        fall_with_parent()

    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env={"TERM": "xterm", **env},
            cwd=tempfile.gettempdir(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", 0))
    return Command(process, reader, None, ours)
