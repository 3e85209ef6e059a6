"""Provider contour: the HTTPProxy, its conditions, policies and class."""

from __future__ import annotations

import re
from typing import Any

import pytest
from splits import Way, made

from pyflagger.routing.base import RoutingOptions


def service(name: str, weight: int) -> dict[str, Any]:
    """A Service of a route."""
    override = {"name": "l5d-dst-override", "value": f"{name}.test.svc.cluster.local:80"}
    return {"name": name, "port": 80, "weight": weight, "requestHeadersPolicy": {"set": [override]}}


def test_the_shape() -> None:
    """No virtual host: the user's root proxy includes it."""
    one = made(Way("contour"), 30)
    assert (one.main["apiVersion"], one.main["kind"]) == ("projectcontour.io/v1", "HTTPProxy")
    services = [service("web-primary", 70), service("web-canary", 30)]
    assert one.main["spec"] == {"routes": [{"conditions": [{"prefix": "/"}], "services": services}]}
    assert "status" not in one.main


def test_prefix_timeout_retries_and_class() -> None:
    """Of the manifest and of the operator; taken away with the manifest's."""
    spec = {
        "match": [{"uri": {"prefix": "/podinfo"}}],
        "timeout": "15s",
        "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx, reset"},
    }
    one = made(Way("contour", {"service": spec}, options=RoutingOptions(ingress_class="contour")))
    (route,) = one.main["spec"]["routes"]
    assert one.main["spec"]["ingressClassName"] == "contour"
    assert route["conditions"] == [{"prefix": "/podinfo"}]
    assert route["timeoutPolicy"] == {"response": "15s", "idle": "5m"}
    assert route["retryPolicy"] == {"count": 3, "perTryTimeout": "1s", "retryOn": ["5xx", "reset"]}
    one.canary = Way("contour").canary
    assert one.reconcile() == 1
    (route,) = one.main["spec"]["routes"]
    assert route.keys() == {"conditions", "services"} and route["conditions"] == [{"prefix": "/"}]


def test_retries_without_reasons_name_none() -> None:
    """An empty word is refused by the CRD."""
    one = made(Way("contour", {"service": {"retries": {"attempts": 2}}}))
    assert one.main["spec"]["routes"][0]["retryPolicy"] == {"count": 2}


CONDITIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "exact": ({"headers": {"x": {"exact": "a.b"}}}, {"header": {"name": "x", "exact": "a.b"}}),
    "prefix": ({"headers": {"x": {"prefix": "a.b"}}}, {"header": {"name": "x", "regex": r"a\.b.*"}}),
    "suffix": ({"headers": {"x": {"suffix": "a b"}}}, {"header": {"name": "x", "regex": ".*a b"}}),
    "regex": ({"headers": {"x": {"regex": "a|b"}}}, {"header": {"name": "x", "regex": "a|b"}}),
    "query": ({"queryParams": {"q": {"prefix": "1"}}}, {"queryParameter": {"name": "q", "prefix": "1"}}),
}


@pytest.mark.parametrize("how", CONDITIONS)
def test_conditions(how: str) -> None:
    """One prefix a route, then one condition each."""
    match, wanted = CONDITIONS[how]
    analysis = {"stepWeight": None, "maxWeight": None, "iterations": 2, "match": [match]}
    one = made(Way("contour", {"analysis": analysis}), 100)
    ruled, everybody = one.main["spec"]["routes"]
    assert ruled["conditions"] == [{"prefix": "/"}, wanted]
    assert ruled["services"] == [service("web-primary", 0), service("web-canary", 100)]
    assert everybody == {
        "conditions": [{"prefix": "/"}],
        "services": [service("web-primary", 100), service("web-canary", 0)],
    }


@pytest.mark.parametrize("text", ["a.b", "x*", "(1|2)", "[a]", "$^", "a\\b", "a-b c", "{1}", "q?+"])
def test_patterns_mean_the_text(text: str) -> None:
    """Signs of regular expressions in a prefix or suffix are just signs."""
    match = [{"headers": {"x": {"prefix": text}}}, {"headers": {"x": {"suffix": text}}}]
    analysis = {"stepWeight": None, "maxWeight": None, "iterations": 2, "match": match}
    one = made(Way("contour", {"analysis": analysis}), 100)
    prefix, suffix = (route["conditions"][1]["header"]["regex"] for route in one.main["spec"]["routes"][:2])
    assert re.fullmatch(prefix, f"{text}more") and not re.fullmatch(prefix, f"more{text}")
    assert re.fullmatch(suffix, f"more{text}") and not re.fullmatch(suffix, f"{text}more")


def test_headers_come_in_one_order() -> None:
    """Whatever their order in the manifest: else each look would find drift."""
    made_of = []
    for names in (("b", "a"), ("a", "b")):
        match = [{"headers": {name: {"exact": name} for name in names}}]
        analysis = {"stepWeight": None, "maxWeight": None, "iterations": 2, "match": match}
        made_of.append(made(Way("contour", {"analysis": analysis}), 100).main["spec"])
    assert made_of[0] == made_of[1]


def test_retries_that_contour_has_no_word_for() -> None:
    """Its definition would refuse the whole object."""
    wrong = Way("contour", {"service": {"retries": {"attempts": 2, "retryOn": "5xx,server-error"}}}).problem()
    assert wrong.path == "spec.service.retries.retryOn" and "server-error" in wrong.text and "5xx" not in wrong.text
