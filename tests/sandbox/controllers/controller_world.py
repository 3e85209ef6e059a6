"""A cluster as plain values: controllers' reconcile functions run to a fixpoint, time moved by hand."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

from pyflagger.api.durations import stamp
from pyflagger.objects import Create, Delete, Obj, Patch, Write, merge_apply
from pyflagger_sandbox.controllers.cache import View
from pyflagger_sandbox.controllers.outcome import Outcome
from pyflagger_sandbox.controllers.registry import CONTROLLERS, KINDS

START = 1_700_000_000.0


def deployment(name: str = "web", *, replicas: int | None = 1, image: str = "web:1", **spec: Any) -> Obj:
    """A Deployment of one container."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    body = {"selector": {"matchLabels": {"app": name}}, "template": template} | spec
    if replicas is not None:
        body["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "test"},
        "spec": body,
    }


def node(name: str, **labels: str) -> Obj:
    """A node with labels."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}}


class World:
    """Objects, a clock, and the controllers. `broken(pod, image)` says whether a container never gets ready."""

    def __init__(
        self, broken: Callable[[Obj, str], bool] = lambda pod, image: "broken" in image, nodes: int = 2
    ) -> None:
        self.view = View(dict.fromkeys((*KINDS, "Pod", "Node")))
        self.now, self.broken = START, broken
        self.said: list[str] = []
        self.writes: list[Write] = []
        self._count = itertools.count(1)
        for number in range(nodes):
            self.add(node(f"node-{number}"))

    def add(self, obj: Obj) -> Obj:
        """Create an object as a server would."""
        obj = copy.deepcopy(obj)
        meta, number = obj["metadata"], next(self._count)
        meta["name"] = meta.get("name") or f"{meta['generateName']}{number}"
        meta |= {"uid": f"uid-{number}", "resourceVersion": str(number), "creationTimestamp": stamp(self.now)}
        if obj["kind"] in ("Deployment", "ReplicaSet", "DaemonSet"):
            meta["generation"] = 1
        self.view.put(obj)
        return obj

    def get(self, kind: str, name: str) -> Obj:
        """A live object of namespace `test`."""
        found = self.view.get(kind, "test", name)
        assert found is not None, f"no {kind} {name}"
        return found

    def patch(self, kind: str, name: str, body: Obj, *, namespace: str = "test") -> None:
        """Change an object by a merge patch; a changed spec is a new generation."""
        old = self.view.get(kind, namespace, name)
        assert old is not None
        new = merge_apply(old, body)
        new["metadata"]["resourceVersion"] = str(next(self._count))
        if new.get("spec") != old.get("spec") and "generation" in old["metadata"]:
            new["metadata"]["generation"] += 1
        self.view.put(new)

    def image(self, name: str, image: str) -> None:
        """A new image for a Deployment."""
        spec = copy.deepcopy(self.get("Deployment", name)["spec"])
        spec["template"]["spec"]["containers"][0]["image"] = image
        self.patch("Deployment", name, {"spec": spec})

    def look(self, controller: str, name: str) -> Outcome:
        """One controller's opinion of one object."""
        found = next(entry for entry in CONTROLLERS if entry.name == controller)
        return found.reconcile(self.view, "test", name, self.now)

    def apply(self, outcome: Outcome) -> None:
        """Carry out an outcome."""
        self.said += [said.message for said in outcome.said]
        for write in outcome.writes:
            self.writes.append(write)
            match write:
                case Create(obj):
                    self.add(obj)
                case Patch(ref, body, version, _):
                    live = self.view.get(ref.kind, ref.namespace, ref.name)
                    assert live is not None
                    assert not version or version == live["metadata"]["resourceVersion"], "conflict"
                    self.patch(ref.kind, ref.name, body, namespace=ref.namespace)
                case Delete(ref):
                    self.view.drop(ref.kind, (ref.namespace, ref.name))

    def step(self) -> bool:
        """Every controller once over every object, and the kubelet; whether anything was written."""
        before = len(self.writes)
        for controller in CONTROLLERS:
            kind = next(iter(controller.watches))
            for obj in self.view.all(kind):
                meta = obj["metadata"]
                self.apply(controller.reconcile(self.view, meta.get("namespace", ""), meta["name"], self.now))
        return self._run_pods() or len(self.writes) > before

    def settle(self, check: Callable[[], None] = lambda: None) -> int:
        """Step until nothing is left to do; `check` is called after each step. Gives the number of steps."""
        for steps in range(200):
            if not self.step():
                return steps
            check()
        raise AssertionError("no fixpoint")

    def later(self, seconds: float) -> None:
        """Move the clock and settle."""
        self.now += seconds
        self.settle()

    def _run_pods(self) -> bool:
        changed = False
        for pod in self.view.all("Pod"):
            if pod["spec"].get("nodeName") and not pod.get("status", {}).get("phase"):
                changed = True
                ready = not any(self.broken(pod, entry["image"]) for entry in pod["spec"]["containers"])
                entry = {"type": "Ready", "status": str(ready), "lastTransitionTime": stamp(self.now)}
                status = {"phase": "Running", "podIP": "127.80.0.9", "conditions": [entry]}
                self.patch("Pod", pod["metadata"]["name"], {"status": status}, namespace=pod["metadata"]["namespace"])
        return changed

    def sizes(self, name: str = "web") -> list[int]:
        """Desired sizes of a Deployment's ReplicaSets, by revision."""
        owned = self.view.by("ReplicaSet", "owner", self.get("Deployment", name)["metadata"]["uid"])
        return [rs["spec"]["replicas"] for rs in sorted(owned, key=revision)]

    def condition(self, type_: str, name: str = "web") -> tuple[str, str, str]:
        """(status, reason, message) of a Deployment's condition."""
        conditions = self.get("Deployment", name)["status"]["conditions"]
        entry = next(entry for entry in conditions if entry["type"] == type_)
        return entry["status"], entry["reason"], entry["message"]


def revision(obj: Obj) -> int:
    """The revision noted on an object."""
    return int(obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
