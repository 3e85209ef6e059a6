"""What a real control plane lacks here: a scheduler, for it has the other controllers itself.

The sandbox's own decides; a real API server lets nobody change a pod's node but by a binding.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pyflagger.objects import Create, Obj, Patch, Write, part
from pyflagger_sandbox.controllers import scheduler
from pyflagger_sandbox.controllers.cache import View
from pyflagger_sandbox.controllers.manager import Controller
from pyflagger_sandbox.controllers.outcome import NOTHING, Outcome


def look(view: View, namespace: str, name: str, now: float) -> Outcome:
    """Bind one pod of a view, or say why it cannot be."""
    outcome = scheduler.look(view, namespace, name, now)
    if outcome is NOTHING:
        return outcome
    bound = partial(_bound, _meant_for(view.get("Pod", namespace, name) or {}))
    return replace(outcome, writes=tuple(map(bound, outcome.writes)))


def _meant_for(pod: Obj) -> str:
    """The node that a DaemonSet's pod is for, as its controller says it; empty for other pods."""
    affinity = part(part(part(pod, "spec"), "affinity"), "nodeAffinity")
    terms = part(affinity, "requiredDuringSchedulingIgnoredDuringExecution").get("nodeSelectorTerms") or ()
    fields = (field for term in terms for field in term.get("matchFields") or ())
    return next((field["values"][0] for field in fields if field["key"] == "metadata.name"), "")


def _bound(meant: str, write: Write) -> Write:
    if not isinstance(write, Patch) or write.subresource:
        return write
    node = {"apiVersion": "v1", "kind": "Node", "name": meant or write.body["spec"]["nodeName"]}
    env = {"name": write.ref.name, "namespace": write.ref.namespace}
    return Create({"apiVersion": "v1", "kind": "Binding", "metadata": env, "target": node})


SCHEDULER = Controller("scheduler", scheduler.CONTROLLER.watches, look)
