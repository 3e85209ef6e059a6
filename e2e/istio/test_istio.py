"""Releases behind Istio's gateway: what the operator writes is what Istio's control plane makes of it, in requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from e2e.apps import IMAGE, smoke
from e2e.environment import Environment, until
from e2e.istio.apps import APPS_NAMESPACE, own
from e2e.istio.mesh import GATEWAY, Mesh
from e2e.planes import scenarios
from e2e.planes.apps import BAD, LABELS, NEW, OLD, host
from e2e.planes.conftest import AtOnce
from e2e.planes.fixtures import ReleaseOf
from e2e.planes.release import SHARE_POINTS_MAX, Release, settle
from e2e.visitors import Visitors, asked
from pyflagger.objects import Obj

pytestmark = pytest.mark.long

WEIGHTS = {"istio": range(10, 51, 10), "istio-adopted": (20,)}
TESTERS: Mapping[str, Mapping[str, str]] = {
    "istio-header": {"x-canary": "insider"},
    "istio-cookie": {"Cookie": "a=b;type=insider;c=d"},
}
OTHERS = {"x-canary": "outsider", "Cookie": "a=b;type=outsider"}


def shown(*abilities: str) -> pytest.MarkDecorator:
    """What a test shows of the provider."""
    return pytest.mark.shows("istio", *abilities)


@pytest.mark.parametrize(
    "name", [pytest.param("istio", marks=shown("weights")), pytest.param("istio-adopted", marks=shown("adopt"))]
)
def test_a_good_release(name: str, at_once: AtOnce) -> None:
    """Promoted: at each weight its share of the visits, and no visit failed."""
    at_once(lambda release: scenarios.good(release, WEIGHTS[release.name]))


@pytest.mark.parametrize("name", [pytest.param(name, marks=shown("ab")) for name in TESTERS])
def test_testers_alone_meet_the_canary(name: str, at_once: AtOnce) -> None:
    """A/B: by a header and by a cookie among others."""
    at_once(lambda release: scenarios.testers_alone(release, [TESTERS[release.name]], [OTHERS, {}]))


def test_a_bad_release(release_of: ReleaseOf) -> None:
    """Taken back by what the gateway counted."""
    release = release_of("istio-bad")
    scenarios.bad(release, BAD)
    told = release.env.said(release.name)
    assert "failed checks threshold reached" in told and " < 99" in told


@shown("testers")
def test_testers_beside_weights(release_of: ReleaseOf) -> None:
    """By a header, while the weight is 20."""
    scenarios.testers_beside_weights(release_of("istio-testers"), TESTERS["istio-header"], OTHERS)


@shown("blue_green")
def test_blue_green(release_of: ReleaseOf) -> None:
    """Nobody meets the new version before it is promoted, and everybody after."""
    scenarios.blue_green(release_of("istio-blue"))


@shown("affinity")
def test_a_visitor_stays_with_a_version(release_of: ReleaseOf) -> None:
    """Both cookies."""
    scenarios.sticky(release_of("istio-sticky"), 10)


@shown("mirror_steps")
def test_copies_beside_weights(release_of: ReleaseOf) -> None:
    """Of all requests, and then none."""
    release = release_of("istio-mirror")
    scenarios.copies_beside_weights(release, lambda: mirrored(release))


@shown("mirror")
def test_copies_of_blue_green(release_of: ReleaseOf, figure: Callable[[str], None]) -> None:
    """Of as many requests as asked for."""
    release = release_of("istio-mirror-blue")
    share = scenarios.copies_of_blue_green(release, 50)
    figure(f"{release.name}: mirrorWeight 50: {share:.2f} % of the visits were copied, none was answered by the canary")


def mirrored(release: Release) -> bool:
    """Whether the route says so."""
    return any("mirror" in rule for rule in release.env.get("virtualservice", release.name)["spec"]["http"])


def test_a_delegated_route(release_of: ReleaseOf) -> None:
    """The user's root has host, gateway, path and rewrite; what is behind it is split by ours, which has no host."""
    release = release_of("istio-delegated")
    spec = release.env.get("virtualservice", release.name)["spec"]
    assert "hosts" not in spec and "gateways" not in spec
    release.proxy += "/podinfo"
    scenarios.good(release, (10, 30))
    assert asked(release.proxy, host(release.name), "/other").status == 404


def test_a_skipped_analysis(release_of: ReleaseOf) -> None:
    """Promoted at once; a version that does not start is not, and the primary goes on with the good one."""
    release = release_of("istio-skipped")
    with release.visitors() as visitors:
        release.image(NEW)
        release.promoted()
        release.image(f"{OLD}-unready")
        release.ended("Failed")
        assert set(release.count()) == {NEW}
    release.none_lost(visitors)
    primary = release.env.get("deployment", f"{release.name}-primary")
    assert primary["spec"]["replicas"] == primary["status"]["readyReplicas"] == 1


@shown("revert")
def test_a_canary_is_deleted(release_of: ReleaseOf, meshed: Environment) -> None:
    """Service and route that were the user's are as they were, and lead to the target; nobody is lost on the way."""
    release = release_of("istio-reverted")
    with release.visitors() as visitors:
        release.begin()
        release.step(20)
        meshed.kubectl("delete", "canary", release.name, "--timeout=60s")
        service, route = own(release.name)
        found = meshed.get("virtualservice", release.name)["spec"]
        assert found == route["spec"]
        assert meshed.get("service", release.name)["spec"]["selector"] == service["spec"]["selector"]
        until(lambda: set(release.count()) == {NEW})
    release.none_lost(visitors)
    assert asked(release.proxy, f"www.{host(release.name)}", "/version").status == 200


def test_what_the_route_says_is_done(release_of: ReleaseOf, mesh: Mesh, figure: Callable[[str], None]) -> None:
    """Timeout, retries, CORS, headers and the traffic policy, for both versions."""
    release = release_of("istio-rendered")
    release.begin()
    release.step(20)
    name, way = release.name, (release.proxy, host(release.name))
    late = asked(*way, "/delay/5")
    assert late.status == 504 and "timeout" in late.body
    pods = f"app in ({name},{name}-primary)"
    before = release.requests(pods, "status")
    assert asked(*way, "/status/503").status == 503
    tried = release.requests(pods, "status") - before
    figure(f"{name}: one request for an error came {tried} times, 504 after a timeout of 2 s")
    assert tried == 4
    wish = {"Origin": "https://shop.example", "Access-Control-Request-Method": "PUT"}
    granted = asked(*way, "/", "OPTIONS", wish).headers
    assert granted["access-control-allow-origin"] == wish["Origin"] and granted["access-control-max-age"] == "86400"
    assert (
        "access-control-allow-origin" not in asked(*way, "/", "OPTIONS", wish | {"Origin": "https://x.example"}).headers
    )
    echo = asked(*way, "/headers")
    assert {"x-from": ["gateway"]}.items() <= json.loads(echo.body.lower()).items()
    assert echo.headers["x-to"] == "visitor"
    for service in (f"{name}-primary", f"{name}-canary"):
        cluster = mesh.cluster(f"outbound|80||{service}.{APPS_NAMESPACE}.svc.cluster.local")
        assert cluster["circuit_breakers"]["thresholds"][0]["max_pending_requests"] == 321
    release.let()
    release.promoted()


def connections(way: str, count: int) -> Counter[str]:
    """So many connections, by the version at their end."""
    return Counter(json.loads(asked(way, "anybody").body)["version"] for _ in range(count))


def test_connections_that_nobody_looks_into(release_of: ReleaseOf, figure: Callable[[str], None]) -> None:
    """With `appProtocol: tcp` connections are split by weight, and what goes through them is nobody's business."""
    release = release_of("istio-connections")
    assert "http" not in release.env.get("virtualservice", release.name)["spec"]
    release.begin()
    release.step(20)
    seen = connections(release.proxy, 3000)
    share = 100 * seen[NEW] / seen.total()
    figure(f"{release.name}: weight 20: {share:.2f} % of {seen.total()} connections met the new version")
    assert set(seen) == {OLD, NEW} and abs(share - 20) <= SHARE_POINTS_MAX
    release.let()
    release.ended("Succeeded")
    until(lambda: set(connections(release.proxy, 20)) == {NEW})


def test_what_the_objects_bear(meshed: Environment) -> None:
    """What `spec.service.apex` says, the primary behind the apex, and ports where they are discovered."""
    meshed.wait("istio", "Succeeded")
    for field, words in LABELS.items():
        for kind in ("virtualservice", "service"):
            assert words.items() <= meshed.get(kind, "istio")["metadata"][field].items()
    assert meshed.get("service", "istio")["spec"]["selector"] == {"app": "istio-primary"}
    spec = meshed.get("virtualservice", "istio")["spec"]
    assert spec["gateways"] == [GATEWAY] and spec["hosts"] == [host("istio"), "istio"]
    assert [each["destination"]["port"]["number"] for each in spec["http"][0]["route"]] == [9898, 9898]


def test_the_services_port_changes(meshed: Environment, mesh: Mesh) -> None:
    """After a release by weights: another port, and blue/green from then on, after a smoke test of the canary's."""
    meshed.wait("istio", "Succeeded")
    service = {"port": 80, "portName": "http-podinfo", "portDiscovery": None}
    analysis: Obj = {"stepWeight": None, "maxWeight": None, "iterations": 5, "metrics": None}
    analysis["webhooks"] = [smoke(APPS_NAMESPACE, "istio-canary", OLD)]
    change = json.dumps({"spec": {"service": service, "analysis": analysis}})
    meshed.kubectl("patch", "canary", "istio", "--type=merge", "-p", change)
    until(lambda: meshed.get("service", "istio")["spec"]["ports"][0]["port"] == 80)
    until(lambda: "port" not in meshed.get("virtualservice", "istio")["spec"]["http"][0]["route"][0]["destination"])
    settle()
    with Visitors(mesh.url, host("istio")) as visitors:
        meshed.kubectl("set", "image", "deployment/istio", f"web={IMAGE}:{OLD}")
        meshed.wait("istio", "Progressing")
        meshed.wait("istio", "Succeeded")
        before = visitors.count()[OLD]
        until(lambda: visitors.count()[OLD] > before)
    assert "Pre-rollout check smoke passed" in meshed.said("istio")
    assert visitors.failed == []


def test_nothing_was_refused(meshed: Environment) -> None:
    """The rules of `kustomize/namespaced` are enough for all of it."""
    assert meshed.refused() == []
