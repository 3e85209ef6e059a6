"""Services that would lead visitors to another app, or to a port where nobody listens: visited on a real Traefik."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cases.visited import FOLDER, Cluster, cluster

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("led_astray")]


@pytest.fixture(scope="module")
def place() -> Iterator[Cluster]:
    """One sandbox for all: each case has a namespace of its own."""
    with cluster() as found:
        yield found


def apply(place: Cluster, case: str, *, canaries: bool) -> None:
    """The Canaries of a file, or everything else in it."""
    docs = (FOLDER / case).read_text().split("\n---\n")
    chosen = [doc for doc in docs if ("kind: Canary" in doc) is canaries]
    place.kubectl("apply", "-f", "-", said="\n---\n".join(chosen))


def test_two_releases_of_one_chart_get_their_own_visitors(place: Cluster) -> None:
    """Before, during and after the takeover, and while one of them is released."""
    apply(place, "selector-of-two-labels.yaml", canaries=False)
    place.serves("east.local")
    place.serves("west.local")
    with place.visited("east.local", "west.local") as seen:
        apply(place, "selector-of-two-labels.yaml", canaries=True)
        for name in ("east-app", "west-app"):
            place.phase("crm", name, "Initialized")
        place.release("crm", "east-app", "stefanprodan/podinfo:1.0.1")
        place.phase("crm", "east-app", "Succeeded", "Failed")
    east, west = seen["east.local"], seen["west.local"]
    assert east.failed == [] and west.failed == []
    assert set(east.versions) == {"1.0.0", "1.0.1"} and set(west.versions) == {"7.0.0"}, (east.versions, west.versions)
    assert min(sum(each.versions.values()) for each in (east, west)) > 200
