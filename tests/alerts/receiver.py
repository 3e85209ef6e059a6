"""A scripted receiver: drives the exchange of a notifier with given answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pyflagger.alerts.base import Alert, Notifier, Severity
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

Answer = HttpAnswer | HttpFailure
TOKEN = "token-4f1c9a"


def alert(severity: Severity = "error", text: str = "Failed checks threshold reached 2", **more: Any) -> Alert:
    """An alert of `shop.test`."""
    given: dict[str, Any] = {"fields": (("Cluster", "prod"), ("Target", "Deployment/shop.test")), "cluster": "prod"}
    return Alert(severity, text, "shop", "test", "3f2a", 1_767_323_045.0, **(given | more))


def delivered(notifier: Notifier, answers: Iterable[Answer], sent: Alert | None = None) -> list[HttpRequest]:
    """The requests of one alert. Raises AlertError."""
    exchange, requests, left = notifier.send(sent or alert()), [], iter(answers)
    try:
        request = next(exchange)
        while True:
            requests.append(request)
            answer = next(left)
            request = exchange.throw(answer) if isinstance(answer, HttpFailure) else exchange.send(answer)
    except StopIteration:
        return requests


def body_of(request: HttpRequest) -> Any:
    """The JSON of a request."""
    return json.loads(request.body or b"")
