"""A release by each provider's objects, in virtual time: promoted, rolled back, and everything gone after deletion.

NGINX, plain Services and Knative have stories of their own, and so have cookies, mirrors and matches: `test_meshes`.
"""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyflagger.objects import Obj, Resource
from pyflagger.routing.registry import PROVIDERS
from stage import manifests
from stage.routes import shares
from stage.story import Story

RULES = Path(__file__).resolve().parents[2] / "kustomize" / "base" / "rules.yaml"
TOLD_ELSEWHERE = ("nginx", "kubernetes", "knative", "istio", "gatewayapi:*")
NAMES = [name for name in PROVIDERS if not any(fnmatch(name, told) for told in TOLD_ELSEWHERE)]
WEIGHTS = "zalando.org/backend-weights"
MINE = Resource("apisix.apache.org", "v2", "apisixroutes", "ApisixRoute")
MY_ROUTE: Obj = {
    "apiVersion": MINE.api_version,
    "kind": MINE.kind,
    "metadata": {"name": "mine", "namespace": "test"},
    "spec": {"http": [{"name": "all", "match": {"paths": ["/*"]}, "backends": [{"serviceName": "shop"}]}]},
}


class Told(Story):
    """A story of one of these providers; each has its own idea of where weights are."""

    def __init__(self, provider: str, *, bad: bool) -> None:
        more: Obj = {}
        if provider == "skipper":
            more["ingressRef"] = manifests.canary("shop")["spec"]["ingressRef"]
        if provider == "apisix":
            more["routeRef"] = {"apiVersion": MINE.api_version, "kind": MINE.kind, "name": "mine"}
        if provider == "kuma":
            # A TrafficRoute is of the whole cluster, so no Canary can own it: only a finalizer takes it away.
            more["revertOnDeletion"] = True
        if provider == "appmesh":
            more["service"] = {"port": 80, "targetPort": 8080, "meshName": "global"}
        super().__init__(provider, bad=bad, **more)

    async def begin(self, *more: Obj, **parts: Any) -> None:
        """With the user's Ingress, and route where one is copied."""
        await super().begin(
            manifests.ingress("shop"), *([MY_ROUTE] if self.provider == "apisix" else []), *more, **parts
        )

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

    async def left(self) -> list[str]:
        """Names of all objects of the provider's kinds that the user did not make."""
        found = []
        for kind in PROVIDERS[self.provider].kinds:
            listed = await self.stage.client.call("GET", kind.path("test"))
            found += [f"{kind.kind} {obj['metadata']['name']}" for obj in listed["items"]]
        users = ("ApisixRoute mine", "Ingress shop", "Service shop")
        return [one for one in found if one not in users]


@pytest.mark.looptime
@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("provider", NAMES)
async def test_a_release(provider: str, bad: bool) -> None:
    """Each weight is seen in the provider's object, none other; at its end nobody is on the canary; nothing is left."""
    story = Told(provider.rstrip(":"), bad=bad)
    await story.begin()
    assert story.seen == [0]
    assert await story.left()
    await story.change()
    await story.until("Failed" if bad else "Succeeded")
    assert story.seen == ([0, 25, 0] if bad else [0, 25, 50, 0])
    await story.stage.delete("Canary", "shop")
    await story.stage.clock.sleep(2 * manifests.INTERVAL)
    assert await story.left() == []
    refused = [entry for entry in story.stage.audit if entry.status in (403, 422)]
    assert refused == []


@pytest.mark.looptime
@pytest.mark.parametrize("provider", ["appmesh", "appmesh:v1beta2"])
async def test_the_mesh_knows_its_nodes_before_there_are_pods(provider: str) -> None:
    """A pod of the primary that started before would have no sidecar."""
    story = Told(provider, bad=False)
    await story.begin()
    audit = story.stage.audit
    made = [entry.path for entry in audit if entry.verb == "post" and entry.agent.startswith("flagger")]
    nodes = [index for index, path in enumerate(made) if path.endswith("/virtualnodes")]
    primary = [index for index, path in enumerate(made) if path.endswith("/deployments")]
    assert nodes and primary and max(nodes) < min(primary)


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
