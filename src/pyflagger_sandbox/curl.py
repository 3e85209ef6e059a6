"""The options of curl that acceptance tests use, for machines without curl.

A shim named `curl` runs it. It follows `http_proxy`. Its exit statuses and the error lines of -f are those of curl.
"""

from __future__ import annotations

import argparse
import http.client
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

_VERSION = "curl/0 (pyflagger)"
_MALFORMED, _RESOLVE, _CONNECT, _HTTP, _WRITE, _TIMEOUT, _RECEIVE, _TLS = 3, 6, 7, 22, 23, 28, 56, 60
_MAX_BODY = 64 << 20
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a transfer: its exit status, and the response if there was one."""

    status: int
    error: str = ""
    code: int = 0
    head: str = ""
    body: bytes = b""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Returns redirects instead of following them."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    parser.add_argument("urls", nargs="*")
    parser.add_argument("--url", dest="more", action="append", default=[])
    for short, name in (
        ("-s", "--silent"),
        ("-S", "--show-error"),
        ("-f", "--fail"),
        ("-L", "--location"),
        ("-I", "--head"),
        ("-k", "--insecure"),
        ("-i", "--include"),
        ("-v", "--verbose"),
    ):
        parser.add_argument(short, name, action="store_true")
    parser.add_argument("-X", "--request", default="")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data", "--data-raw", "--data-binary", "--data-ascii", action="append", default=[])
    parser.add_argument("-o", "--output", default="")
    parser.add_argument("-w", "--write-out", default="")
    parser.add_argument("-A", "--user-agent", default=_VERSION)
    parser.add_argument("-m", "--max-time", type=float, default=None)
    parser.add_argument("--connect-timeout", type=float, default=None)
    parser.add_argument("--retry", type=int, default=0)
    parser.add_argument("--retry-delay", default="")
    return parser


def fetch(url: str, options: argparse.Namespace) -> Answer:
    """One transfer."""
    try:
        request = _request(url, options)
    except (ValueError, OSError) as error:
        return Answer(_MALFORMED, f"URL rejected: {error}")
    handlers: list[urllib.request.BaseHandler] = [] if options.location else [_Stay()]
    if options.insecure:
        handlers.append(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
    timeout = options.max_time or options.connect_timeout or 300.0
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            return _read(answer)
    except urllib.error.HTTPError as error:
        with error:
            return _read(error)
    except (OSError, http.client.HTTPException) as error:
        return _failed(url, error)


def _request(url: str, options: argparse.Namespace) -> urllib.request.Request:
    data = b"&".join(_data(text) for text in options.data) if options.data else None
    method = options.request or ("HEAD" if options.head else "POST" if data is not None else "GET")
    request = urllib.request.Request(url if "://" in url else f"http://{url}", data=data, method=method)
    request.add_header("User-Agent", options.user_agent)
    request.add_header("Accept", "*/*")
    for text in options.header:
        name, _, value = text.partition(":")
        request.add_header(name.strip(), value.strip())
    return request


def _data(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    return sys.stdin.buffer.read() if text == "@-" else Path(text[1:]).read_bytes()


def _read(answer: http.client.HTTPResponse | urllib.error.HTTPError) -> Answer:
    code = answer.status or 0
    lines = [f"HTTP/1.1 {code} {answer.reason}", *(f"{name}: {value}" for name, value in answer.headers.items())]
    body = answer.read(_MAX_BODY)
    return Answer(0, code=code, head="\r\n".join(lines) + "\r\n\r\n", body=body)


def _failed(url: str, error: Exception) -> Answer:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return Answer(_TIMEOUT, "Operation timed out")
    if isinstance(cause, socket.gaierror):
        return Answer(_RESOLVE, f"Could not resolve host: {url.split('/')[2] if '://' in url else url}")
    if isinstance(cause, ssl.SSLError):
        return Answer(_TLS, f"SSL problem: {cause}")
    if isinstance(cause, ConnectionError):
        return Answer(_CONNECT, f"Failed to connect to {url}: {cause}")
    return Answer(_MALFORMED if "unknown url type" in str(cause) else _RECEIVE, str(cause))


def _try(url: str, options: argparse.Namespace) -> Answer:
    for _ in range(options.retry):
        answer = fetch(url, options)
        if not (answer.status == _TIMEOUT or answer.code in _TRANSIENT):
            return answer
    return fetch(url, options)


def _write(answer: Answer, options: argparse.Namespace, stdout: BinaryIO) -> int:
    failed = options.fail and answer.code >= 400
    body = b"" if failed else answer.body
    if (options.include or options.head) and not failed:
        body = answer.head.encode("latin-1", "replace") + body
    try:
        if options.output:
            Path(options.output).write_bytes(body)
        else:
            stdout.write(body)
    except OSError as error:
        sys.stderr.write(f"curl: ({_WRITE}) {error}\n")
        return _WRITE
    stdout.write(_written_out(options.write_out, answer).encode())
    stdout.flush()
    return _HTTP if failed else answer.status


def _written_out(template: str, answer: Answer) -> str:
    text = template.replace(r"\n", "\n").replace(r"\t", "\t")
    known = {"http_code": f"{answer.code:03d}", "response_code": f"{answer.code:03d}", "exitcode": str(answer.status)}
    known |= {"size_download": str(len(answer.body))}
    for name, value in known.items():
        text = text.replace(f"%{{{name}}}", value)
    return text


def main(argv: Sequence[str]) -> int:
    """Transfer every URL. Returns the exit status of the last one, as curl does."""
    options = _parser().parse_args(argv)
    status = 2
    for url in [*options.urls, *options.more]:
        answer = _try(url, options)
        if options.verbose:
            sys.stderr.write("".join(f"< {line}\n" for line in answer.head.split("\r\n")[:-1]))
        status = _write(answer, options, sys.stdout.buffer)
        text = f"The requested URL returned error: {answer.code}" if status == _HTTP else answer.error
        if status and text and (not options.silent or options.show_error):
            sys.stderr.write(f"curl: ({status}) {text}\n")
    if status == 2:
        sys.stderr.write("curl: (2) no URL specified\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
