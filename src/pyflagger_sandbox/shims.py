"""Commands under the names that webhooks use, in a directory to put first on PATH.

In the sandbox only a forward proxy knows cluster names. The real `hey` ignores proxy environment variables, so its shim
passes the proxy on the command line. Where `hey` is not installed, the shim runs `flagger load`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def make_shims(directory: Path | str, proxy_url: str) -> None:
    """Write the shims: always `hey`, and `curl` only when no real one is on PATH. Raises OSError."""
    home = Path(directory)
    home.mkdir(parents=True, exist_ok=True)
    hey = _installed("hey", home)
    if hey is not None:
        script(home / "hey", [hey, "-x", _with_scheme(proxy_url)] if proxy_url else [hey])
    else:
        script(home / "hey", [sys.executable, "-m", "pyflagger", "load"])
    if _installed("curl", home) is None:
        script(home / "curl", [sys.executable, "-I", str(Path(__file__).with_name("curl.py"))])


def _with_scheme(proxy_url: str) -> str:
    """Contrary to its help, hey rejects a bare host:port for -x as a malformed URL."""
    return proxy_url if "://" in proxy_url else f"http://{proxy_url}"


def _installed(name: str, home: Path) -> str | None:
    """The path of the real command of that name, not of our shim."""
    places = [place for place in os.get_exec_path() if Path(place).resolve() != home.resolve()]
    return shutil.which(name, path=os.pathsep.join(places))


def script(path: Path, words: list[str]) -> None:
    """Write a command that runs these words with its own arguments. Raises OSError."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
