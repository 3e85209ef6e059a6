"""A release by each provider's objects, in virtual time: promoted, rolled back, and everything gone after deletion.

NGINX, plain Services and Knative have stories of their own, and so have cookies, mirrors and matches: `test_meshes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyflagger.objects import Obj, Resource
from pyflagger.routing.registry import PROVIDERS
from pyflagger.wire import HttpAnswer, HttpRequest
from stage import manifests
from stage.stage import Stage, healthy, vector
from stage.twins import definition

RULES = Path(__file__).resolve().parents[2] / "kustomize" / "base" / "rules.yaml"
TOLD_ELSEWHERE = ("nginx", "kubernetes", "knative", "istio", "gatewayapi:*")
NAMES = [name for name in PROVIDERS if not any(fnmatch(name, told) for told in TOLD_ELSEWHERE)]
BUILT_IN = ("", "networking.k8s.io")
WEIGHTS = "zalando.org/backend-weights"
MINE = Resource("apisix.apache.org", "v2", "apisixroutes", "ApisixRoute")
MY_ROUTE: Obj = {
    "apiVersion": MINE.api_version,
    "kind": MINE.kind,
    "metadata": {"name": "mine", "namespace": "test"},
    "spec": {"http": [{"name": "all", "match": {"paths": ["/*"]}, "backends": [{"serviceName": "shop"}]}]},
}


def shares(obj: Any) -> Iterator[tuple[str, int]]:
    """(primary or canary, weight) of each backend, wherever an object holds it."""
    if isinstance(obj, list):
        obj = dict(enumerate(obj))
    if isinstance(obj, dict):
        if "weight" in obj:
            yield "primary" if "primary" in json.dumps(obj) else "canary", int(obj["weight"])
        for value in obj.values():
            yield from shares(value)


class Story:
    """One release by a provider; `seen` has the weight of the canary each time that it changed."""

    def __init__(self, provider: str, *, bad: bool) -> None:
        self.bad = bad
        self.provider = provider
        self.kinds = PROVIDERS[provider].kinds
        self.seen: list[int] = []
        self.stage = Stage(self._answer)

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if self.bad and "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector("50"))
        return await healthy(request)

    async def begin(self) -> None:
        """To Initialized, with everybody on the primary."""
        stage = self.stage
        crds = [
            definition(kind.group, kind.version, kind.kind, kind.plural, cluster=not kind.namespaced)
            for kind in self.kinds
            if kind.group not in BUILT_IN
        ]
        await stage.start(definitions=crds)
        await stage.namespace("test")
        if MINE in self.kinds:
            await stage.client.call("POST", MINE.path("test"), MY_ROUTE)
        for make in (manifests.ingress, manifests.settings, manifests.deployment, self._canary):
            await stage.create(make("shop"))
        await self.until("Initialized")

    def _canary(self, name: str) -> Obj:
        made = manifests.canary(name, provider=self.provider)
        if self.provider != "skipper":
            del made["spec"]["ingressRef"]
        if MINE in self.kinds:
            made["spec"]["routeRef"] = {"apiVersion": MINE.api_version, "kind": MINE.kind, "name": "mine"}
        if self.provider == "kuma":
            # A TrafficRoute is of the whole cluster, so no Canary can own it: only a finalizer takes it away.
            made["spec"]["revertOnDeletion"] = True
        if self.provider == "appmesh":
            made["spec"]["service"] |= {"meshName": "global"}
        return made

    async def until(self, phase: str) -> None:
        """Look every second."""
        now = ""
        for _ in range(400):
            await self.stage.clock.sleep(1.0)
            await self._look()
            if (now := (await self.stage.status("shop")).get("phase", "")) == phase:
                return
        raise AssertionError(f"{self.provider}: {now}, never {phase}; seen {self.seen}")

    async def _look(self) -> None:
        found = dict(pair for obj in await self.routed() for pair in self.split(obj))
        if found:
            weight = found.get("canary", 0)
            assert found["primary"] == 100 - weight
            self.seen += [weight] if self.seen[-1:] != [weight] else []

    def split(self, obj: Obj) -> list[tuple[str, int]]:
        """What an object leads to, when it leads to both."""
        if self.provider == "skipper":
            text = (obj["metadata"].get("annotations") or {}).get(WEIGHTS, "{}")
            return [(name.removeprefix("shop-"), weight) for name, weight in json.loads(text).items()]
        found = list(shares(obj["spec"]))
        return found if any(name == "primary" for name, _ in found) and self._is_apex(obj) else []

    def _is_apex(self, obj: Obj) -> bool:
        """App Mesh has one more for the canary, which leads nobody there who did not ask for it."""
        return obj["metadata"]["name"] in ("shop", "shop.test", "mine-shop-canary")

    async def routed(self) -> list[Obj]:
        """The objects of the kind that holds the weights."""
        listed = await self.stage.client.call("GET", self.kinds[0].path("test"))
        return list(listed["items"])

    async def left(self) -> list[str]:
        """Names of all objects of the provider's kinds that the user did not make."""
        found = []
        for kind in self.kinds:
            listed = await self.stage.client.call("GET", kind.path("test"))
            found += [f"{kind.kind} {obj['metadata']['name']}" for obj in listed["items"]]
        users = ("ApisixRoute mine", "Ingress shop", "Service shop")
        return [one for one in found if one not in users]


@pytest.mark.looptime
@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("provider", NAMES)
async def test_a_release(provider: str, bad: bool) -> None:
    """Each weight is seen in the provider's object, none other; at its end nobody is on the canary; nothing is left."""
    story = Story(provider.rstrip(":"), bad=bad)
    await story.begin()
    assert story.seen == [0]
    assert await story.left()
    await story.stage.set_image("shop", "shop", manifests.image("shop", "2"))
    await story.until("Failed" if bad else "Succeeded")
    assert story.seen == ([0, 25, 0] if bad else [0, 25, 50, 0])
    await story.stage.delete("Canary", "shop")
    await story.stage.clock.sleep(2 * manifests.INTERVAL)
    assert await story.left() == []
    refused = [entry for entry in story.stage.audit if entry.status in (403, 422)]
    assert refused == []
    await story.stage.stop()


@pytest.mark.looptime
@pytest.mark.parametrize("provider", ["appmesh", "appmesh:v1beta2"])
async def test_the_mesh_knows_its_nodes_before_there_are_pods(provider: str) -> None:
    """A pod of the primary that started before would have no sidecar."""
    story = Story(provider, bad=False)
    await story.begin()
    audit = story.stage.audit
    made = [entry.path for entry in audit if entry.verb == "post" and entry.agent.startswith("flagger")]
    nodes = [index for index, path in enumerate(made) if path.endswith("/virtualnodes")]
    primary = [index for index, path in enumerate(made) if path.endswith("/deployments")]
    assert nodes and primary and max(nodes) < min(primary)
    await story.stage.stop()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_operator_may_do_what_a_provider_needs(provider: str) -> None:
    """Every kind that a router reads or writes is in the rules that are installed, with the verbs that it takes."""
    (role, *_) = yaml.safe_load_all(RULES.read_text())
    allowed = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    verbs = ["get", "list", "watch", "patch"] + ([] if provider == "knative" else ["create", "delete"])
    needed = {(kind.group, kind.plural, verb) for kind in PROVIDERS[provider].kinds for verb in verbs}
    assert needed - allowed == set()
