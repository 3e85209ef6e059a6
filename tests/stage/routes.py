"""What providers need on a stage: their kinds, somebody who accepts routes, and somebody else who writes to them."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from pyflagger.kube.errors import ApiError
from pyflagger.objects import Obj, Resource
from pyflagger.routing.registry import PROVIDERS
from pyflagger_sandbox.network.routes import definition
from stage.stage import MERGE, Stage

BUILT_IN = ("", "networking.k8s.io")
APPLY = "application/apply-patch+yaml"


def definitions(provider: str) -> list[Obj]:
    """Open definitions of the kinds that a provider's router declares and no API server has by itself."""
    return [
        definition(kind.group, kind.kind, kind.plural, (kind.version,), cluster=not kind.namespaced)
        for kind in PROVIDERS[provider].kinds
        if kind.group not in BUILT_IN
    ]


def main_kind(provider: str) -> Resource:
    """The kind of the object that holds the weights."""
    return PROVIDERS[provider].kinds[0]


def everybody(obj: Obj) -> Obj:
    """The rule of an object that is for everybody: the last one."""
    spec: Obj = obj["spec"]
    rules = spec.get("rules") or spec.get("http") or spec.get("tcp")
    return rules[-1] if isinstance(rules, list) and rules else spec


def services(obj: Obj) -> dict[str, int]:
    """Weight by Service of the rule for everybody, for kinds whose backends are announced; 100 where it has none."""
    return _services(_rules(obj)[-1])


def named(obj: Obj) -> frozenset[str]:
    """The Services in all rules."""
    return frozenset(name for rule in _rules(obj) for name in _services(rule))


def announced(obj: Obj) -> bool:
    """Whether a route names what it is about to lead to."""
    return any({"shop", "shop-primary"} <= {*_services(rule)} for rule in _rules(obj))


def _rules(obj: Obj) -> list[Obj]:
    spec = obj["spec"]
    return next((spec[key] for key in ("rules", "http", "tcp", "routes") if isinstance(spec.get(key), list)), [{}])


def _services(rule: Obj) -> dict[str, int]:
    backends = next((rule[key] for key in ("backendRefs", "route", "services") if key in rule), ())
    return {(each.get("destination") or {}).get("host") or each["name"]: each.get("weight", 100) for each in backends}


def shares(obj: Any) -> Iterator[tuple[str, int]]:
    """(primary or canary, weight) of each backend, wherever an object holds it."""
    if isinstance(obj, list):
        obj = dict(enumerate(obj))
    if isinstance(obj, dict):
        if "weight" in obj:
            yield "primary" if "primary" in json.dumps(obj) else "canary", int(obj["weight"])
        for value in obj.values():
            yield from shares(value)


async def accept(stage: Stage, route: Obj, controller: str = "example.net/gateway") -> None:
    """What a Gateway does with an HTTPRoute that it serves; its controller tells who it is."""
    generation = route["metadata"].get("generation", 1)
    told = {"type": "Accepted", "status": "True", "observedGeneration": generation}
    of_it = {"controllerName": controller, "conditions": [told]}
    parents = [{"parentRef": ref, **of_it} for ref in route["spec"]["parentRefs"]]
    if (route.get("status") or {}).get("parents") != parents:
        meta, version = route["metadata"], route["apiVersion"].rpartition("/")[2]
        path = main_kind(f"gatewayapi:{version}").path(meta["namespace"], meta["name"], "status")
        await stage.client.call("PATCH", path, {"status": {"parents": parents}}, content_type=MERGE)


class Else:
    """Another controller with its own idea of an object, which it applies whenever the object differs from it."""

    def __init__(self, stage: Stage, kind: Resource, namespace: str, name: str, spoil: Callable[[Obj], None]) -> None:
        self._stage, self._kind, self._spoil = stage, kind, spoil
        self._namespace, self._name = namespace, name
        self.writes = 0

    async def get(self) -> Obj:
        """The object as it is."""
        found: Obj = await self._stage.client.call("GET", self._kind.path(self._namespace, self._name))
        return found

    async def look(self, manager: str = "argocd-controller") -> None:
        """Apply what it wants, if that is not what is there."""
        try:
            live = await self.get()
        except ApiError:
            return
        wanted = copy.deepcopy(live)
        self._spoil(wanted)
        if wanted["spec"] == live["spec"]:
            return
        head = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": {"name": self._name}}
        path, query = self._kind.path(self._namespace, self._name), {"fieldManager": manager, "force": "true"}
        await self._stage.client.call("PATCH", path, {**head, "spec": wanted["spec"]}, APPLY, query)
        self.writes += 1

    async def insist(self) -> None:
        """Look again and again, every second, until cancelled."""
        while True:
            await self.look()
            await self._stage.clock.sleep(1.0)

    def start(self) -> asyncio.Task[None]:
        """Insist beside everything else."""
        return asyncio.ensure_future(self.insist())
