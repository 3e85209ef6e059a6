"""Traefik as a child process that may be missing, broken, silent or late: one line each, and nothing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pyflagger.clock import SystemClock
from pyflagger_sandbox.network import ingress
from pyflagger_sandbox.network.ingress import Access, Traefik, free_port, reserved
from pyflagger_sandbox.trouble import CannotStart, last_words

LISTENER = """
import socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen()
print("ready", flush=True)
for _ in range(20):
    server.accept()[0].sendall(b"x")
"""

# What stands in for Traefik, and what is told of it.
BINARIES: dict[str, tuple[str, str]] = {
    "ends": ("#!/bin/sh\necho 'no such flag' >&2\nexit 3\n", r"ended with status 3: no such flag"),
    "says nothing": ("#!/bin/sh\nexit 1\n", r"ended with status 1: it logged nothing"),
    "never answers": ("#!/bin/sh\necho starting\nexec sleep 60\n", r"is not ready after 0\.3 s: starting"),
    "is no program": ("\x7fELF and then nonsense", r"\(Exec format error\): reinstall it"),
}


@pytest.mark.parametrize("how", BINARIES)
async def test_a_traefik_that(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with whose fault it is, the end of its log and what to do; its process and its files are gone."""
    text, told = BINARIES[how]
    binary = tmp_path / "traefik"
    binary.write_text(text)
    binary.chmod(0o755)
    monkeypatch.setattr(ingress, "find", lambda command: str(binary))
    monkeypatch.setattr(ingress, "READY_SECONDS_MAX", 0.3)
    traefik = Traefik(SystemClock(), {"PATH": os.defpath})
    home = traefik.log.parent
    with pytest.raises(CannotStart, match=f"sandbox's ingress.*{told}") as caught:
        await traefik.start(Access("http://127.0.0.1:1", "token"))
    assert "\n" not in str(caught.value)
    assert str(binary) in str(caught.value)
    await traefik.stop()
    assert not home.exists()


async def test_a_file_that_may_not_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own word is told."""
    monkeypatch.setattr(ingress, "find", lambda command: str(tmp_path))
    traefik = Traefik(SystemClock(), {})
    with pytest.raises(CannotStart, match="Permission denied"):
        await traefik.start(Access("http://127.0.0.1:1", "token"))
    await traefik.stop()


def test_a_reserved_port_is_nobody_elses() -> None:
    """The machine gives it to nobody, and nobody can take it by number; a child listens there and gets every caller."""
    held = reserved()
    port = held.getsockname()[1]
    assert port not in [free_port() for _ in range(300)]
    with socket.socket() as rude, pytest.raises(OSError, match="Address already in use"):
        rude.bind(("127.0.0.1", port))
    with subprocess.Popen([sys.executable, "-c", LISTENER, str(port)], stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdout.readline() == b"ready\n"
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
                assert caller.recv(1) == b"x"
    held.close()


def test_last_words_are_one_line(tmp_path: Path) -> None:
    """The end of a log, short; or that there is none."""
    log = tmp_path / "log"
    assert last_words(log) == "it logged nothing"
    log.write_bytes(b"first\n\n  second \xff\n" + b"x" * 10)
    assert last_words(log) == "first | second \ufffd | xxxxxxxxxx"
    log.write_text("y" * 1000)
    assert last_words(log) == "y" * 300
