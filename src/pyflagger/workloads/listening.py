"""The ports that the containers of a pod template declare, and target ports of a Service that no container serves.

A named `targetPort` must be the name of a container's port. Otherwise the EndpointSlices of the Service are empty.
Containers need not declare a number. flagger questions it only if they declare other ports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pyflagger.api.canary import Service
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj, part


@dataclass(frozen=True, slots=True)
class Listening:
    """Declared ports of a workload's containers. `whose` and `containers` name both in texts."""

    whose: str
    containers: str
    named: Mapping[str, int] = field(default_factory=dict)
    numbers: frozenset[int] = frozenset()

    def serves(self, port: int | str) -> bool:
        """Whether a container serves, or may serve, a Service's target port."""
        if isinstance(port, str):
            return port in self.named
        return port in self.numbers or not self.numbers


class Wanted(NamedTuple):
    """A target port in the manifest, and its path."""

    path: str
    port: int | str


def listening(whose: str, pod: Obj) -> Listening:
    """The declared ports of a pod spec, sidecars (init containers that keep running) included."""
    found = [*(pod.get("containers") or ()), *filter(_stays, pod.get("initContainers") or ())]
    ports = [(one, port) for one in found for port in one.get("ports") or () if port.get("protocol", "TCP") == "TCP"]
    named: dict[str, int] = {}
    for _, port in ports:
        if port.get("name"):
            named.setdefault(port["name"], port.get("containerPort"))
    numbers = frozenset(port["containerPort"] for _, port in ports if isinstance(port.get("containerPort"), int))
    return Listening(whose, "; ".join(map(_shown, found)), named, numbers)


def takeover(service: Service, pods: Listening, live: Obj | None, *, first: bool) -> Problem | None:
    """A port of the manifest that no container serves, before flagger takes over the Service.

    Accepts a port that the `live` Service already sends to, because an injected container may serve it. `first`: the
    canary is not initialized yet. Then a named port must exist even without a Service.
    """
    for wanted in _wanted(service):
        if pods.serves(wanted.port) or _leads_to(live, wanted.port, pods):
            continue
        if live is not None or (first and isinstance(wanted.port, str)):
            return _nowhere(wanted, pods)
    return None


def release(service: Service, primary: Listening, target: Listening) -> Problem | None:
    """A port that the primary's containers serve and those of a new revision do not."""
    for wanted in _wanted(service):
        if not target.serves(wanted.port) and primary.serves(wanted.port):
            return _nowhere(wanted, target)
    return None


def _wanted(service: Service) -> Iterator[Wanted]:
    yield _of("spec.service", service.target_port, service.port)
    for at, port in enumerate(service.ports):
        yield _of(f"spec.service.ports[{at}]", port.target_port, port.port)


def _of(path: str, target: int | str | None, port: int) -> Wanted:
    return Wanted(f"{path}.targetPort", target) if target not in (None, "", 0, "0") else Wanted(f"{path}.port", port)


def _leads_to(live: Obj | None, port: int | str, pods: Listening) -> bool:
    """Whether a Service has this target port, by name or by number."""
    targets: Iterable[int | str] = [
        each.get("targetPort") or each["port"] for each in part(live or {}, "spec").get("ports") or ()
    ]
    return any(port in (target, pods.named.get(str(target))) for target in targets)


def _nowhere(wanted: Wanted, pods: Listening) -> Problem:
    kind = "port named" if isinstance(wanted.port, str) else "port"
    text = f"no container of {pods.whose} has a {kind} {wanted.port}, where {wanted.path} leads: {pods.containers}"
    name = f"Give a container's port the name {wanted.port}" if isinstance(wanted.port, str) else "Declare it"
    todo = f"{name}, or set {wanted.path} to a port that a container listens on."
    return Problem(Fault.MANIFEST, text, todo, wanted.path)


def _stays(container: Obj) -> bool:
    """Whether an init container is a sidecar."""
    return container.get("restartPolicy") == "Always"


def _shown(container: Obj) -> str:
    """A container with its ports, for texts."""
    ports = [_port(port) for port in container.get("ports") or ()]
    return f"container {container.get('name')} has {', '.join(ports) or 'no ports'}"


def _port(port: Obj) -> str:
    name, protocol = port.get("name"), port.get("protocol", "TCP")
    return f"{port.get('containerPort')}{'' if protocol == 'TCP' else '/' + protocol} ({name or 'no name'})"
