"""Services that would lead visitors to another app, or to a port where nobody listens: visited on a real Traefik."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cases.visited import Cluster, cluster

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("led_astray")]


@pytest.fixture(scope="module")
def place() -> Iterator[Cluster]:
    """One sandbox for all: each case has a namespace of its own."""
    with cluster() as found:
        yield found


def test_two_releases_of_one_chart_get_their_own_visitors(place: Cluster) -> None:
    """Before, during and after the takeover, and while one of them is released."""
    place.apply_part("selector-of-two-labels.yaml", canaries=False)
    place.serves("east.local")
    place.serves("west.local")
    with place.visited("east.local", "west.local") as seen:
        place.apply_part("selector-of-two-labels.yaml", canaries=True)
        for name in ("east-app", "west-app"):
            place.phase("crm", name, "Initialized")
        place.release("crm", "east-app", "stefanprodan/podinfo:1.0.1")
        place.phase("crm", "east-app", "Succeeded", "Failed")
    east, west = seen["east.local"], seen["west.local"]
    assert east.failed == [] and west.failed == []
    assert set(east.versions) == {"1.0.0", "1.0.1"} and set(west.versions) == {"7.0.0"}, (east.versions, west.versions)
    assert min(sum(each.versions.values()) for each in (east, west)) > 60


def test_a_port_that_no_container_has(place: Cluster) -> None:
    """The user's Service is left alone and goes on serving; the text can be followed, and then it is released."""
    case = "target-port-without-name.yaml"
    place.apply_part(case, canaries=False)
    place.serves("nameless.local")
    with place.visited("nameless.local") as seen:
        place.apply_part(case, canaries=True)
        text = place.blocked("nameless", "web")
        assert place.object("-n", "nameless", "service", "web")["spec"]["selector"] == {"app": "web"}
        fixed = '{"spec": {"service": {"targetPort": 9898}}}'
        place.kubectl("-n", "nameless", "patch", "canary", "web", "--type", "merge", "-p", fixed)
        place.phase("nameless", "web", "Initialized")
    assert "container app has 9898 (no name)" in text and "spec.service.targetPort" in text
    visitor = seen["nameless.local"]
    assert visitor.failed == [] and sum(visitor.versions.values()) > 30


def test_a_release_that_renames_the_port(place: Cluster) -> None:
    """It is refused with a reason, and nobody is led to it."""
    place.apply_part("renamed-port.yaml", canaries=False)
    place.serves("renamed.local")
    place.apply_part("renamed-port.yaml", canaries=True)
    place.phase("renamed", "web", "Initialized")
    ports = [{"$patch": "replace"}, {"name": "web", "containerPort": 9898}]
    container = {"name": "app", "image": "stefanprodan/podinfo:1.0.1", "ports": ports}
    wanted = json.dumps({"spec": {"template": {"spec": {"containers": [container]}}}})
    with place.visited("renamed.local") as seen:
        place.kubectl("-n", "renamed", "patch", "deployment", "web", "-p", wanted)
        place.phase("renamed", "web", "Failed", "Succeeded")
    assert place.status("renamed", "web")["phase"] == "Failed"
    assert "has a port named http" in place.condition("renamed", "web", "Halted")
    visitor = seen["renamed.local"]
    assert visitor.failed == [] and set(visitor.versions) == {"1.0.0"}
