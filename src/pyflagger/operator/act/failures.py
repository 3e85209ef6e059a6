"""Tells of a look that failed: an Event on the canary, a metric, a log line; the same text once until it changes.

Called by `operator.reconcile` when an API call was refused or our own code broke. Changes nothing.
"""

from __future__ import annotations

from typing import Any

from pyflagger.api.facts import Fault, Problem
from pyflagger.kube.events import Events
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Key
from pyflagger.operator.observe.situation import Observer
from pyflagger.operator.observe.store import Store
from pyflagger.operator.process.telemetry import Telemetry


class Failures:
    """What went wrong lately, by canary."""

    def __init__(self, observer: Observer, store: Store, events: Events, telemetry: Telemetry, log: Any) -> None:
        self._observer, self._store, self._events = observer, store, events
        self._telemetry, self._log = telemetry, log

    def tell(self, key: Key, problem: Problem) -> None:
        """Tell; the Event's count rises when the text is the same as before."""
        tell = self._log.error if problem.fault is Fault.US else self._log.warning
        tell(problem.text, canary=str(key), fault=problem.fault.value, todo=problem.todo)
        compiled = self._observer.last_compiled(key)
        if compiled:
            self._telemetry.failed(compiled.target.name, key.namespace, problem.fault.value)
        raw = self._store.get(CANARIES.ref(*key))
        if raw is not None:
            self._events.record(raw, "Warning", f"{problem.text} {problem.todo}".strip())
