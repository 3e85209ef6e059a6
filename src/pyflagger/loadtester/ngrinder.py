"""Task type `ngrinder`: clone a performance test of an nGrinder controller, start the clone and follow it.

Pure. The runner runs it in the background. A test ends as FINISHED, STOP_BY_ERROR, CANCELED or UNKNOWN.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from pyflagger.goflags import duration
from pyflagger.wire import HttpAnswer, HttpRequest

from .metadata import BadTask, base_url, required
from .remote import REQUEST_WITHIN, Failed, Remote, Unusable, document

REQUIRED = ("server", "clone", "username", "passwd")
INTERVAL = "1s"

_FAILED = frozenset({"STOP_BY_ERROR", "CANCELED", "UNKNOWN"})


def read(metadata: Mapping[str, str]) -> tuple[str, Remote]:
    """The text of the task, for logs and `-allowed-commands`, and the test. Raises BadTask."""
    server, clone, username, passwd = required("ngrinder", metadata, REQUIRED)
    if not (clone.isascii() and clone.isdigit()):
        raise BadTask(f"clone {clone!r} is not the number of a test")
    url = f"{base_url(server)}/perftest/api"
    start = f"{url}/{clone}/clone_and_start"
    login = _login(username, passwd)

    def request(method: str, address: str) -> HttpRequest:
        return HttpRequest(method, address, (("Authorization", login),), timeout=REQUEST_WITHIN, redirects=0)

    remote = Remote(
        name="ngrinder",
        start=request("POST", start),
        started=_started,
        poll=lambda test: request("GET", f"{url}/{test}/status"),
        ended=_ended,
        stop=lambda test: request("PUT", f"{url}/{test}?action=stop"),
        interval=_interval(metadata.get("pollInterval") or INTERVAL),
    )
    return start, remote


def _login(username: str, passwd: str) -> str:
    try:
        password = b64decode(passwd, validate=True)
    except ValueError:
        raise BadTask("passwd is not base64") from None
    return f"Basic {b64encode(f'{username}:'.encode() + password).decode()}"


def _interval(text: str) -> float:
    try:
        seconds = duration(text)
    except ValueError as error:
        raise BadTask(f"pollInterval {text!r} {error}") from None
    if seconds <= 0:
        raise BadTask(f"pollInterval {text!r} is not greater than zero")
    return seconds


def _read(answer: HttpAnswer) -> dict[str, Any]:
    found = document("ngrinder", answer)
    if found.get("success") is False:
        raise Unusable(f"ngrinder refused the request: {answer.text(200)}")
    return found


def _started(answer: HttpAnswer) -> str:
    test = _read(answer).get("id")
    if not isinstance(test, int) or isinstance(test, bool):
        raise Unusable(f"ngrinder did not start a test: {answer.summary(200)}")
    return str(test)


def _ended(test: str, answer: HttpAnswer) -> str | None:
    found = _read(answer).get("status")
    first = found[0] if isinstance(found, list) and found else None
    status = first.get("status_id") if isinstance(first, dict) else None
    if status in _FAILED:
        raise Failed(f"ngrinder test {test} ended as {status}")
    return "FINISHED" if status == "FINISHED" else None
