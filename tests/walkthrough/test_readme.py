"""The commands of the README, copied from the page and run as they stand: they end in a promotion."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from walkthrough.sandboxed import BIN, ROOT, first_line

pytestmark = pytest.mark.real

APART = ("flagger sandbox", "flagger load")
"""What stays in a terminal of its own."""

INSTALL, EXPORT = "make install", "export "


def by_hand() -> list[str]:
    """The commands of the section, in order, without comments."""
    section = (ROOT / "README.md").read_text().partition("\n## Step by step\n\n")[2]
    block = section.partition("\n\n")[0]
    return [re.sub(r"\s+#.*", "", line).strip() for line in block.splitlines()]


@contextmanager
def terminal(command: str, environ: dict[str, str], output: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A command that runs until the block ends, and then gets Ctrl-C."""
    process = subprocess.Popen(["bash", "-c", f"exec {command}"], env=environ, stdout=output, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def exported(process: subprocess.Popen[str]) -> dict[str, str]:
    """The variables that the sandbox prints."""
    line = first_line(process)
    assert process.stdout is not None
    while not line.startswith(EXPORT):
        line = process.stdout.readline()
        assert line, "the sandbox ended without a line to export"
    return dict(word.split("=", 1) for word in line.removeprefix(EXPORT).split())


def test_the_readme_ends_in_a_promotion() -> None:
    """Nothing is added, nothing fails, and nothing warns."""
    commands = by_hand()
    assert commands[0].startswith(INSTALL) and commands[1] == APART[0] and commands[2].startswith(EXPORT)
    environ = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    with terminal(commands[1], environ) as sandbox:
        environ |= exported(sandbox)
        assert {word.partition("=")[0] for word in commands[2].split()[1:]} <= set(environ)
        visiting = next(at for at, command in enumerate(commands) if command.startswith(APART[1]))
        for command in commands[3:visiting]:
            run(command, environ)
        with terminal(commands[visiting], environ):
            told = [run(command, environ) for command in commands[visiting + 1 :]]
    assert re.search(r"Phase: +Succeeded", told[-1])
    assert "Promotion completed! Scaling down podinfo.test" in told[-1]


def run(command: str, environ: dict[str, str], folder: Path = ROOT) -> str:
    """Run one line of a page in a shell; what it printed."""
    done = subprocess.run(
        ["bash", "-c", command],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        cwd=folder,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}"
    assert "Warning:" not in done.stdout, f"{command}: {done.stdout}"
    return done.stdout
