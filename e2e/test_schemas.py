"""What routers render, object by object, before the real definitions of the kinds in a real API server.

Every write asks for strict validation: a field that the project does not know is an error, and so is a value that it
does not allow. No operator runs: the routers are asked as it asks them, with what the server holds.
"""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Mapping
from functools import cache

import pytest

from e2e.apps import ingress
from e2e.definitions import definitions
from e2e.environment import Environment
from e2e.stage import Stage
from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem, Route
from pyflagger.api.parse import parse_canary
from pyflagger.objects import Create, Delete, Obj, Patch, Ref, Resource, Write, merge_apply
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.registry import PROVIDERS

HEADER = {"headers": {"x-canary": {"exact": "insider"}}}
STEPS: Obj = {"interval": "10s", "threshold": 2, "stepWeight": 10, "maxWeight": 50}
RULED: Obj = {"interval": "10s", "threshold": 2, "iterations": 5, "match": [HEADER]}
PORTS = {"ports": [{"name": "admin", "port": 81, "targetPort": 8081}]}
RETRIES = {"attempts": 3, "perTryTimeout": "1s", "retryOn": "gateway-error,connect-failure"}
SAID_BY_APP_MESH = {"retryOn": "gateway-error,server-error"}
GATEWAY = {"gatewayRefs": [{"name": "gw"}], "hosts": ["web.example"]}
NEEDS: Mapping[str, Obj] = {
    "traefik": {},
    "smi:v1alpha3": {},
    "contour": {"service": {"timeout": "15s", "retries": RETRIES}},
    "appmesh": {"service": {"meshName": "global", "backends": ["api.test"], "retries": RETRIES | SAID_BY_APP_MESH}},
    "kuma": {},
    "gatewayapi:v1": {"service": {**GATEWAY, "timeout": "15s"}},
    "gatewayapi:v1beta1": {"service": GATEWAY},
    "istio": {"service": {"hosts": ["web.example"], "timeout": "15s", "retries": RETRIES}},
    "knative": {"targetRef": {"apiVersion": "serving.knative.dev/v1", "kind": "Service"}},
    "skipper": {"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"}},
    "nginx": {"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"}},
}
TARGETS: Mapping[str, Obj] = {
    "knative": {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "web", "annotations": {names.PRIMARY_REVISION: "web-00001"}},
        "spec": {
            "template": {"spec": {"containers": [{"image": "web"}]}},
            "traffic": [{"latestRevision": True, "percent": 100, "tag": "candidate"}],
        },
    },
}
"""Targets that are routed to by themselves."""

SHAPES: Mapping[str, tuple[str, Obj]] = {
    "weights": ("weights", {"analysis": STEPS}),
    "a-b": ("ab", {"analysis": RULED}),
    "testers": ("testers", {"analysis": {**STEPS, "testers": [HEADER]}}),
    "affinity": ("affinity", {"analysis": {**STEPS, "sessionAffinity": {"cookieName": "ck"}}}),
    "mirror": ("mirror_steps", {"analysis": {**STEPS, "mirror": True, "mirrorWeight": 50}}),
    "ports": ("ports", {"analysis": STEPS, "service": PORTS}),
}
CASES = [
    (provider, shape)
    for provider in NEEDS
    for shape, (ability, _) in SHAPES.items()
    if getattr(PROVIDERS[provider].capabilities, ability)
]


@cache
def serve(stage: Stage, *names: str) -> None:
    """Have the server know the real definitions of these kinds."""
    found = tuple(definitions(names))
    if found:
        stage.define(*found)


class RouterOnServer:
    """A router that works on a real API server for one canary."""

    def __init__(self, env: Environment, provider: str, shape: Obj) -> None:
        self.env, self.router = env, PROVIDERS[provider]
        self.options, self.written, self.ruled = RoutingOptions(), 0, "match" in shape.get("analysis", {})
        serve(env.stage, *(kind.full_name for kind in self.router.kinds))
        self._kinds = {(kind.api_version, kind.kind): kind for kind in (*self.router.kinds, INGRESSES, CANARIES)}
        env.apply(ingress("web"), *(obj for name, obj in TARGETS.items() if name == provider))
        spec = merge_apply(
            {
                "provider": provider,
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80, "targetPort": 8080},
            },
            merge_apply(NEEDS[provider], shape),
        )
        made = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web"}, "spec": spec}
        env.apply(made)
        found = self._get(CANARIES.ref(env.namespace, "web"))
        assert found is not None
        status = {"phase": "Progressing", "lastAppliedSpec": "v1:r2"}
        self.canary: Canary = parse_canary({**found, "status": status})

    def live(self) -> dict[Ref, Obj | None]:
        """What the router needs to see."""
        return {ref: self._get(ref) for ref in self.router.reads(self.canary, self.options)}

    def reconcile(self) -> int:
        """Bring the objects into shape; how many writes that took."""
        return self._write(self.router.reconcile(self.canary, self.live(), self.options))

    def set(self, weight: int) -> int:
        """Split, as the operator does it: the status says so afterwards, but for the few whom a rule means."""
        route = Route(100 - weight, weight)
        count = self._write(self.router.set(self.canary, self.live(), route, self.options))
        if not self.ruled:
            status = self.canary.status.but(canary_weight=weight)
            self.canary = self.canary.model_copy(update={"status": status})
        assert self.router.read(self.canary, self.live(), self.options) == route
        assert self.reconcile() == 0, "what the server made of it is in shape"
        return count

    def clear(self) -> None:
        """Delete what no namespace takes with it."""
        for ref in self.router.reads(self.canary, self.options):
            if not self._kinds[ref.api_version, ref.kind].namespaced and self._get(ref):
                self._write((Delete(ref),))

    def _path(self, ref: Ref, name: str) -> str:
        return self._kinds[ref.api_version, ref.kind].path(ref.namespace, name)

    def _get(self, ref: Ref) -> Obj | None:
        try:
            found: Obj = self.env.stage.plane.ask("GET", self._path(ref, ref.name))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None
        return found

    def _write(self, writes: tuple[Write, ...] | Problem) -> int:
        assert not isinstance(writes, Problem), writes.text
        for write in writes:
            try:
                self._one(write)
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{write}: {error.read().decode()}") from error
        self.written += len(writes)
        return len(writes)

    def _one(self, write: Write) -> None:
        ask, strict = self.env.stage.plane.ask, "?fieldValidation=Strict"
        match write:
            case Create(obj):
                ref = Ref(obj["apiVersion"], obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
                ask("POST", self._path(ref, "") + strict, obj)
            case Patch(ref, body, _):
                ask("PATCH", self._path(ref, ref.name) + strict, body, "application/merge-patch+json")
            case Delete(ref):
                ask("DELETE", self._path(ref, ref.name))


INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
CANARIES = Resource("flagger.app", "v1beta1", "canaries", "Canary")


@pytest.mark.parametrize(("provider", "shape"), CASES, ids=[f"{provider}-{shape}" for provider, shape in CASES])
def test_the_server_takes_every_object(
    env: Environment, provider: str, shape: str, figure: Callable[[str], None]
) -> None:
    """Made, at 30 % (or all whom a rule means), and back: valid, read back, nothing to mend after the defaults."""
    held = RouterOnServer(env, provider, SHAPES[shape][1])
    try:
        made = held.reconcile()
        assert made >= 1 and held.reconcile() == 0
        assert held.set(100 if held.ruled else 30) >= 1
        assert held.set(0) >= 1
        figure(f"schema: {provider} {shape}: {held.written} objects written, all valid")
    finally:
        held.clear()


def test_a_service_for_a_parent(env: Environment) -> None:
    """As Linkerd has it: a route of a mesh, whose parent is the Service itself."""
    parent = {"group": "core", "kind": "Service", "name": "web", "port": 80}
    held = RouterOnServer(
        env, "gatewayapi:v1beta1", {"analysis": STEPS, "service": {"gatewayRefs": [parent], "hosts": None}}
    )
    assert held.reconcile() == 1 and held.set(30) == 1
    (route,) = held.live().values()
    assert route is not None and route["spec"]["parentRefs"] == [parent] and "hostnames" not in route["spec"]
