"""Single visits of what is behind the gateway, with all that an answer says."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from e2e.visitors import ANSWER_SECONDS_MAX


@dataclass(frozen=True)
class Answer:
    """An answer; names of headers are in lower case."""

    status: int
    body: str
    headers: Mapping[str, str]


def asked(
    way: str, host: str, path: str, method: str = "GET", headers: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(way).netloc, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request(method, path, headers={"Host": host, **headers})
        answer = connection.getresponse()
        body = answer.read().decode()
        return Answer(answer.status, body, {name.lower(): value for name, value in answer.getheaders()})
    finally:
        connection.close()


def connections(way: str, count: int) -> Counter[str]:
    """So many connections, by the version at their end."""
    return Counter(json.loads(asked(way, "anybody", "/").body)["version"] for _ in range(count))
