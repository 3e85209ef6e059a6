"""Graphite's render API, for MetricTemplates of type `graphite`; their query is a URL's: `target=…&from=…`."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from typing import Any
from urllib.parse import unquote, urlencode

from pyflagger.api.facts import Fault
from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import Exchange, NoValues, ProviderError, Question, Settings, ask, credential
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpRequest

_NOT_GRAPHITE = "The server at this address does not speak the render API of Graphite. Check address and path."


class Graphite:
    """One Graphite. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        address = parse_address(settings.address)
        self._url = address.join("/render")
        self._headers = with_authorization(settings.headers, _authorization(settings), address.authorization)
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The last value of the last target that has one."""
        url = f"{self._url}?{urlencode(_parameters(question.text))}"
        answer = yield from ask(HttpRequest("GET", url, self._headers, verify=self._verify))
        try:
            targets = json.loads(answer.body)
        except (ValueError, RecursionError):
            raise ProviderError(f"answer is not JSON: {answer.text(200).strip()}", _NOT_GRAPHITE) from None
        if not isinstance(targets, list):
            raise ProviderError("answer is not a list of targets", _NOT_GRAPHITE)
        values = [value for target in targets for value in _values(target)]
        if not values:
            raise NoValues()
        return values[-1]

    def online(self) -> Exchange[None]:
        """Check that the server renders. The result may be empty."""
        try:
            yield from self.query(Question("target=test"))
        except NoValues:
            return


def _authorization(settings: Settings) -> str:
    if settings.secret is None:
        return ""
    user, password = credential(settings, "username"), credential(settings, "password")
    if not (user and password):
        raise ProviderError("the Secret lacks username or password", "Add both to the Secret.", Fault.MANIFEST)
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def _parameters(text: str) -> list[tuple[str, str]]:
    """The pairs of a query, split only at `&` and the first `=`. `;`, `#`, `+` and a lone `%` are Graphite syntax."""
    pairs = [pair.strip().partition("=") for pair in " ".join(text.split()).split("&")]
    found = [(name, unquote(value)) for name, _, value in pairs if name and name != "format"]
    if not any(name == "target" and value for name, value in found):
        raise ProviderError("the query has no target", "Write it as target=…&from=-2min.", Fault.MANIFEST)
    return [*found, ("format", "json")]


def _values(target: Any) -> list[float]:
    points = target.get("datapoints") if isinstance(target, dict) else None
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise ProviderError("a target of the answer has no pairs of value and time", _NOT_GRAPHITE)
    numbers = [_number(point[0]) for point in points if point[0] is not None]
    return [number for number in numbers if math.isfinite(number)]


def _number(value: Any) -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise ProviderError(f"a value of the answer is not a number: {str(value)[:100]}", _NOT_GRAPHITE)
