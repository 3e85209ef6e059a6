"""The programs of the built-in images: podinfo in this process, others as child processes on the pod's address.

Each is a `Program`. `builtin_images` is the initial image table of the sandbox. Only the kubelet calls them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence

from pyflagger_sandbox.children import fall_with_parent, falling_by
from pyflagger_sandbox.podinfo.options import BadFlag, parse
from pyflagger_sandbox.podinfo.server import Podinfo

from .images import Entry, Images, Launch, NoSuchCommand, Process, Program, StartFailed

OUTPUT_MAX = 10 << 10
READ_BYTES = 64 << 10


class PodinfoProcess:
    """The podinfo emulator as a container."""

    def __init__(self, podinfo: Podinfo) -> None:
        self._podinfo = podinfo

    @property
    def ports(self) -> Mapping[int, int]:
        """Asked for → listening."""
        return self._podinfo.ports

    async def wait(self) -> int:
        """The exit code."""
        return await self._podinfo.wait()

    def drain(self) -> None:
        """Unready, still serving."""
        self._podinfo.drain()

    async def stop(self, grace: float) -> None:
        """Finish what is under way, within the grace."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._podinfo.stop(), max(grace, 0.1))

    async def execute(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        """Raises NoSuchCommand, because the image has no executables."""
        raise NoSuchCommand(argv[0])


async def podinfo(launch: Launch) -> Process:
    """Start the podinfo emulator. The tag is its version."""
    try:
        options = parse(launch.argv[1:], launch.env, launch.image.tag)
    except BadFlag as error:
        launch.write(f"Error: {error}")
        raise StartFailed(str(error), 2) from None
    twin = Podinfo(
        options,
        launch.clock,
        host=launch.address,
        hostname=launch.pod,
        environ=launch.env,
        write=launch.write,
        real_port=lambda port: 0 if launch.remap else port,
    )
    try:
        await twin.start()
    except OSError as error:
        raise StartFailed(f"cannot listen on {launch.address}: {error}") from None
    return PodinfoProcess(twin)


class ChildProcess:
    """A child process as a container, in its own process group."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        env: Mapping[str, str],
        ports: Mapping[int, int],
        write: Callable[[str], None],
    ) -> None:
        self._process, self._env, self._ports = process, env, ports
        self._reader = asyncio.create_task(self._read(write))

    @property
    def ports(self) -> Mapping[int, int]:
        """Asked for → listening."""
        return self._ports

    async def wait(self) -> int:
        """Wait for its end. Returns the exit code, or 128 plus the number of the signal that ended it."""
        code = await self._process.wait()
        await asyncio.wait({self._reader})
        return code if code >= 0 else 128 - code

    def drain(self) -> None:
        """Does nothing: the process learns of its end by SIGTERM."""

    async def stop(self, grace: float) -> None:
        """Send SIGTERM to the group, and SIGKILL after `grace` seconds."""
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            if self._process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)
        self._reader.cancel()

    async def execute(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        """Run a command with the container's environment."""
        try:
            child = await asyncio.create_subprocess_exec(
                *argv,
                env=dict(self._env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=fall_with_parent,
            )
        except OSError:
            raise NoSuchCommand(argv[0]) from None
        try:
            output, _ = await asyncio.wait_for(child.communicate(), seconds)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
            raise
        return child.returncode or 0, output[-OUTPUT_MAX:].decode("utf-8", "replace")

    async def _read(self, write: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        pending = b""
        while chunk := await self._process.stdout.read(READ_BYTES):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                write(line.decode("utf-8", "replace"))
            pending = pending[-READ_BYTES:]
        if pending:
            write(pending.decode("utf-8", "replace"))


async def spawn(launch: Launch, argv: Sequence[str], env: Mapping[str, str], ports: Mapping[int, int]) -> ChildProcess:
    """Start a child process as a container. Raises StartFailed."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            # On SIGTERM the load tester stops the processes that it has started.
            preexec_fn=falling_by(signal.SIGTERM, os.getpid()),
        )
    except OSError as error:
        raise StartFailed(f"cannot start {argv[0]}: {error}") from None
    return ChildProcess(process, env, ports, launch.write)


def loadtester(environ: Callable[[Launch], Mapping[str, str]]) -> Program:
    """The load tester as a child process. `environ` returns variables that those of the container override."""

    async def start(launch: Launch) -> Process:
        asked = _port(launch.argv)
        real = _free_port(launch.address) if launch.remap else asked
        own = [f"-host={launch.address}", f"-port={real}"]
        flags = launch.argv[0 if launch.argv and launch.argv[0].startswith("-") else 1 :]
        argv = [sys.executable, "-m", "pyflagger.cli.main", "loadtester", *flags, *own]
        return await spawn(launch, argv, dict(environ(launch)) | dict(launch.env), {asked: real})

    return start


def ours(tester: Program) -> Program:
    """Our own image, which runs the load tester if its first argument or its command says so."""

    async def start(launch: Launch) -> Process:
        if launch.argv[:1] not in (("loadtester",), ("./loadtester",)):
            raise StartFailed(
                "the sandbox runs only `loadtester …` from this image, because its operator is not a pod", 2
            )
        return await tester(launch)

    return start


def _port(argv: Sequence[str], default: int = 9090) -> int:
    """The port on the load tester's command line."""
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        name, equals, text = word.lstrip("-").partition("=")
        value = text if equals else following
        if word.startswith("-") and name == "port" and value.isdigit():
            return int(value)
    return default


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def builtin_images(environ: Callable[[Launch], Mapping[str, str]], more: Mapping[str, Entry] | None = None) -> Images:
    """podinfo, the load tester under its names, and the entries that the caller adds or replaces."""
    tester = loadtester(environ)
    testers = {name: Entry(tester) for name in ("flagger-loadtester", "pyflagger-loadtester")}
    own = {"podinfo": Entry(podinfo), "pyflagger": Entry(ours(tester))} | testers
    return Images(own | dict(more or {}))
