"""Notifiers by the `type` of an AlertProvider: built-in ones, and plugins from entry points."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from pyflagger import plugins
from pyflagger.alerts.base import AlertError, Factory, Mailer, Notifier, Settings, parsed
from pyflagger.alerts.discord import Discord
from pyflagger.alerts.email import Email, address_of
from pyflagger.alerts.gchat import GoogleChat
from pyflagger.alerts.grafana import Grafana
from pyflagger.alerts.msteams import MsTeams
from pyflagger.alerts.opsgenie import Opsgenie
from pyflagger.alerts.pagerduty import PagerDuty
from pyflagger.alerts.plugged import PASSED, PluggedFactory
from pyflagger.alerts.rocket import Rocket
from pyflagger.alerts.slack import Slack
from pyflagger.alerts.webhook import Webhook
from pyflagger.api.facts import Fault, Problem

GROUP = "pyflagger.alerts"
"""Entry points of this group are factories: settings to notifier."""

MakesAny: TypeAlias = Callable[[Settings], Notifier | Mailer]
"""Makes a notifier of a built-in type, or of a plugin."""

_OURS: dict[str, MakesAny] = {
    "discord": Discord,
    "email": Email,
    "gchat": GoogleChat,
    "grafana": Grafana,
    "msteams": MsTeams,
    "opsgenie": Opsgenie,
    "pagerduty": PagerDuty,
    "rocket": Rocket,
    "slack": Slack,
    "webhook": Webhook,
}


def notifier_for(kind: str) -> MakesAny | Problem:
    """The factory for a type, or a Problem: the type is unknown, or its plugin fails to load.

    A plugin's code runs beside the event loop. Its calls raise PluginFailed. Make them in `plugins.retried`.
    """
    if kind in _OURS:
        return _OURS[kind]
    plugin = plugins.installed(GROUP).get(kind)
    if plugin is None:
        known = ", ".join(known_types())
        return Problem(Fault.MANIFEST, f"unknown alert provider {kind}", f"Use one of: {known}.", "spec.type")
    factory: Factory | Problem = plugins.load(plugin, "alert provider", plugins.factory)
    return factory if isinstance(factory, Problem) else PluggedFactory(factory, _caller(kind))


def check_address(kind: str, address: str) -> None:
    """Raises AlertError if a receiver of this type cannot have the address."""
    if kind == "email":
        address_of(address)
    else:
        parsed(address)


def check_proxy(kind: str, proxy: str) -> None:
    """Raises AlertError if a receiver of this type cannot have the proxy."""
    if kind == "email" and proxy:
        raise AlertError("misconfigured", "a mail server has no HTTP proxy", "Remove spec.proxy.")


def load_plugins() -> None:
    """Load all plugins of this group, so that no import blocks the event loop later."""
    for kind in plugins.installed(GROUP):
        notifier_for(kind)


@cache
def _caller(kind: str) -> plugins.Caller:
    return plugins.Caller(f"alert provider {kind}", PASSED)


def known_types() -> tuple[str, ...]:
    """Every type that an AlertProvider may have."""
    return tuple(sorted({*_OURS, *plugins.installed(GROUP)}))
