"""Load tools by their usual names in the sandbox: the shims, and the small curl."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtester.counting import command, server
from pyflagger_sandbox import curl as small_curl
from pyflagger_sandbox.shims import make_shims


async def test_the_shim_reaches_cluster_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a real hey or curl, shims of those names work through the proxy of the environment."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    async with server() as proxy:
        make_shims(tmp_path / "bin", proxy.url)
        monkeypatch.undo()
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        environment = {"PATH": path, "http_proxy": proxy.url, "no_proxy": "", "NO_PROXY": ""}
        status, out, err = await command(
            "sh", "-c", "hey -n 6 -c 2 http://podinfo-canary.test/", environment=environment
        )
        assert (status, err) == (0, "")
        assert "[200]\t6 responses" in out
        script = "curl -sS -f -X POST -d 'a=1' -d b=2 -H 'X-A: b' -w '%{http_code}\\n' http://podinfo-canary.test/token"
        status, out, err = await command("sh", "-c", script, environment=environment)
        assert (status, out, err) == (0, "hello200\n", "")
        assert (proxy.seen[-1].method, proxy.bodies[-1]) == ("POST", b"a=1&b=2")
        assert proxy.seen[-1].headers["X-A"] == "b"
    assert len(proxy.seen) == 7


def test_the_real_hey_is_told_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real hey gets -x with a scheme; a real curl is left alone; shims never find themselves."""
    real, shims = tmp_path / "real", tmp_path / "shims"
    real.mkdir()
    for name in ("hey", "curl"):
        (real / name).write_text('#!/bin/sh\nprintf "[%s]" "$@"\n')
        (real / name).chmod(0o755)
    for _ in range(2):
        monkeypatch.setenv("PATH", f"{shims}:{real}:/bin:/usr/bin")
        make_shims(shims, "127.0.0.1:99")
    done = subprocess.run(["hey", "-n", "1", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == "[-x][http://127.0.0.1:99][-n][1][a b]"
    assert not (shims / "curl").exists()


def curl(*argv: str) -> list[str]:
    """Our curl's command line."""
    return [sys.executable, "-I", str(small_curl.__file__), *argv]


@pytest.mark.parametrize(
    ("argv", "status", "out", "err"),
    [
        (["/a"], 0, "hello", ""),
        (["-f", "/bad"], 22, "", "curl: (22) The requested URL returned error: 503\n"),
        (["-sf", "/bad"], 22, "", ""),
        (["-sSf", "/bad"], 22, "", "curl: (22) The requested URL returned error: 503\n"),
        (["-s", "/bad"], 0, "hello", ""),
        (["-s", "-o", "/dev/null", "-w", "%{http_code}", "/moved"], 0, "302", ""),
        (["-sL", "-w", "~%{http_code}", "/moved"], 0, "hello~200", ""),
        (["-sS", "-m", "0.1", "/slow"], 28, "", "curl: (28) Operation timed out\n"),
        (["-sS", "--max-time", "0.1", "--retry", "1", "/slow"], 28, "", "curl: (28) Operation timed out\n"),
        (["-sS", "http://127.0.0.1:1/"], 7, "", "curl: (7) Failed to connect"),
        (["-sS", "nosuch://x/"], 3, "", "curl: (3)"),
        ([], 2, "", "curl: (2) no URL specified\n"),
    ],
)
async def test_our_curl(argv: list[str], status: int, out: str, err: str) -> None:
    """Exit statuses and texts are curl's."""
    async with server() as one:
        words = [one.url + word if word.startswith("/") and "null" not in word else word for word in argv]
        got = await command(*curl(*words), environment={"http_proxy": "", "no_proxy": "*"})
    assert got[:2] == (status, out)
    assert got[2].startswith(err) if err else got[2] == ""


async def test_our_curl_shows_heads() -> None:
    """-I asks with HEAD, -i shows the head before the body, -v on standard error."""
    async with server() as one:
        environment = {"http_proxy": "", "no_proxy": "*"}
        _, out, _ = await command(*curl("-sI", one.url), environment=environment)
        assert out.startswith("HTTP/1.1 200 OK\r\n")
        assert out.endswith("\r\n\r\n")
        assert one.seen[-1].method == "HEAD"
        _, out, _ = await command(*curl("-si", one.url), environment=environment)
        assert re.match(r"HTTP/1.1 200 OK\r\n(.+\r\n)+\r\nhello$", out)
        _, out, err = await command(*curl("-sv", one.url), environment=environment)
        assert out == "hello"
        assert "< HTTP/1.1 200 OK" in err
        _, _, _ = await command(*curl("-s", "--retry", "2", one.url + "/bad"), environment=environment)
        assert [request.rel_url.path for request in one.seen].count("/bad") == 3
