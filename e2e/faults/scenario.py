"""One fault in a namespace of its own: releases begin, the fault strikes, all comes to its end and is judged."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from e2e.controlplane import Child
from e2e.environment import Environment, until
from e2e.faults import record, releases
from e2e.faults.faulty_proxy import FaultyProxy, Loop, through
from e2e.faults.releases import KINDS, Kind
from e2e.stage import Operator, Stage
from e2e.visitors import Visitors
from pyflagger.objects import Obj

END_SECONDS_MAX = 200.0
STEPS_MAX = 5
"""Intervals from the first weight to the end."""
VISITS_PER_SECOND = 6.0
NUMBERS = count(1)
FULL = Path("/dev/full")


@dataclass(frozen=True)
class Fault:
    """What goes wrong. `act` does it, from the moment that a release has begun until the fault is over."""

    name: str
    act: Callable[[Scenario], None]
    kinds: Sequence[Kind] = KINDS
    apart: bool = False
    """A namespace and an operator for each kind of release."""
    alone: bool = False
    """It concerns the whole cluster: nothing else goes on meanwhile."""
    environ: Mapping[str, str] = field(default_factory=dict)
    full: bool = False
    """Nothing can be written to the operator's log."""
    overlay: str = "namespaced"
    elected: bool = False
    """Two replicas, of which one leads."""
    deadline: int = releases.DEADLINE_SECONDS
    """Seconds that workloads may take: more where the cluster's own controllers have to recover first."""
    interval: float = releases.INTERVAL
    """Seconds between two steps: more where the ingress itself has lost the API server and must find it again."""
    long: bool = False
    """It takes more than a minute or two."""
    ends: Mapping[str, str] = field(default_factory=dict)
    """Other ends than usual, by kind of release."""


@dataclass(frozen=True)
class Row:
    """What became of one release."""

    fault: str
    kind: str
    wanted: str
    end: str
    visits: int
    failed: Sequence[str]
    """Seconds after the fault's end (before it, if negative), and what came instead of an answer."""
    steps: record.Steps
    turns: Sequence[str]
    writes: int
    recovered: float | None
    """Seconds from the fault's end to the operator's next write; None when it wrote nothing more."""
    took: float
    """Seconds from the new version to the end."""
    notes: str = ""


class TimedVisitors(Visitors):
    """Visitors who know when they were not answered: seconds since the epoch, and what came instead."""

    def _note(self, version: str, otherwise: str) -> None:
        super()._note(version, f"{time.time():.1f} {otherwise}")


class Scenario:
    """A fault while it is played."""

    def __init__(self, stage: Stage, fault: Fault, loop: Loop, kinds: Sequence[Kind]) -> None:
        self.stage, self.fault, self._loop = stage, fault, loop
        self.env = Environment(stage, f"fault-{next(NUMBERS)}")
        self.apps = {kind.name.replace(" ", "-"): kind for kind in kinds}
        self.api = FaultyProxy(stage.plane.url, stage.plane.authority)
        self.metrics = FaultyProxy(stage.urls["metrics"])
        self.operators: list[Operator] = []
        self.notes = "" if fault.interval == releases.INTERVAL else f"an interval of {fault.interval:g} s"
        self.ended_at = 0.0

    @property
    def namespace(self) -> str:
        """Where it is played."""
        return self.env.namespace

    @property
    def account(self) -> str:
        """The operator's user name."""
        home = "flagger-system" if self.fault.overlay == "cluster" else self.namespace
        return f"system:serviceaccount:{home}:flagger"

    def run(self) -> list[Row]:
        """Scenario it to its end."""
        for proxy in (self.api, self.metrics):
            self._loop.run(proxy.start())
        try:
            self._begin()
            return self._release()
        finally:
            self._close()

    def _close(self) -> None:
        try:
            self.api.on_write = None
            self.env.close()
        except OSError:
            pass  # it is gone already
        finally:
            for operator in self.operators:
                operator.stop()
            for proxy in (self.api, self.metrics):
                self._loop.run(proxy.stop())

    def _begin(self) -> None:
        kubeconfig = self.stage.install(self.fault.overlay, "" if self.fault.overlay == "cluster" else self.namespace)
        self.add_operator(through(kubeconfig, self.api))
        if self.fault.elected:
            until(self.holder)
            self.add_operator(self.stage.account(self.namespace))
        for name, kind in self.apps.items():
            app = releases.objects(name, self.namespace, kind, self.fault.deadline, self.fault.interval)
            self.env.apply(*app)
        for name in self.apps:
            self.env.wait(name, "Initialized", 120 + 2 * self.fault.interval)

    def add_operator(self, kubeconfig: Path) -> Operator:
        """Start an operator of this namespace."""
        flags = ("-enable-leader-election",) if self.fault.elected else ()
        words = ("-namespace", self.namespace, "-min-interval", "1s", "-metrics-server", self.metrics.url)
        name = f"operator-{self.namespace}-{len(self.operators)}"
        environ = {key: text.replace("{folder}", str(self.stage.folder)) for key, text in self.fault.environ.items()}
        operator = self.stage.operator(kubeconfig, *words, *flags, name=name, environ=environ)
        self.operators.append(operator)
        if self.fault.full:
            operator.log = FULL
        operator.start()
        return operator

    def _release(self) -> list[Row]:
        ingress = self.stage.urls["ingress"]
        with ExitStack() as stack:
            crowds = {
                name: stack.enter_context(
                    TimedVisitors(ingress, releases.host(name, self.namespace), VISITS_PER_SECOND, 3)
                )
                for name in self.apps
            }
            until(lambda: all(crowd.count() for crowd in crowds.values()), lambda: f"no visitor: {self.told()}")
            for crowd in crowds.values():
                crowd.failed.clear()
            began = time.time()
            for name, kind in self.apps.items():
                self.patch("deployments", name, {"spec": {"template": {"spec": self._pod(name, kind.image)}}})
            until(self._begun(), self.told, 60 + 2 * self.fault.interval)
            self.fault.act(self)
            self.ended_at = self.ended_at or time.time()
            ends = {name: self._end(name, kind) for name, kind in self.apps.items()}
            time.sleep(2)
        return [self._row(name, kind, crowds[name], began, ends[name]) for name, kind in self.apps.items()]

    def _begun(self) -> Callable[[], bool]:
        """Asks whether each release has had its first step: a bad one may be over before a slow one begins."""
        begun = set[str]()

        def look() -> bool:
            begun.update(name for name in self.apps if self.weight(name))
            return begun == set(self.apps)

        return look

    def _pod(self, name: str, image: str) -> Obj:
        pod: Obj = releases.deployment(name, self.fault.deadline, image)["spec"]["template"]["spec"]
        return pod

    def _end(self, name: str, kind: Kind) -> float:
        """Wait until a release is over; when that was. What it came to is judged later."""
        end = time.time() + END_SECONDS_MAX + STEPS_MAX * self.fault.interval
        wanted = self.fault.ends.get(kind.name, kind.ends)
        while self.phase(name) != wanted and time.time() < end:
            time.sleep(0.2)
        return time.time()

    def _row(self, name: str, kind: Kind, crowd: Visitors, began: float, ended: float) -> Row:
        writes = record.written(self.stage.plane.audited(), self.namespace, self.account)
        own = [write for write in writes if write.at >= began]
        of_it = [write for write in own if write.name.startswith(name)]
        later = [write.at - self.ended_at for write in of_it if write.at > self.ended_at]
        return Row(
            fault=self.fault.name,
            kind=kind.name,
            wanted=self._wanted(kind),
            end=self._state(name),
            visits=crowd.count().total() + len(crowd.failed),
            failed=tuple(self._shifted(text) for text in crowd.failed),
            steps=record.steps(own, name, self.fault.interval),
            turns=record.turns(writes),
            writes=len(of_it),
            recovered=later[0] if later else None,
            took=ended - began,
            notes=self.notes,
        )

    def _shifted(self, text: str) -> str:
        at, _, what = text.partition(" ")
        return f"{float(at) - self.ended_at:+.1f} {what}"

    def _wanted(self, kind: Kind) -> str:
        phase = self.fault.ends.get(kind.name, kind.ends)
        return f"{phase}, weight {kind.weight}, primary {kind.runs}" if phase != "gone" else phase

    def _state(self, name: str) -> str:
        phase = self.phase(name)
        if phase == "gone":
            return phase
        containers = self.get("deployments", f"{name}-primary")["spec"]["template"]["spec"]["containers"]
        return f"{phase}, weight {self.weight(name)}, primary {containers[0]['image']}"

    # What acts are made of --------------------------------------------------------------------------------------------

    def path(self, plural: str, name: str) -> str:
        """Where an object of this namespace is."""
        groups = {"deployments": "apps/v1", "ingresses": "networking.k8s.io/v1", "canaries": "flagger.app/v1beta1"}
        root = f"/apis/{groups[plural]}" if plural in groups else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{plural}/{name}"

    def get(self, plural: str, name: str) -> Obj:
        """An object, empty when it is not there or nobody answers."""
        try:
            found: Obj = self.stage.plane.ask("GET", self.path(plural, name))
        except OSError as error:
            return {"gone": getattr(error, "code", 0) == 404}
        return found

    def patch(self, plural: str, name: str, body: Obj) -> None:
        """Change an object as the administrator, by a strategic merge where there is one."""
        kind = "merge-patch" if plural == "canaries" else "strategic-merge-patch"
        self.stage.plane.ask("PATCH", self.path(plural, name), body, f"application/{kind}+json")

    def phase(self, name: str) -> str:
        """The canary's, `gone` when it is."""
        found = self.get("canaries", name)
        return "gone" if found.get("gone") else str((found.get("status") or {}).get("phase", ""))

    def weight(self, name: str) -> int:
        """Percent at the canary, by its Ingress."""
        meta = self.get("ingresses", f"{name}-canary").get("metadata") or {}
        return int((meta.get("annotations") or {}).get(record.WEIGHT, "0"))

    def rolls_out(self, name: str) -> bool:
        """Whether a Deployment has its new pods beside the old ones."""
        status = self.get("deployments", name).get("status") or {}
        return bool(status.get("replicas", 0) > status.get("updatedReplicas", 0) > 0)

    def noted(self, name: str) -> bool:
        """Whether a Deployment's conditions say that a rollout goes on."""
        status = self.get("deployments", name).get("status") or {}
        return any(condition["reason"] == "ReplicaSetUpdated" for condition in status.get("conditions") or ())

    def told(self) -> str:
        """The statuses of all canaries, for the error of a wait that was in vain."""
        return str({name: self.get("canaries", name).get("status") for name in self.apps})

    def over(self) -> bool:
        """Whether every release is at its end."""
        return all(self.phase(name) == self.fault.ends.get(kind.name, kind.ends) for name, kind in self.apps.items())

    def until_over(self, every: float = 0.2, do: Callable[[], None] = lambda: None) -> None:
        """The fault lasts as long as the releases; `do` something again and again."""
        end = time.time() + END_SECONDS_MAX
        while not self.over() and time.time() < end:
            do()
            time.sleep(every)
        self.ended_at = time.time()

    def drop_connections(self) -> None:
        """Break the operator's watches off, now."""
        self._loop.run(self.api.drop_connections())

    def holder(self) -> str:
        """Who has the Lease."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/flagger-leader-election"
        try:
            return str(self.stage.plane.ask("GET", path)["spec"]["holderIdentity"])
        except OSError:
            return ""


def restart(child: Child) -> None:
    """Kill a child with no warning and start it again."""
    assert child.process is not None
    child.process.kill()
    child.process.wait()
    child.start()


def later(seconds: float, do: Callable[[], None]) -> threading.Timer:
    """Do something after a while, in a thread."""
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()
    return timer


def encoded(text: str) -> str:
    """A Secret's value."""
    return base64.b64encode(text.encode()).decode()
