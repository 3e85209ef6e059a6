"""The examples of docs/adopting.md: each is adopted, its weights are set and read, and it is given back as it was."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyflagger.api.facts import Route
from pyflagger.api.parse import parse_canary
from pyflagger.objects import Obj, ref_of
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.registry import PROVIDERS
from pyflagger.testing import Cluster

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adopting.md"
(_TEXT,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
EXAMPLES = {text.split()[1]: yaml.safe_load(text) for text in _TEXT.split("---\n")}


def weightless(obj: Any) -> Any:
    """An object without its weights."""
    if isinstance(obj, list):
        return [weightless(each) for each in obj]
    if isinstance(obj, dict):
        return {key: weightless(value) for key, value in obj.items() if key != "weight"}
    return obj


def canary_of(provider: str, route: Obj, **analysis: Any) -> Any:
    """The Canary that adopts a route."""
    ref = {"apiVersion": route["apiVersion"], "kind": route["kind"], "name": route["metadata"]["name"]}
    spec = {
        "provider": provider,
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "routeRef": ref,
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 10, **analysis},
    }
    head = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary"}
    return parse_canary({**head, "metadata": {"name": "shop", "namespace": "test", "uid": "u"}, "spec": spec})


def test_there_is_one_for_each_kind_that_can() -> None:
    """Versions of a kind and names for the same one share theirs."""
    able = {found.kinds[0].kind for found in PROVIDERS.values() if found.capabilities.adopt}
    assert {obj["kind"] for obj in EXAMPLES.values()} == able


@pytest.mark.parametrize("provider", EXAMPLES)
def test_an_example(provider: str) -> None:
    """All the way up and back."""
    route, router, options = copy.deepcopy(EXAMPLES[provider]), PROVIDERS[provider], RoutingOptions()
    canary, cluster = (
        canary_of(provider, route),
        Cluster({**route, "metadata": {**route["metadata"], "resourceVersion": "1"}}),
    )
    cluster.write(router.reconcile(canary, cluster.live(router.reads(canary, options)), options))
    for weight in (0, 10, 60, 100, 40, 0):
        live = cluster.live(router.reads(canary, options))
        cluster.write(router.set(canary, live, Route(100 - weight, weight), options))
        live = cluster.live(router.reads(canary, options))
        assert router.read(canary, live, options) == Route(100 - weight, weight)
        if 0 < weight < 100:
            found = weightless(cluster.objects[ref_of(route)])
            assert found["spec"] == weightless(route)["spec"]
    live = cluster.live(router.reads(canary, options))
    cluster.write(router.finalize(canary, live, options))
    found = cluster.objects[ref_of(route)]
    assert found["spec"] == route["spec"] and not found["metadata"].get("annotations")
