"""Canaries that claim the same objects: who has them, and what the others are told."""

from __future__ import annotations

import pytest

from pyflagger.api.facts import Fault
from pyflagger.core.rivals import Born, Claim, Claimed, Rivals, claimed
from pyflagger.objects import Ref

TARGET, OTHER = Claimed("mall", "apps", "Deployment", "front"), Claimed("mall", "apps", "Deployment", "orders")
APEX, CANARY = Claimed("mall", "", "Service", "shop"), Claimed("mall", "", "Service", "shop-canary")
SCALER, ROUTE = (
    Claimed("mall", "autoscaling", "HorizontalPodAutoscaler", "h"),
    Claimed("", "kuma.io", "TrafficRoute", "r"),
)


def claim(
    name: str, at: str, target: Claimed, namespace: str = "mall", *, waiting: bool = True, **more: Claimed
) -> Claim:
    """A Canary's; `more` are objects by the field that names them, with _ for the dot."""
    fields = {target: "spec.targetRef"} | {each: f"spec.{field.replace('_', '.')}" for field, each in more.items()}
    return Claim(Born(at, waiting, name, namespace), target, fields)


def test_a_reference_is_claimed_whatever_its_version() -> None:
    """Two versions of a group are one object."""
    one, two = (
        claimed(Ref(f"autoscaling/{version}", "HorizontalPodAutoscaler", "mall", "h")) for version in ("v1", "v2")
    )
    assert one == two == SCALER and claimed(Ref("v1", "Service", "mall", "shop")) == APEX


@pytest.mark.parametrize("first", ["front", "orders"])
def test_the_younger_one_is_told_whichever_comes_first(first: str) -> None:
    """By age, with the objects that both claim and the fields that name them; the older one hears nothing."""
    claims = {
        "front": claim("front", "1", TARGET, service_name=APEX, autoscalerRef_name=SCALER),
        "orders": claim("orders", "2", OTHER, service_name=APEX, autoscalerRef_name=SCALER),
    }
    rivals: Rivals[str] = Rivals()
    (second,) = claims.keys() - {first}
    assert rivals.put(first, claims[first]) == frozenset()
    assert rivals.put(second, claims[second]) == {first}
    assert rivals.put(second, claims[second]) == frozenset(), "nothing new"
    told = rivals.problem("orders")
    assert rivals.problem("front") is None and rivals.problem("nobody") is None
    assert told is not None and told.fault is Fault.MANIFEST and told.path == "spec.service.name"
    shared = "service shop, horizontalpodautoscaler h already belong to canary front, which is older"
    assert told.text == shared
    assert told.todo == ("Change spec.service.name and spec.autoscalerRef.name, or delete one of the two canaries.")
    assert rivals.drop("front") == {"orders"} and rivals.problem("orders") is None
    assert rivals.drop("front") == frozenset() == rivals.drop("orders")


def test_a_claim_that_changes() -> None:
    """Those of before and those of now may stand differently."""
    rivals: Rivals[str] = Rivals()
    rivals.put("a", claim("a", "1", TARGET, service_name=APEX))
    rivals.put("b", claim("b", "2", OTHER, service_name=APEX))
    assert rivals.problem("b") is not None
    assert rivals.put("b", claim("b", "2", OTHER, service_name=CANARY)) == {"a"} and rivals.problem("b") is None
    assert rivals.put("b", claim("b", "2", TARGET)) == {"a"}
    told = rivals.problem("b")
    assert told is not None and told.path == "spec.targetRef"
    assert told.text == "canary a, which is older, already releases target deployment front"


@pytest.mark.parametrize(("waiting", "winner"), [((True, True), "a"), ((True, False), "b"), ((False, False), "a")])
def test_twins(waiting: tuple[bool, bool], winner: str) -> None:
    """Created in the same second: the one that has begun, then the first by name."""
    rivals: Rivals[str] = Rivals()
    for name, rests in zip("ab", waiting, strict=True):
        rivals.put(
            name, claim(name, "1", Claimed("mall", "apps", "Deployment", name), waiting=rests, service_name=APEX)
        )
    (loser,) = {"a", "b"} - {winner}
    told = rivals.problem(loser)
    assert rivals.problem(winner) is None and told is not None
    assert told.text == f"service shop already belongs to canary {winner}, which comes first by age and name"


def test_three_in_a_row_and_another_namespace() -> None:
    """Whoever is older holds what it claims, though it waits itself; a stranger is named with its namespace."""
    rivals: Rivals[str] = Rivals()
    rivals.put("a", claim("a", "1", TARGET, "far", service_name=ROUTE))
    rivals.put("b", claim("b", "2", OTHER, service_name=ROUTE, autoscalerRef_name=SCALER))
    rivals.put("c", claim("c", "3", Claimed("mall", "apps", "Deployment", "c"), autoscalerRef_name=SCALER))
    b, c = rivals.problem("b"), rivals.problem("c")
    assert b is not None and "canary a.far" in b.text and c is not None and "canary b, which" in c.text


def test_what_visitors_come_by_is_told_with_the_way_out() -> None:
    """Unless both claim an object, too: that has to be mended first."""
    host = Claimed("", "networking.istio.io", "Host", "a.example at gateway infra/public")
    rivals: Rivals[str] = Rivals()
    for name, at, target in (("front", "1", TARGET), ("orders", "2", OTHER)):
        rivals.put(name, claim(name, at, target, service_hosts=host))
    told = rivals.problem("orders")
    assert told is not None and told.path == "spec.service.hosts"
    assert told.text.startswith("host a.example at gateway infra/public already belongs to canary front")
    assert told.todo.endswith("Behind a gateway, two canaries can share a host if their spec.service.match differs.")
    for name, at, target in (("front", "1", TARGET), ("orders", "2", OTHER)):
        rivals.put(name, claim(name, at, target, service_hosts=host, service_name=APEX))
    told = rivals.problem("orders")
    assert told is not None and told.text.startswith("service shop already belongs") and "match" not in told.todo
