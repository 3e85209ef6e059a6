"""Canaries and Ingresses for the tests of routing, and a cluster of one dict that writes are applied to."""

from __future__ import annotations

import copy
from typing import Any

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.api.parse import parse_canary
from pyflagger.objects import Create, Delete, Obj, Patch, Ref, Write, merge_apply, ref_of


def canary(status: dict[str, Any] | None = None, **spec: Any) -> Canary:
    """A Canary `web.test` on nginx with a merge patch on its spec."""
    base = {
        "provider": "nginx",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"},
        "service": {"port": 80, "targetPort": 8080},
        "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 10, "maxWeight": 50},
    }
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "web", "namespace": "test", "uid": "u1"},
            "spec": merge_apply(base, spec),
            "status": status or {},
        }
    )


def split_by(*match: dict[str, Any], **more: Any) -> Canary:
    """A/B with these match conditions."""
    return canary(analysis={"stepWeight": None, "maxWeight": None, "iterations": 5, "match": list(match)}, **more)


def backend(name: str, port: Any = 80) -> dict[str, Any]:
    """Where a path of an Ingress leads."""
    return {"service": {"name": name, "port": {"number": port} if isinstance(port, int) else {"name": port}}}


def ingress(*backends: tuple[str, str, Any], **meta: Any) -> Obj:
    """The user's Ingress: (path, service, port) each; one rule for `web.example`."""
    paths = [
        {"path": path, "pathType": "Prefix", "backend": backend(name, port)}
        for path, name, port in backends or (("/", "web", 80),)
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "test", "resourceVersion": "1", **meta},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "web.example", "http": {"paths": paths}}]},
    }


class Cluster:
    """Live objects by reference."""

    def __init__(self, *objects: Obj) -> None:
        self.objects: dict[Ref, Obj] = {ref_of(obj): obj for obj in objects}
        self.version = 10

    def live(self, refs: tuple[Ref, ...]) -> dict[Ref, Obj | None]:
        """What a router is shown; it must not change any of it."""
        return {ref: self.objects.get(ref) for ref in refs}

    def write(self, writes: tuple[Write, ...] | Problem) -> int:
        """Carry writes out; how many there were."""
        assert not isinstance(writes, Problem), writes.text
        for write in writes:
            self.version += 1
            match write:
                case Create(obj):
                    ref = ref_of(obj)
                    assert ref not in self.objects, f"{ref} exists"
                    changed = copy.deepcopy(obj)
                case Patch(ref, body, version):
                    live = self.objects[ref]
                    assert version in ("", live["metadata"]["resourceVersion"]), f"{ref}: conflict"
                    changed = merge_apply(live, body)
                    assert changed != live, f"{ref}: a patch that changes nothing"
                case Delete(ref):
                    del self.objects[ref]
                    continue
            changed["metadata"] = {**changed["metadata"], "resourceVersion": str(self.version)}
            self.objects[ref] = changed
        return len(writes)
