"""One message, everywhere: the Kubernetes Event, the event hooks, the log. Alerts go the same way.

Called by `operator.act`, `operator.ports` and `operator.reconcile`. No receiver can hold up a release: each has a queue
of its own, and the operator waits for it a second at most before the primary changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pyflagger.api.canary import Canary, Phase
from pyflagger.api.facts import Fault, Problem
from pyflagger.core import reasons
from pyflagger.core.decision import Alert, Say
from pyflagger.kube.events import Events
from pyflagger.objects import Key, Obj
from pyflagger.operator.evidence.webhooks import EventHooks
from pyflagger.operator.observe.compiled import CompiledCanary

NEVER_ASLEEP = (Phase.NEW, Phase.INITIALIZING)
"""Phases in which the target was never scaled to zero."""

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

    def failed(self, key: Key, raw: Obj | None, problem: Problem) -> None:
        """A reconciliation failed: an Event, whose count rises while the text stays the same, and a log line."""
        log = self._log.error if problem.fault is Fault.US else self._log.warning
        log(problem.text, canary=str(key), fault=problem.fault.value, todo=problem.todo)
        if raw is not None:
            self._events.record(raw, "Warning", f"{problem.text} {problem.todo}".strip())

    def deleted(self, compiled: CompiledCanary, raw: Obj, target: Obj | None) -> None:
        """A Canary is gone. Without `revertOnDeletion` its target may be left at zero replicas, which this reports."""
        canary, kind = compiled.canary, compiled.workload
        if canary.spec.revert_on_deletion or canary.status.phase in NEVER_ASLEEP or kind is None or target is None:
            return
        if kind.scalable and kind.at_zero(target) and "deletionTimestamp" not in target["metadata"]:
            self.tell(canary, raw, Say("Warning", reasons.left_asleep(canary), Phase.TERMINATED.value, ""))

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
