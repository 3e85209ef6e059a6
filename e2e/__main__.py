"""`python -m e2e [pytest's words]`: get the parts, enter a network of our own, and run the tests on a real cluster.

The network is a namespace of this user's: no root. The pod range lies on its `lo`, so every pod address can be
listened on; nothing outside is reached from it, which is why the parts are fetched before.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from e2e.dataplane import API_HOST
from e2e.definitions import SOURCES, folder
from e2e.parts import NoPart, client_go, contour, envoy, parts

SETUP = f'ip link set lo up && ip addr add {API_HOST}/16 dev lo && exec "$@"'


def inside(command: Sequence[str]) -> list[str]:
    """The command, to be run in a network of its own."""
    return ["unshare", "-rn", "sh", "-c", SETUP, "sh", *command]


def main(words: Sequence[str]) -> int:
    """Does not return when the parts are there: the tests, or what follows `--run`, take the place of this process."""
    began = time.monotonic()
    try:
        parts()
    except NoPart as error:
        print(f"e2e: {error}", file=sys.stderr)
        return 1
    for source in SOURCES:
        try:
            folder(source.module)
        except NoPart as error:
            print(f"e2e: the tests of schemas that need it will fail: {error}", file=sys.stderr)
    try:
        client_go()
    except NoPart as error:
        print(f"e2e: the clients in Go will be left out: {error}", file=sys.stderr)
    for get in (contour, envoy):
        try:
            get()
        except NoPart as error:
            print(f"e2e: the tests of proxies will fail: {error}", file=sys.stderr)
    print(f"e2e: the parts are there after {time.monotonic() - began:.0f} s", flush=True)
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    tests = [sys.executable, "-m", "pytest", *(words or [str(Path(__file__).parent)])]
    command = inside(words[1:] if words[:1] == ["--run"] else tests)
    return os.execvp(command[0], command)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
