"""Visitors at the ingress: many at once, counting who answered, until they are sent home.

Used by tests as the load of a release. Time is wall time: visitors know no other.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections import Counter
from collections.abc import Mapping
from email.message import Message
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

ANSWER_SECONDS_MAX = 10.0


class Visitors:
    """Visits of one host while the block runs, some a second, with headers of their own.

    `ingress` is the URL of the way in; its path is where they go. By https they ask for the host in TLS, too.
    """

    def __init__(
        self,
        ingress: str,
        host: str,
        per_second: float = 100.0,
        threads: int = 4,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._way, self._host = ingress, host
        self._path, self._headers = urlsplit(ingress).path or "/", {"Host": host, **headers}
        self._pause, self._gone = threads / per_second, threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._visit, daemon=True) for _ in range(threads)]
        self.seen: Counter[str] = Counter()
        """Answers so far, by the version that gave them."""
        self.failed: list[str] = []
        """What else came: status codes that are no success, broken connections."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._gone.set()
        for thread in self._threads:
            thread.join()

    def count(self) -> Counter[str]:
        """A copy of the counts, taken at one moment."""
        with self._lock:
            return Counter(self.seen)

    def _visit(self) -> None:
        connection = _connection(self._way, self._host)
        while not self._gone.wait(self._pause):
            try:
                connection.request("GET", self._path, headers=self._headers)
                answer = connection.getresponse()
                body = answer.read()
                self._note(json.loads(body)["version"] if answer.status == 200 else "", str(answer.status))
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                self._note("", repr(error))
        connection.close()

    def _note(self, version: str, otherwise: str) -> None:
        with self._lock:
            if version:
                self.seen[version] += 1
            else:
                self.failed.append(otherwise)


class Answer(NamedTuple):
    """What one visitor got."""

    status: int
    body: str
    headers: Message


def asked(
    way: str, host: str, path: str = "", method: str = "GET", headers: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    """One request on a connection of its own; of no path, to that of the way in. Raises OSError, HTTPException."""
    connection = _connection(way, host)
    try:
        connection.request(method, path or urlsplit(way).path or "/", headers={"Host": host, **headers})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode(), answer.headers)
    finally:
        connection.close()


class _Secure(http.client.HTTPSConnection):
    """Asks for the host of the visit in TLS, wherever it connects to, and takes any certificate."""

    def __init__(self, env: str, host: str) -> None:
        self._wanted, self._trusting = host, ssl.create_default_context()
        self._trusting.check_hostname, self._trusting.verify_mode = False, ssl.CERT_NONE
        super().__init__(env, timeout=ANSWER_SECONDS_MAX)

    def connect(self) -> None:
        """By TCP, then by TLS."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._trusting.wrap_socket(self.sock, server_hostname=self._wanted)


def _connection(way: str, host: str) -> http.client.HTTPConnection:
    at = urlsplit(way)
    if at.scheme == "https":
        return _Secure(at.netloc, host)
    return http.client.HTTPConnection(at.netloc, timeout=ANSWER_SECONDS_MAX)
