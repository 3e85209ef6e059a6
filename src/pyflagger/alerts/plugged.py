"""Notifiers of plugins: their code runs through a Caller, so that it never blocks the event loop."""

from __future__ import annotations

from dataclasses import dataclass

from pyflagger.alerts.base import Alert, AlertError, Exchange, Factory, Notifier, Settings
from pyflagger.plugins import Caller, PluggedExchange

PASSED = (StopIteration, AlertError)
"""What a notifier may raise: the end of an exchange, and its own errors."""


@dataclass(frozen=True, slots=True)
class PluggedFactory:
    """A plugin's factory."""

    factory: Factory
    caller: Caller

    def __call__(self, settings: Settings) -> Notifier:
        return PluggedNotifier(self.caller.call("settings", self.factory, settings), self.caller)


@dataclass(frozen=True, slots=True)
class PluggedNotifier:
    """A plugin's notifier."""

    notifier: Notifier
    caller: Caller

    def send(self, alert: Alert) -> Exchange[None]:
        return PluggedExchange(self.caller, "send", lambda: self.notifier.send(alert))
