"""Provider gloo: the table, its matchers, and the two Upstreams."""

from __future__ import annotations

import copy
from typing import Any

from splits import Way, made, selecting

from pyflagger.api.facts import Fault
from pyflagger.objects import Obj
from pyflagger.routing.gloo import UPSTREAMS


def destination(which: str, weight: int) -> dict[str, Any]:
    """A weighted Upstream."""
    return {
        "destination": {"upstream": {"name": f"test-web-{which}upstream-80", "namespace": "test"}},
        "weight": weight,
    }


def route(primary: int, **more: Any) -> dict[str, Any]:
    """A route of the table."""
    both = [destination("primary", primary), destination("canary", 100 - primary)]
    return {"inheritablePathMatchers": True, "routeAction": {"multi": {"destinations": both}}, **more}


def upstream(one: Way, which: str) -> Obj:
    """One of ours."""
    return one.cluster.objects[UPSTREAMS.ref("test", f"test-web-{which}upstream-80")]


def test_the_shape() -> None:
    """One route for everybody."""
    assert made(Way("gloo"), 30).main["spec"] == {"routes": [route(70)]}


def test_an_ab_table_has_a_route_for_everybody_else() -> None:
    """Else they would get 404; entries are alternatives, conditions of one entry hold together."""
    match = [
        {"headers": {"x": {"exact": "y"}, "a": {"prefix": "b"}}},
        {"queryParams": {"q": {"exact": "1"}}},
    ]
    analysis = {"stepWeight": None, "maxWeight": None, "iterations": 2, "match": match}
    one = made(Way("gloo", {"analysis": analysis}), 100)
    headers = [{"name": "a", "value": "b.*", "regex": True}, {"name": "x", "value": "y"}]
    assert one.main["spec"]["routes"] == [
        route(0, matchers=[{"headers": headers}]),
        route(0, matchers=[{"queryParameters": [{"name": "q", "value": "1"}]}]),
        route(100),
    ]


def test_upstreams_select_what_the_services_do() -> None:
    """As soon as these are there, and when they change."""
    one = made(Way("gloo", objects=(selecting("web-canary", app="web"),)))
    kube = {"serviceName": "web-canary", "serviceNamespace": "test", "servicePort": 80, "selector": {"app": "web"}}
    assert upstream(one, "canary")["spec"] == {"kube": kube}
    assert "selector" not in upstream(one, "primary")["spec"]["kube"]


CONFIG: dict[str, Any] = {
    "apiVersion": "gloo.solo.io/v1",
    "kind": "Upstream",
    "metadata": {"name": "config", "namespace": "test", "resourceVersion": "1"},
    "spec": {"connectionConfig": {"maxRequestsPerConnection": 51}, "kube": {"serviceName": "any"}, "useHttp2": True},
}
REF = {"upstreamRef": {"apiVersion": "gloo.solo.io/v1", "kind": "Upstream", "name": "config"}}


def test_settings_follow_the_upstream_that_is_named() -> None:
    """Those that are copied, not where it leads; each change of it, too."""
    one = made(Way("gloo", REF, objects=(copy.deepcopy(CONFIG),)), 20)
    for which in ("primary", "canary"):
        spec = upstream(one, which)["spec"]
        assert spec["connectionConfig"] == {"maxRequestsPerConnection": 51} and spec["useHttp2"] is True
        assert spec["kube"]["serviceName"] == f"web-{which}"
    config = one.cluster.objects[UPSTREAMS.ref("test", "config")]
    config["spec"] = {"loadBalancerConfig": {"roundRobin": {"slowStartConfig": {"minWeightPercent": 20}}}}
    assert one.reconcile() == 2
    assert "useHttp2" not in upstream(one, "canary")["spec"] and upstream(one, "canary")["spec"]["loadBalancerConfig"]


def test_the_upstream_that_is_named_is_not_there() -> None:
    """Told by its field."""
    found = Way("gloo", REF).problem()
    assert found.fault is Fault.MANIFEST and found.path == "spec.upstreamRef" and "config.test" in found.text
