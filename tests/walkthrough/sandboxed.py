"""A `flagger sandbox` as a child process, and kubectl on it, as somebody at a terminal would use them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
START_SECONDS_MAX = 60
COMMAND = shlex.split(os.environ.get("SANDBOX_COMMAND", "")) or [sys.executable, "-m", "pyflagger.cli.main", "sandbox"]
"""Another command that takes the same flags and prints the same line may stand in for the sandbox."""


@dataclass
class Sandbox:
    """A running sandbox: where everything is, its process, and what it printed when it ended."""

    places: dict[str, str]
    process: subprocess.Popen[str]
    environ: dict[str, str] = field(default_factory=dict)

    def kubectl(self, *words: str, said: str = "", check: bool = True, seconds: int = 300) -> str:
        """Run kubectl; its output, both streams together. `said` goes to its standard input."""
        done = subprocess.run(
            [str(BIN / "kubectl"), *words],
            env={**os.environ, **self.environ},
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            cwd=ROOT,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout}"
        return done.stdout

    def object(self, *words: str) -> dict[str, Any]:
        """An object or a list as kubectl gives it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return found


@contextmanager
def sandbox(*flags: str, by: int = signal.SIGTERM, status: int = 0) -> Iterator[Sandbox]:
    """A sandbox while the block runs; it must end by that signal, if not before, with that status."""
    process = subprocess.Popen([*COMMAND, "--json", *flags], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        places = json.loads(first_line(process))
        yield Sandbox(places, process, {"KUBECONFIG": places["kubeconfig"]})
        process.send_signal(by)
        assert process.wait(timeout=30) == status
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def shop(app: str) -> Iterator[Sandbox]:
    """A sandbox without an operator, with the workload `web` of a shop ready in it."""
    with sandbox("--no-operator", "--mesh-provider=kubernetes") as running:
        running.kubectl("apply", "-f", "-", said=app)
        running.kubectl("-n", "shop", "rollout", "status", "deployment/web", "--timeout=60s")
        yield running


def first_line(process: subprocess.Popen[str]) -> str:
    """What it prints when it is ready."""
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.append(process.stdout.readline()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    reader.join(START_SECONDS_MAX)
    assert lines and lines[0], "the sandbox said nothing"
    return lines[0]


class Visitor(threading.Thread):
    """Visits the ingress again and again, and counts who answers."""

    def __init__(self, url: str, host: str, pause: float = 0.05) -> None:
        super().__init__(daemon=True)
        self._url, self._host, self._pause = url, host, pause
        self._gone = threading.Event()
        self.failed: list[str] = []
        self.versions: dict[str, int] = {}

    def run(self) -> None:
        """Until told to go."""
        while not self._gone.wait(self._pause):
            self._visit()

    def leave(self) -> None:
        """Go home."""
        self._gone.set()
        self.join()

    def _visit(self) -> None:
        request = urllib.request.Request(self._url, headers={"Host": self._host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                version = json.load(answer)["version"]
                self.versions[version] = self.versions.get(version, 0) + 1
        except (OSError, ValueError) as error:
            self.failed.append(repr(error))


def fetch(url: str) -> bytes:
    """The body of a page."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def listens(url: str) -> bool:
    """Whether anybody answers there."""
    try:
        fetch(url)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def children(parent: int) -> Sequence[int]:
    """Process ids of the children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found
