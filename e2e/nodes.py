"""What a real control plane lacks here: a scheduler, for it has the other controllers itself.

The sandbox's own decides; a real API server lets nobody change a pod's node but by a binding.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.objects import Create, Patch, Write
from pyflagger.sandbox.controllers import scheduler
from pyflagger.sandbox.controllers.cache import View
from pyflagger.sandbox.controllers.manager import Controller
from pyflagger.sandbox.controllers.outcome import NOTHING, Outcome


def look(view: View, namespace: str, name: str, now: float) -> Outcome:
    """Bind one pod of a view, or say why it cannot be."""
    outcome = scheduler.look(view, namespace, name, now)
    return outcome if outcome is NOTHING else replace(outcome, writes=tuple(map(_bound, outcome.writes)))


def _bound(write: Write) -> Write:
    if not isinstance(write, Patch) or write.subresource:
        return write
    node = {"apiVersion": "v1", "kind": "Node", "name": write.body["spec"]["nodeName"]}
    place = {"name": write.ref.name, "namespace": write.ref.namespace}
    return Create({"apiVersion": "v1", "kind": "Binding", "metadata": place, "target": node})


SCHEDULER = Controller("scheduler", scheduler.CONTROLLER.watches, look)
