"""Tells of a look that failed: an Event on the canary, a metric, a log line; the same text once until it changes.

Called by `operator.worker` when an API call was refused or our own code broke. Changes nothing.
"""

from __future__ import annotations

from typing import Any

from pyflagger.api.facts import Fault, Problem
from pyflagger.kube.events import Events
from pyflagger.kube.resources import CANARIES
from pyflagger.operator.desk import Key
from pyflagger.operator.observe import Eyes
from pyflagger.operator.telemetry import Telemetry
from pyflagger.operator.world import World


class Complaints:
    """What went wrong lately, by canary."""

    def __init__(self, eyes: Eyes, world: World, events: Events, telemetry: Telemetry, log: Any) -> None:
        self._eyes, self._world, self._events = eyes, world, events
        self._telemetry, self._log = telemetry, log

    def tell(self, key: Key, problem: Problem) -> None:
        """Tell; the Event's count rises when the text is the same as before."""
        tell = self._log.error if problem.fault is Fault.US else self._log.warning
        tell(problem.text, canary=str(key), fault=problem.fault.value, todo=problem.todo)
        plan = self._eyes.last_plan(key)
        if plan:
            self._telemetry.failed(plan.target.name, key.namespace, problem.fault.value)
        raw = self._world.get(CANARIES.ref(*key))
        if raw is not None:
            self._events.record(raw, "Warning", f"{problem.text} {problem.todo}".strip())
