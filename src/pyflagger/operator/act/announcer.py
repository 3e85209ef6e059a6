"""Send the same text as a Kubernetes Event, to the event webhooks, and to the log.

`operator.act`, `operator.ports` and `operator.reconcile` use this. A slow receiver cannot delay a release: each has its
own queue, and the operator waits for it at most a second before the primary changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from pyflagger.api.canary import Canary, Phase
from pyflagger.api.facts import Fault, Problem
from pyflagger.core import reasons
from pyflagger.core.decision import Alert, Say
from pyflagger.kube.events import Events
from pyflagger.objects import Key, Obj
from pyflagger.operator.evidence.webhooks import EventHooks
from pyflagger.operator.observe.compiled import CompiledCanary
from pyflagger.plugins import PluginFailed

NEVER_ASLEEP = (Phase.NEW, Phase.INITIALIZING)
"""Phases before flagger scales the target to zero for the first time."""

FAILURES = frozenset({"rolling-back", "failed", "promotion-failed"})
"""Codes of the reasons for a failed release."""

Level = Literal["info", "warning", "error"]
SEVERITIES: Mapping[str, Level] = {"warn": "warning", "error": "error"}


def level(say: Say) -> Level:
    """The log level: info for progress, warning for a delay, error for a failed release."""
    if say.type == "Normal":
        return "info"
    return "error" if say.reason.code in FAILURES or say.reason.fault is Fault.US else "warning"


class Announcer:
    """Reports what happens to canaries."""

    def __init__(self, events: Events, hooks: EventHooks, log: Any) -> None:
        self._events, self._hooks, self._log = events, hooks, log

    def tell(self, canary: Canary, raw: Obj, say: Say) -> None:
        """Report as an Event on the Canary, to every event webhook, and in the log."""
        text = say.reason.text
        self._events.record(raw, say.type, text)
        self._hooks.tell(canary, phase=say.phase, checksum=say.checksum, text=text, kind=say.type)
        name = f"{canary.metadata.name}.{canary.metadata.namespace}"
        getattr(self._log, level(say))(text, canary=name, code=say.reason.code, todo=say.reason.todo)

    def failed(self, key: Key, raw: Obj | None, problem: Problem) -> None:
        """Report a failed reconciliation as an Event, whose count rises if the text repeats, and in the log."""
        log = self._log.error if problem.fault is Fault.US else self._log.warning
        log(problem.text, canary=str(key), fault=problem.fault.value, todo=problem.todo)
        if raw is not None:
            self._events.record(raw, "Warning", f"{problem.text} {problem.todo}".strip())

    def deleted(self, compiled: CompiledCanary, raw: Obj, target: Obj | None) -> None:
        """Report the deletion of a Canary whose target stays at zero replicas (without `revertOnDeletion`).

        Nothing is reported if the target's kind fails.
        """
        canary, kind = compiled.canary, compiled.workload
        if canary.spec.revert_on_deletion or canary.status.phase in NEVER_ASLEEP or kind is None or target is None:
            return
        with suppress(PluginFailed):
            if kind.scalable and kind.at_zero(target) and "deletionTimestamp" not in target["metadata"]:
                self.tell(canary, raw, Say("Warning", reasons.left_asleep(canary), Phase.TERMINATED.value, ""))

    async def heard(self, canary: Canary) -> None:
        """Wait a moment for the receivers of events."""
        await self._hooks.heard(Key(canary.metadata.namespace, canary.metadata.name))

    async def written(self, raw: Obj) -> None:
        """Wait a moment for the Events of a Canary to be written."""
        await self._events.written(raw)

    def alert(self, canary: Canary, alert: Alert) -> None:
        """Log an alert. `operator.alerting` sends it."""
        name = f"{canary.metadata.name}.{canary.metadata.namespace}"
        tell = getattr(self._log, SEVERITIES.get(alert.severity, "info"))
        tell("alert", canary=name, severity=alert.severity, text=alert.text)
