"""Notifiers by the `type` of an AlertProvider: built-in ones, and plugins from entry points."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pyflagger.alerts.base import AlertError, Mailer, Notifier, Settings, parsed
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
from pyflagger.plugins import Registry

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

REGISTRY: Registry[MakesAny] = Registry(GROUP, "alert provider", "spec.type", _OURS, PluggedFactory, PASSED)
notifier_for, known_types, load_plugins = REGISTRY.find, REGISTRY.known_types, REGISTRY.load_plugins


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
