"""`podcli` of podinfo's image, for commands in pods: health checks over HTTP and TCP, and the version.

A shim of this name runs it. `localhost` is the pod: over HTTP the proxy of `http_proxy` resolves it, and for TCP the
proxy's password is the pod's address.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from pyflagger.api import durations
from pyflagger.clock import SystemClock

IMAGE = "SANDBOX_IMAGE"
"""The name of the variable with the container's image."""

Told = dict[str, str | int]


def main(argv: Sequence[str]) -> int:
    """Run the command. Returns the exit code."""
    asked = _parser().parse_args(argv)
    if asked.command == "version":
        sys.stdout.write(f"{os.environ.get(IMAGE, '').rpartition(':')[2] or 'unknown'}\n")
        return 0
    check: Callable[[argparse.Namespace], tuple[bool, Told]] = _http if asked.kind == "http" else _tcp
    for attempt in range(asked.retry + 1):
        if attempt:
            asyncio.run(SystemClock().sleep(asked.delay))
        passed, told = check(asked)
        msg = "check succeed" if passed else "check failed"
        sys.stderr.write(json.dumps({"level": "info", "msg": msg, "address": asked.address, **told}) + "\n")
        if passed:
            return 0
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="podcli", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("version", help="print the version")
    kinds = commands.add_parser("check", help="health checks").add_subparsers(dest="kind", required=True)
    for kind in ("http", "tcp", "grpc"):
        check = kinds.add_parser(kind, allow_abbrev=False)
        check.add_argument("address")
        check.add_argument("--retry", type=int, default=0)
        check.add_argument("--delay", type=durations.parse, default=1.0)
        check.add_argument("--timeout", type=durations.parse, default=5.0)
        if kind == "http":
            check.add_argument("--method", default="GET")
            check.add_argument("--body", default="")
        if kind == "grpc":
            check.add_argument(
                "--service", default="", help="accepted and ignored; the sandbox's podinfo is checked over TCP"
            )
    return parser


def _http(asked: argparse.Namespace) -> tuple[bool, Told]:
    """Whether the response is 2xx or 3xx, and the message."""
    if not asked.address.startswith(("http://", "https://")):
        asked.address = f"http://{asked.address}"
    try:
        request = urllib.request.Request(asked.address, asked.body.encode() or None, method=asked.method)
        with urllib.request.build_opener().open(request, timeout=asked.timeout) as answer:
            size = int(answer.headers.get("content-length", "-1"))
            return True, {"status code": answer.status, "response size": f"{size} B"}
    except urllib.error.HTTPError as error:
        return error.code < 400, {"status code": error.code}
    except (OSError, ValueError, http.client.HTTPException) as error:
        return False, {"error": str(getattr(error, "reason", error))}


def _tcp(asked: argparse.Namespace) -> tuple[bool, Told]:
    """Whether the address accepts connections, and the message."""
    try:
        place = urlsplit(f"//{asked.address}")
        host, port = place.hostname or "localhost", place.port or 80
        pod = urlsplit(os.environ.get("http_proxy", "")).password
        if pod and host in ("localhost", "127.0.0.1", "::1"):
            host = pod
        socket.create_connection((host, port), asked.timeout).close()
    except (OSError, ValueError) as error:
        return False, {"error": str(error)}
    return True, {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
