"""Any JSON endpoint, for MetricTemplates of type `web`.

A query is a JSONPath into the answer of the address. It may also be YAML with `jsonPath`, and `path` (below the
address, with its query), `method` and `body`. Each key of the Secret is a header, its value the header's.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from pyflagger.api.facts import Fault
from pyflagger.metrics import jsonpath
from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    NUMBER_MAX,
    Exchange,
    ProviderError,
    Question,
    Settings,
    ask,
    credential,
    json_value,
    only,
    rejected,
    sent,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpRequest

METHODS = ("GET", "POST", "PUT")
_KEYS = frozenset({"jsonPath", "path", "method", "body"})
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_PATH = re.compile(r"\s*(\{\s*)?\$")
_FORM = "Write the query as a JSONPath, such as $.data.rate, or as YAML with jsonPath, path, method and body."
_NOT_JSON = "Check address and path of the endpoint, and that it answers in JSON."


@dataclass(frozen=True, slots=True)
class Lookup:
    """A request below the address, and the path to the number in its answer."""

    steps: tuple[jsonpath.Step, ...]
    path: str = ""
    method: str = "GET"
    body: str = ""


class Web:
    """One HTTP server. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._address = parse_address(settings.address)
        secret = {name: credential(settings, name) for name in sorted(settings.secret or {})}
        theirs = {name.lower() for name in secret}
        headers = {name: values for name, values in settings.headers.items() if name.lower() not in theirs}
        both = {**headers, **{name: (value,) for name, value in secret.items() if value}}
        self._headers = with_authorization(both, "", self._address.authorization)
        self._secrets = tuple(text for value in secret.values() for text in (value, value.partition(" ")[2]) if text)
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The number that the path leads to. Several values must agree."""
        lookup = read(question.text)
        answer = yield from ask(self._request(lookup.method, lookup.path, lookup.body))
        return only([_number(value) for value in jsonpath.find(json_value(answer, _NOT_JSON), lookup.steps)])

    def online(self) -> Exchange[None]:
        """Check that the server answers and accepts the credentials. Its base path may be unknown to it."""
        request = self._request("GET", "", "")
        answer = yield from sent(request)
        if answer.status in (401, 403) or answer.status >= 500:
            raise rejected(request, answer)

    def _request(self, method: str, path: str, body: str) -> HttpRequest:
        named = {name.lower() for name, _ in self._headers}
        plain = {"Accept": "application/json", **({"Content-Type": "application/json"} if body else {})}
        headers = (*self._headers, *((name, value) for name, value in plain.items() if name.lower() not in named))
        return HttpRequest(
            method,
            self._address.join(path),
            headers,
            body.encode() if body else None,
            verify=self._verify,
            secrets=self._secrets,
        )


def read(text: str) -> Lookup:
    """Read a query. Raises ProviderError."""
    fields = {"jsonPath": text} if _PATH.match(text) else _mapping(text)
    path, method = fields.get("path", ""), fields.get("method", "GET").upper()
    if fields.keys() - _KEYS or "jsonPath" not in fields or method not in METHODS:
        raise _bad(f"the query has keys other than {', '.join(sorted(_KEYS))}, no jsonPath, or another method")
    if path and (not path.startswith("/") or any(map(str.isspace, path))):
        raise _bad(f"path {path[:100]!r} does not begin with / or has white space")
    try:
        steps = jsonpath.parse(fields["jsonPath"])
    except ValueError as error:
        raise _bad(f"jsonPath {error}") from None
    return Lookup(steps, path, method, fields.get("body", ""))


def _mapping(text: str) -> dict[str, str]:
    import yaml

    try:
        fields = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise _bad(f"the query is neither a JSONPath nor YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(fields, dict) or not all(isinstance(part, str) for pair in fields.items() for part in pair):
        raise _bad("the query is neither a JSONPath nor YAML with texts")
    return fields


def _bad(text: str) -> ProviderError:
    return ProviderError(text, _FORM, Fault.MANIFEST)


def _number(value: Any) -> float:
    """A number, a text of one, or a boolean (1 or 0); null is no number. Raises ProviderError."""
    if value is None:
        return math.nan
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float):
        text = f"the value at jsonPath is not a number: {str(value)[:100]}"
        raise ProviderError(text, "Correct jsonPath, or the endpoint.")
    return float(value) if abs(value) < NUMBER_MAX else math.nan
