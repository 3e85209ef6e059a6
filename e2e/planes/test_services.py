"""Releases that a smoke test comes before, and what Services of the user's and copies bear."""

from __future__ import annotations

import pytest

from e2e.environment import Environment
from e2e.planes import scenarios
from e2e.planes.apps import LABELS, OLD, OTHER, PRIVATE, SHARED, another_service
from e2e.planes.conftest import AtOnce, shows
from e2e.planes.release import Release
from pyflagger.api.names import TOOLKIT_ANNOTATIONS as NOT_FOR_FLUX

SMOKED = ("services-blue", "gateway-blue")


@pytest.mark.parametrize("name", shows("blue_green", SMOKED))
def test_a_smoke_test_before_blue_green(name: str, at_once: AtOnce) -> None:
    """The load tester asks the canary's pods alone: what it refuses nobody meets; the next version passes it."""

    def play(release: Release) -> None:
        asked: list[int] = []
        fresh = (f"{prefix}since=promotion" for prefix in (SHARED, PRIVATE))
        release.env.kubectl("label", "deployment", release.name, *fresh)
        with release.visitors() as visitors:
            release.begin(OTHER)
            release.ended("Failed")
            assert "pre-rollout check smoke failed" in release.env.said(release.name)
            assert set(visitors.count()) == {OLD}
        release.none_lost(visitors)
        pods = [f"app={release.name}{end}" for end in ("", "-primary")]
        scenarios.blue_green(release, lambda: asked.extend(release.requests(each, "version") for each in pods))
        assert "Pre-rollout check smoke passed" in release.env.said(release.name)
        assert asked[0] >= 1 and asked[1] == 0

    at_once(play)


def test_what_a_service_of_another_name_bears(cast: Environment) -> None:
    """The user's own: it leads to the primary, at its port and the Canary's; its labels stay, Flux leaves it alone."""
    name = "services-blue"
    cast.wait(name, "Succeeded")
    service, primary, canary = (cast.get("service", another_service(name) + end) for end in ("", "-primary", "-canary"))
    assert service["metadata"]["labels"] == {f"{prefix}team": "blue" for prefix in (SHARED, PRIVATE)}
    assert LABELS["annotations"].keys().isdisjoint(service["metadata"]["annotations"])
    assert NOT_FOR_FLUX.items() <= service["metadata"]["annotations"].items()
    selected = [each["spec"]["selector"]["app"] for each in (service, primary, canary)]
    assert selected == [f"{name}-primary", f"{name}-primary", name]
    ports = [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]]
    assert sorted(ports) == [(80, 9898), (9898, 9898)]


def test_what_primaries_have_of_their_targets(cast: Environment) -> None:
    """Labels of the prefix that the operator was told, those too that were new at a promotion."""
    name = "services-blue"
    cast.wait(name, "Succeeded")
    labels = cast.get("deployment", f"{name}-primary")["metadata"]["labels"]
    assert labels == {"app": f"{name}-primary", f"{SHARED}team": "blue", f"{SHARED}since": "promotion"}
    assert cast.get("configmap", f"{name}-settings-primary")["metadata"]["labels"] == {f"{SHARED}team": "blue"}
