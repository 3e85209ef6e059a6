"""What others do to routes and Gateways: told, mended, and nobody is sent where the release does not say."""

from __future__ import annotations

import json

import pytest

from e2e.environment import Environment
from e2e.planes.apps import CAST, LABELS
from e2e.planes.conftest import AtOnce
from e2e.planes.fixtures import ReleaseOf
from e2e.planes.release import Release, settle

ROUTES = {
    "traefik": ("traefikservice", "/spec/weighted/services"),
    "gatewayapi:v1": ("httproute", "/spec/rules/0/backendRefs"),
    "contour": ("httpproxy", "/spec/routes/0/services"),
}


@pytest.mark.parametrize("name", ("traefik", "gateway", "contour"))
def test_what_the_route_bears(name: str, cast: Environment) -> None:
    """Labels and annotations of `spec.service.apex`; with Contour the class that the operator was told."""
    route = cast.get(ROUTES[CAST[name].way.provider][0], name)
    for field, asked in LABELS.items():
        assert asked.items() <= route["metadata"][field].items()
    assert route["spec"].get("ingressClassName") == ("contour" if name == "contour" else None)


def test_a_gateway_that_does_not_accept(cast: Environment, release_of: ReleaseOf) -> None:
    """Bad input: named, with the data plane's own reason; nothing is split meanwhile; all goes on once it accepts."""
    release = release_of("gateway-closed")
    release.begin()
    release.let()
    release.until(lambda: "NoMatchingListenerHostname" in cast.said(release.name))
    assert release.status["canaryWeight"] == 0
    open_to_all = '[{"op": "remove", "path": "/spec/listeners/0/hostname"}]'
    cast.kubectl("-n", "gateways", "patch", "gateway", "closed", "--type=json", "-p", open_to_all)
    release.until(lambda: release.status.get("canaryWeight") == 20)
    settle()
    release.share(20)
    release.let()
    release.promoted()


@pytest.mark.parametrize("name", ("traefik-robbed", "gateway-robbed", "contour-robbed"))
def test_somebody_else_at_the_route(name: str, at_once: AtOnce) -> None:
    """Weights that somebody writes are held, and told; a route that somebody deletes comes again with those of then."""

    def play(release: Release) -> None:
        kind, weights = ROUTES[CAST[release.name].way.provider]
        half = [{"op": "replace", "path": f"{weights}/{at}/weight", "value": 50} for at in range(2)]
        with release.visitors():
            release.begin()
            release.step(20)
            release.env.kubectl("patch", kind, release.name, "--type=json", "-p", json.dumps(half))
            release.until(lambda: release.status["canaryWeight"] == 50)
            settle()
            release.share(50)
            assert "to 50: flagger holds and judges it" in release.env.said(release.name)
            before = uid(release, kind)
            release.env.kubectl("delete", kind, release.name)
            release.until(lambda: uid(release, kind) not in ("", before))
            release.led()
            settle()
            release.share(50)
            release.let()
            release.promoted()

    at_once(play)


def uid(release: Release, kind: str) -> str:
    """Which object the route is; empty while there is none."""
    return release.env.kubectl("get", kind, release.name, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")


def test_who_says_that_it_knows_mirrors(cast: Environment) -> None:
    """Traefik says of its class what it knows, and mirrors are not in it; Contour says nothing, and knows them."""
    listed = {
        name: {one["name"] for one in cast.get("gatewayclass", name)["status"].get("supportedFeatures") or ()}
        for name in ("traefik", "contour")
    }
    assert "HTTPRoutePathRewrite" in listed["traefik"] and "HTTPRouteRequestMirror" not in listed["traefik"]
    assert listed["contour"] == set()
