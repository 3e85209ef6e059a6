"""Provider apisix: a copy of the user's rule, ranked over it and split."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from splits import Way, made, theirs

from pyflagger.api.facts import Fault, Route
from pyflagger.objects import Obj
from pyflagger.routing.ingresses import LAST_APPLIED

REF = {"routeRef": {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "mine"}}
BACKEND = {"serviceName": "web", "servicePort": 80, "resolveGranularity": "service"}
RULE: dict[str, Any] = {
    "name": "all",
    "match": {"hosts": ["web.example"], "paths": ["/*"]},
    "plugins": [{"name": "prometheus", "enable": True, "config": {"prefer_name": True}}],
    "backends": [BACKEND],
}
OTHER = {"name": "other", "match": {"paths": ["/o"]}, "backends": [{"serviceName": "other", "servicePort": 80}]}


def source(*rules: Obj) -> Obj:
    """The user's route."""
    obj = theirs("apisix.apache.org/v2", "ApisixRoute", {"http": list(copy.deepcopy(rules))})
    obj["metadata"] |= {"labels": {"a": "b"}, "annotations": {"c": "d", LAST_APPLIED: "{}"}}
    return obj


def test_the_shape() -> None:
    """Only the rule that leads to the apex, with all its settings."""
    one = made(Way("apisix", REF, objects=(source(OTHER, RULE),)), 30)
    primary, other = {"serviceName": "web-primary", "weight": 70}, {"serviceName": "web-canary", "weight": 30}
    backends = [{**BACKEND, **primary}, {**BACKEND, **other}]
    assert one.main["spec"] == {"http": [{**RULE, "priority": 10000, "backends": backends}]}
    meta = one.main["metadata"]
    assert meta["name"] == "mine-web-canary" and meta["labels"] == {"a": "b"}
    assert meta["annotations"]["c"] == "d" and LAST_APPLIED not in meta["annotations"]


def test_changes_of_the_users_are_followed_at_the_live_weight() -> None:
    """Its rule and its metadata; the user's itself is only read."""
    one = made(Way("apisix", REF, objects=(source(RULE),)), 30)
    users = one.cluster.objects[one.router.others(one.canary)[0]]
    users["spec"]["http"][0]["match"]["paths"] = ["/new"]
    users["metadata"]["labels"] = {"a": "c"}
    before = copy.deepcopy(users)
    assert one.reconcile() == 1 and one.read() == Route(70, 30)
    assert one.main["spec"]["http"][0]["match"]["paths"] == ["/new"] and one.main["metadata"]["labels"] == {"a": "c"}
    assert users == before


@pytest.mark.parametrize(
    "spec, rules, said",
    [
        ({}, [RULE], "selector is empty"),
        (REF, None, "not found"),
        (REF, [OTHER], "Can not find web backend"),
        (REF, [], "Can not find web backend"),
        (REF, [{**RULE, "backends": [BACKEND, {"serviceName": "x"}]}], "has other backends"),
    ],
)
def test_what_is_wrong_is_told(spec: dict[str, Any], rules: list[Obj] | None, said: str) -> None:
    """By the field that names the route."""
    found = Way("apisix", spec, objects=() if rules is None else (source(*rules),)).problem()
    assert found.fault is Fault.MANIFEST and found.path == "spec.routeRef" and said in found.text and found.todo
