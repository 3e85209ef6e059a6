"""The kit for notifiers: ours pass, and each way of being broken is caught and named."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alerts.test_notifiers import GOOD, SETTINGS
from pyflagger.alerts.base import Alert, AlertError, Exchange, Settings, bearer, parsed, post
from pyflagger.alerts.registry import notifier_for
from pyflagger.testing import NOTIFIER_CHECKS, NotConforming, check_notifier
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

MINE = Settings("https://kit.example/in", "kit-token")


class Toy:
    """Conforms. Each broken notifier changes one thing."""

    def __init__(self, settings: Settings) -> None:
        parsed(settings.address)
        self.settings = settings

    def body(self, alert: Alert) -> dict[str, Any]:
        """What it says."""
        return {"text": alert.text, "about": alert.author, "severity": alert.severity}

    def changed(self, request: HttpRequest) -> HttpRequest:
        """What it sends."""
        return request

    def send(self, alert: Alert) -> Exchange[None]:
        """One request."""
        exchange = post(self.settings.address, self.body(alert), bearer(self.settings.token))
        request = next(exchange)
        try:
            answer = yield self.changed(request)
        except HttpFailure as failure:
            exchange.throw(failure)
        else:
            try:
                exchange.send(answer)
            except StopIteration:
                return


class Mute(Toy):
    """Does not say what happened."""

    def body(self, alert: Alert) -> dict[str, Any]:
        return {"about": alert.author}


class Anonymous(Toy):
    """Does not say which Canary it was."""

    def body(self, alert: Alert) -> dict[str, Any]:
        return {"text": alert.text}


class Silent(Toy):
    """Sends nothing."""

    def send(self, alert: Alert) -> Exchange[None]:
        yield from ()


class Endless(Toy):
    """Sends for ever."""

    def send(self, alert: Alert) -> Exchange[None]:
        while True:
            yield from super().send(alert)


class Trusting(Toy):
    """Counts every answer as success."""

    def send(self, alert: Alert) -> Exchange[None]:
        try:
            yield from super().send(alert)
        except AlertError:
            return


class Raw(Toy):
    """Lets failures of the network through."""

    def send(self, alert: Alert) -> Exchange[None]:
        yield HttpRequest("POST", self.settings.address, (), json.dumps(self.body(alert)).encode(), redirects=0)


class Impatient(Toy):
    """Takes a rejection for an overload."""

    def send(self, alert: Alert) -> Exchange[None]:
        try:
            yield from super().send(alert)
        except AlertError as error:
            raise AlertError("failed", error.text, error.todo, error.retry_after) from error


class Terse(Toy):
    """Gives no advice."""

    def send(self, alert: Alert) -> Exchange[None]:
        try:
            yield from super().send(alert)
        except AlertError as error:
            raise AlertError(error.outcome, error.text, "", error.retry_after) from error


class Deaf(Toy):
    """Does not pass on how long to wait."""

    def send(self, alert: Alert) -> Exchange[None]:
        try:
            yield from super().send(alert)
        except AlertError as error:
            raise AlertError(error.outcome, error.text, error.todo) from error


class Chatty(Toy):
    """Says its token in errors."""

    def send(self, alert: Alert) -> Exchange[None]:
        try:
            yield from super().send(alert)
        except AlertError as error:
            text = f"{error.text} {self.settings.token}"
            raise AlertError(error.outcome, text, error.todo, error.retry_after) from error


class Random(Toy):
    """Has another body each time."""

    def body(self, alert: Alert) -> dict[str, Any]:
        return {**super().body(alert), "n": random.random()}


class Strict(Toy):
    """Knows two severities."""

    def body(self, alert: Alert) -> dict[str, Any]:
        return {**super().body(alert), "color": {"info": 0, "error": 1}[alert.severity]}


class Ascii(Toy):
    """Takes no other characters."""

    def body(self, alert: Alert) -> dict[str, Any]:
        alert.text.encode("ascii")
        return super().body(alert)


class Gullible(Toy):
    """Finds out about its settings when it sends."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class Rude(Toy):
    """Raises an error of its own for wrong settings."""

    def __init__(self, settings: Settings) -> None:
        if not settings.address.startswith("https://kit"):
            raise ValueError(settings.address)
        super().__init__(settings)


def changing(**fields: Any) -> type[Toy]:
    """A notifier with another request."""

    class Changed(Toy):
        def changed(self, request: HttpRequest) -> HttpRequest:
            return replace(request, **fields)

    return Changed


BROKEN: dict[str, tuple[Callable[[Settings], Any], str]] = {
    "mute": (Mute, "says what happened"),
    "anonymous": (Anonymous, "says what happened"),
    "silent": (Silent, "sends something"),
    "endless": (Endless, "sends something"),
    "trusting": (Trusting, "reads a rejection"),
    "raw": (Raw, "reads a failed connection"),
    "impatient": (Impatient, "reads a rejection"),
    "terse": (Terse, "explains its errors"),
    "deaf": (Deaf, "reads an overload"),
    "chatty": (Chatty, "explains its errors"),
    "random": (Random, "sends the same again"),
    "strict": (Strict, "takes every severity"),
    "ascii": (Ascii, "takes every text"),
    "gullible": (Gullible, "rejects settings that cannot work"),
    "rude": (Rude, "rejects settings that cannot work"),
    "patient": (changing(timeout=600.0), "is bounded"),
    "hungry": (changing(max_bytes=1 << 30), "is bounded"),
    "redirected": (changing(redirects=10), "follows no redirect"),
    "unverified": (changing(verify=False), "verifies certificates"),
    "leaking": (changing(url="https://kit.example/?token=kit-token"), "keeps the token out of the url"),
    "relative": (changing(url="/in"), "sends something"),
}


@pytest.mark.parametrize("which", SETTINGS)
def test_ours_conform(which: str) -> None:
    """Every check is made for each of them."""
    kind, settings = SETTINGS[which]
    factory: Any = notifier_for(kind)
    assert len(check_notifier(factory, settings, GOOD[which])) == len(NOTIFIER_CHECKS)


def test_the_toy_conforms() -> None:
    """So what is caught below is what was broken."""
    assert check_notifier(Toy, MINE)
    assert check_notifier(Toy, Settings(MINE.address), HttpAnswer(204))


@pytest.mark.parametrize("which", BROKEN)
def test_a_broken_one_is_caught(which: str) -> None:
    """By the check of its name."""
    factory, check = BROKEN[which]
    with pytest.raises(NotConforming) as caught:
        check_notifier(factory, MINE)
    assert check in dict(caught.value.failures), caught.value.failures
