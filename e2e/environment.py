"""A namespace of a test's own on the stage, with its operator: what most tests here are written with.

An operator watches one namespace with the rights of a Role there, so tests never meet each other's canaries; the
operator for all namespaces is the business of the modules that are about it, which run it alone.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from e2e.controlplane import Child
from e2e.evidence import forbids
from e2e.stage import Operator, Stage
from pyflagger.objects import Obj

LOOK_SECONDS = 0.1


Found = TypeVar("Found")


def until(look: Callable[[], Found | None], why: Callable[[], str] = str, seconds: float = 60.0) -> Found:
    """Look again and again until something is found, and give it back. Raises AssertionError that says `why`."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {why()}"
        pause.wait(LOOK_SECONDS)
    return found


class Environment:
    """A namespace and what was started for it."""

    def __init__(self, stage: Stage, namespace: str) -> None:
        self.stage, self.namespace = stage, namespace
        self._children: list[Child] = []
        stage.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def close(self) -> None:
        """Delete the canaries while somebody can do what their end asks for, stop everything, delete the rest."""
        self._keep()
        self.kubectl("delete", "canaries", "--all", "--timeout=10s", check=False)
        for child in self._children:
            child.stop()
        self.stage.plane.ask("DELETE", f"/api/v1/namespaces/{self.namespace}")

    def operator(self, *flags: str, name: str = "") -> Operator:
        """An operator of this namespace, under its service account with our Role, ready."""
        kubeconfig = self.stage.install("namespaced", self.namespace)
        words = ("-namespace", self.namespace, *flags)
        operator = self.stage.operator(kubeconfig, *words, name=name or f"operator-{self.namespace}")
        self.started(operator)
        until(operator.ready, operator.tail, 30)
        return operator

    def started(self, child: Child) -> None:
        """Start a child process that ends with this environment."""
        self._children.append(child)
        child.start()

    def kubectl(self, *words: str, said: str = "", check: bool = True) -> str:
        """Run kubectl in this namespace as the administrator."""
        return self.stage.kubectl("-n", self.namespace, *words, said=said, check=check)

    def apply(self, *objects: Obj) -> None:
        """Apply objects, all of this namespace."""
        self.stage.apply(*(obj | {"metadata": obj["metadata"] | {"namespace": self.namespace}} for obj in objects))

    def get(self, kind: str, name: str) -> Obj:
        """An object. Raises RuntimeError when there is none."""
        found: Obj = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def status(self, canary: str) -> Obj:
        """A canary's status, empty before its first."""
        path = f"/apis/flagger.app/v1beta1/namespaces/{self.namespace}/canaries/{canary}"
        found: Obj = self.stage.plane.ask("GET", path).get("status") or {}
        return found

    def wait(self, canary: str, phase: str, seconds: float = 90.0) -> Obj:
        """Until a canary is in a phase; its status then."""

        def look() -> Obj | None:
            status = self.status(canary)
            return status if status.get("phase") == phase else None

        return until(look, lambda: f"{phase}: {self.status(canary)}\n{self.said(canary)}", seconds)

    def said(self, canary: str) -> str:
        """The canary's Events, as kubectl prints them."""
        return self.kubectl("events", "--for", f"canary/{canary}")

    @property
    def account(self) -> str:
        """The user name of its operator's service account."""
        return f"system:serviceaccount:{self.namespace}:flagger"

    def refused(self) -> list[Obj]:
        """What the API server refused this namespace's service account, from the audit log."""
        return refused(self.stage, self.account)

    def _keep(self) -> None:
        """What is to be judged when all is gone: events, statuses, metrics."""
        keep, where = self.stage.evidence.keep, self.namespace
        keep(f"events of {where}", self.kubectl("get", "events", "-o", "json", check=False))
        keep(f"statuses of {where}", self.kubectl("get", "canaries", "-o", "jsonpath={.items[*].status}", check=False))
        for child in self._children:
            if isinstance(child, Operator) and child.runs:
                keep(f"metrics of {child.name}", child.page("/metrics"))


def refused(stage: Stage, user: str) -> list[Obj]:
    """What the authorizer refused a user so far: what was asked for, and the verb."""
    return [
        entry["objectRef"] | {"verb": entry["verb"]}
        for entry in stage.plane.audited()
        if entry["user"]["username"] == user and forbids(entry)
    ]
