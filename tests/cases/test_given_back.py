"""A Service that is taken over and given back, and one of ours that is left to the user: visited on a real Traefik."""

from __future__ import annotations

import pytest

from cases.visited import FOLDER, Cluster, cluster
from pyflagger.objects import Obj

pytestmark = pytest.mark.real

NEWER = "stefanprodan/podinfo:1.1.0"


def users(place: Cluster) -> Obj:
    """What of the Service is the user's."""
    found = place.object("-n", "back", "service", "web")
    return {"spec": found["spec"], "annotations": found["metadata"].get("annotations") or {}}


def gone(place: Cluster, canary: str) -> None:
    """Delete a Canary, and wait until nothing of its own is left."""
    place.kubectl("-n", "back", "delete", "canary", canary)
    place.until(
        lambda: f"/{canary}-primary" not in place.kubectl("-n", "back", "get", "deployment,service", "-o", "name"),
        lambda: place.events("back"),
    )


def test_nobody_fails_from_before_the_takeover_until_after_the_return() -> None:
    """Both ports serve all along, the Service is what it was, and an Ingress goes on by a Service of ours."""
    docs = (FOLDER / "service-given-back.yaml").read_text().split("\n---\n")
    canaries = [doc for doc in docs if "kind: Canary" in doc]
    rest = [doc for doc in docs if "kind: Canary" not in doc]
    with cluster() as place:
        for chosen in (rest, canaries[1:]):
            place.kubectl("apply", "--server-side", "-f", "-", said="\n---\n".join(chosen))
        before = users(place)
        place.phase("back", "bare", "Initialized")
        for host, path in (("back.local", "/"), ("metrics.back.local", "/metrics"), ("bare.local", "/")):
            place.serves(host, path)
        with place.visited("back.local", "bare.local") as crowd:
            place.kubectl("apply", "--server-side", "-f", "-", said=canaries[0])
            place.phase("back", "web", "Initialized")
            assert place.answers("metrics.back.local", "/metrics") == 200
            place.release("back", "web", NEWER)
            assert place.phase("back", "web", "Succeeded", "Failed") == "Succeeded"
            gone(place, "web")
            gone(place, "bare")
            for host, path in (("back.local", "/"), ("metrics.back.local", "/metrics"), ("bare.local", "/")):
                assert place.answers(host, path) == 200, host
        assert {host: visitor.failed for host, visitor in crowd.items()} == {"back.local": [], "bare.local": []}
        assert set(crowd["back.local"].versions) == {"1.0.0", "1.1.0"}
        assert users(place) == before
        taking = [text for text in place.events("back") if text.startswith("Taking over Service web for web.back")]
        assert len(taking) == 1 and "flagger restores it" in taking[0]
