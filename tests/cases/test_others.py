"""Names that somebody else has, and canaries that meet on one Ingress: visited on a real Traefik."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cases.visited import Cluster, cluster
from walkthrough.sandboxed import Visitor

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("others")]


@pytest.fixture(scope="module")
def place() -> Iterator[Cluster]:
    """One sandbox for all: each case has a namespace of its own."""
    with cluster() as found:
        yield found


def test_a_users_own_objects_go_on_serving(place: Cluster) -> None:
    """Beta testers and visitors get what they got before, whatever the Canary waits for."""
    place.apply_part("foreign-service-ingress.yaml", canaries=False)
    for host in ("old.local", "beta.local"):
        place.serves(host)
    with place.visited("old.local", "beta.local") as seen:
        place.apply_part("foreign-service-ingress.yaml", canaries=True)
        text = place.blocked("old", "web")
        assert "service web-canary.old exists and does not belong to this canary" in text
        assert "ingress web-canary.old exists and does not belong to this canary" in "; ".join(place.events("old"))
    assert seen["beta.local"].failed == [] and set(seen["beta.local"].versions) == {"9.0.0"}
    with place.visited("old.local") as later:
        place.kubectl("-n", "old", "delete", "service/web-canary", "ingress/web-canary")
        place.phase("old", "web", "Initialized")
    for visitor in (seen["old.local"], later["old.local"]):
        assert visitor.failed == [] and set(visitor.versions) == {"1.0.0"}


def test_two_canaries_on_one_ingress_release_at_the_same_time(place: Cluster) -> None:
    """Each with its own visitors alone; nobody is failed, and both are promoted."""
    place.apply_part("one-ingress-two-canaries.yaml", canaries=False)
    ingress = place.place.places["ingress"].rstrip("/")
    for path in ("/", "/version"):
        place.serves("mall.local", path)
    front, orders = (Visitor(ingress + path, "mall.local", 0.02) for path in ("/", "/version"))
    for visitor in (front, orders):
        visitor.start()
    try:
        place.apply_part("one-ingress-two-canaries.yaml", canaries=True)
        for name in ("front", "orders"):
            place.phase("mall", name, "Initialized")
        place.release("mall", "front", "stefanprodan/podinfo:1.1.0")
        place.release("mall", "orders", "stefanprodan/podinfo:7.1.0")
        for name in ("front", "orders"):
            assert place.phase("mall", name, "Succeeded", "Failed") == "Succeeded"
    finally:
        for visitor in (front, orders):
            visitor.leave()
    assert front.failed == [] and orders.failed == []
    assert set(front.versions) == {"1.0.0", "1.1.0"} and set(orders.versions) == {"7.0.0", "7.1.0"}
    assert min(sum(visitor.versions.values()) for visitor in (front, orders)) > 100
    made = place.kubectl("-n", "mall", "get", "ingress", "-o", "name").split()
    assert sorted(made) == [
        f"ingress.networking.k8s.io/{name}" for name in ("mall", "mall-canary", "mall-orders-canary")
    ]
