"""Metric providers of plugins: their code runs through a Caller, so that it never blocks the event loop."""

from __future__ import annotations

from dataclasses import dataclass

from pyflagger.metrics.base import Exchange, Factory, MetricError, Provider, Question, Settings
from pyflagger.plugins import Caller, PluggedExchange

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
