"""One telling, everywhere: the Kubernetes Event, the event hooks, the log. Alerts go the same way.

Called by `operator.act`. None of the listeners can hold a release up: each has a queue of its own, and is
waited for a second at most, before the primary changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault
from pyflagger.core.decision import Alert, Say
from pyflagger.kube.events import Events
from pyflagger.objects import Key, Obj
from pyflagger.operator.evidence.webhooks import EventHooks

FAILURES = frozenset({"rolling-back", "failed", "promotion-failed"})
"""Codes of reasons by which a release ends badly."""

Level = Literal["info", "warning", "error"]
SEVERITIES: Mapping[str, Level] = {"warn": "warning", "error": "error"}


def level(say: Say) -> Level:
    """How loud a telling is in the log: progress, what holds a release up, or what ends it badly."""
    if say.type == "Normal":
        return "info"
    return "error" if say.reason.code in FAILURES or say.reason.fault is Fault.US else "warning"


class Announcer:
    """Tells of what happens to canaries."""

    def __init__(self, events: Events, hooks: EventHooks, log: Any) -> None:
        self._events, self._hooks, self._log = events, hooks, log

    def tell(self, canary: Canary, raw: Obj, say: Say) -> None:
        """An Event on the Canary, every event hook, a log line."""
        text = say.reason.text
        self._events.record(raw, say.type, text)
        self._hooks.tell(canary, phase=say.phase, checksum=say.checksum, text=text, kind=say.type)
        name = f"{canary.metadata.name}.{canary.metadata.namespace}"
        getattr(self._log, level(say))(text, canary=name, code=say.reason.code, todo=say.reason.todo)

    async def heard(self, canary: Canary) -> None:
        """Give those who are told a moment to hear of it."""
        await self._hooks.heard(Key(canary.metadata.namespace, canary.metadata.name))

    async def written(self, raw: Obj) -> None:
        """Wait a moment until the Events on a Canary are written."""
        await self._events.written(raw)

    def alert(self, canary: Canary, alert: Alert) -> None:
        """An alert; without a notifier it is a log line."""
        name = f"{canary.metadata.name}.{canary.metadata.namespace}"
        tell = getattr(self._log, SEVERITIES.get(alert.severity, "info"))
        tell("alert", canary=name, severity=alert.severity, text=alert.text)
