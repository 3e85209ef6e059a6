"""One telling, everywhere: the Kubernetes Event, the event hooks, the log. Alerts go the same way.

Called by `operator.apply`. None of the listeners can hold a release up: each has a queue of its own, and is
waited for a second at most, before the primary changes.
"""

from __future__ import annotations

from typing import Any

from pyflagger.api.canary import Canary
from pyflagger.core.decision import Alert, Say
from pyflagger.kube.events import Events
from pyflagger.objects import Obj
from pyflagger.operator.desk import Key
from pyflagger.operator.hooks import EventHooks


class Teller:
    """Tells of what happens to canaries."""

    def __init__(self, events: Events, hooks: EventHooks, log: Any) -> None:
        self._events, self._hooks, self._log = events, hooks, log

    def tell(self, canary: Canary, raw: Obj, say: Say) -> None:
        """An Event on the Canary, every event hook, a log line."""
        text = say.reason.text
        self._events.record(raw, say.type, text)
        self._hooks.tell(canary, phase=say.phase, checksum=say.checksum, text=text, kind=say.type)
        name = f"{canary.metadata.name}.{canary.metadata.namespace}"
        self._log.info(text, canary=name, code=say.reason.code, todo=say.reason.todo or None)

    async def heard(self, canary: Canary) -> None:
        """Give those who are told a moment to hear of it."""
        await self._hooks.heard(Key(canary.metadata.namespace, canary.metadata.name))

    def alert(self, canary: Canary, alert: Alert) -> None:
        """An alert; without a notifier it is a log line."""
        name = f"{canary.metadata.name}.{canary.metadata.namespace}"
        self._log.info("alert", canary=name, severity=alert.severity, text=alert.text)
