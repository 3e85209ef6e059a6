"""Metric providers of plugins: their code runs through a Caller, so that it never blocks the event loop."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from pyflagger.metrics.base import Exchange, Factory, MetricError, Provider, Question, Settings
from pyflagger.plugins import Caller, PluginFailed
from pyflagger.wire import HttpAnswer, HttpRequest

T = TypeVar("T")

PASSED = (StopIteration, MetricError)
"""What a provider may raise: the end of an exchange, and its own errors."""


@dataclass(frozen=True, slots=True)
class PluggedFactory:
    """A plugin's factory."""

    factory: Factory
    caller: Caller

    def __call__(self, settings: Settings) -> Provider:
        return PluggedProvider(self.caller.call("settings", self.factory, settings), self.caller)


@dataclass(frozen=True, slots=True)
class PluggedProvider:
    """A plugin's provider."""

    provider: Provider
    caller: Caller

    def query(self, question: Question) -> Exchange[float]:
        return PluggedExchange(self.caller, "query", lambda: self.provider.query(question))

    def online(self) -> Exchange[None]:
        return PluggedExchange(self.caller, "online", lambda: self.provider.online())


class PluggedExchange(Generator[HttpRequest, HttpAnswer, T]):
    """An exchange of a plugin's provider. Each step raises PluginBusy while the plugin computes."""

    def __init__(self, caller: Caller, method: str, begin: Callable[[], Exchange[T]]) -> None:
        self._caller, self._method = caller, method
        self._exchange = _begun(begin)

    def send(self, answer: HttpAnswer | None) -> HttpRequest:
        return self._caller.call(self._method, self._exchange.send, answer)

    def throw(self, *error: Any) -> HttpRequest:
        return self._caller.call(self._method, self._exchange.throw, *error)

    def close(self) -> None:
        """End the exchange, unless the plugin is still computing."""
        with suppress(PluginFailed):
            self._caller.call(self._method, self._exchange.close)


def _begun(begin: Callable[[], Exchange[T]]) -> Exchange[T]:
    return (yield from begin())
