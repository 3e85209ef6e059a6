"""`python -m e2e [--as-root] [pytest's words]`: get the parts, enter a network of our own, and run the tests there.

The network is a namespace of this user's: no root. With `--as-root` it is root's, so that containers can have users.
The pod range lies on its `lo`, so every pod address can be listened on; nothing outside is reached from it, which is
why the parts are fetched before.
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

AS_ROOT = "--as-root"
SETUP = f'ip link set lo up && ip addr add {API_HOST}/16 dev lo && exec "$@"'


def inside(command: Sequence[str], *, as_root: bool = False) -> list[str]:
    """The command, to be run in a network of its own, and unless `as_root` with no user but this one."""
    return ["unshare", "-n" if as_root else "-rn", "sh", "-c", SETUP, "sh", *command]


def main(words: Sequence[str]) -> int:
    """Does not return when the parts are there: the tests, or what follows `--run`, take the place of this process."""
    if not prepared():
        return 1
    as_root = list(words[:1]) == [AS_ROOT]
    rest = list(words[as_root:])
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    tests = [sys.executable, "-m", "pytest", *(rest or [str(Path(__file__).parent)])]
    command = inside(rest[1:] if rest[:1] == ["--run"] else tests, as_root=as_root)
    return os.execvp(command[0], command)


def prepared() -> bool:
    """Get the parts that can be had. Returns whether the tests can run."""
    began = time.monotonic()
    try:
        parts()
    except NoPart as error:
        print(f"e2e: {error}", file=sys.stderr)
        return False
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
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
