"""Warnings: each has a manifest that earns it, and a good manifest earns none."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import EVERYTHING, canary, hook
from pyflagger.api.facts import Capabilities
from pyflagger.core.lint import lint

GOOD = {"stepWeight": 20, "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]}
MATCH = [{"headers": {"a": {"exact": "b"}}}]


def found(
    analysis: dict[str, Any], provider: str = "nginx", capabilities: Capabilities = EVERYTHING, **spec: Any
) -> list[str]:
    """The paths of all warnings."""
    problems = lint(canary(analysis, **spec), provider=provider, capabilities=capabilities, interval=10)
    assert all(problem.text and problem.todo for problem in problems)
    return [problem.path for problem in problems]


def test_a_good_manifest_earns_none() -> None:
    """Nor does one whose analysis is skipped, or missing."""
    assert found(GOOD) == []
    assert found({"stepWeights": [2, 1]}, skipAnalysis=True) == []
    bare = canary()
    none = bare.model_copy(update={"spec": bare.spec.model_copy(update={"analysis": None})})
    assert lint(none, provider="nginx", capabilities=EVERYTHING, interval=10) == ()


@pytest.mark.parametrize(
    ("analysis", "provider", "capabilities", "path"),
    [
        ({**GOOD, "mirror": True}, "nginx", Capabilities(), "spec.analysis.mirror"),
        ({**GOOD, "mirror": True}, "gatewayapi:v1", Capabilities(mirror=True), "spec.analysis.mirror"),
        ({"iterations": 1, "mirror": True}, "nginx", Capabilities(), "spec.analysis.mirror"),
        ({"iterations": 1, "match": MATCH}, "kubernetes", EVERYTHING, "spec.analysis.match"),
        (GOOD, "kubernetes", EVERYTHING, "spec.analysis.iterations"),
        (
            {"metrics": [{"name": "request-success-rate", "templateRef": {"name": "t"}}]},
            "nginx",
            EVERYTHING,
            "spec.analysis.metrics[0]",
        ),
        ({"metrics": [{"name": "x", "query": "q"}]}, "nginx", EVERYTHING, "spec.analysis.metrics[0].thresholdRange"),
        *(
            (
                {**steps, "metrics": [{"name": "request-success-rate", "initialDelay": delay}]},
                "nginx",
                EVERYTHING,
                "spec.analysis.metrics[0].initialDelay",
            )
            for steps, delay in (
                ({"iterations": 3}, "40s"),
                ({"stepWeight": 30, "maxWeight": 50}, "30s"),
                ({"stepWeights": [1, 2]}, "30s"),
            )
        ),
        ({"webhooks": [hook("rollout", timeout="10s")]}, "nginx", EVERYTHING, "spec.analysis.webhooks"),
        ({"stepWeights": [10, 5]}, "nginx", EVERYTHING, "spec.analysis.stepWeights"),
        ({"stepWeight": 5, "stepWeights": [5, 10]}, "nginx", EVERYTHING, "spec.analysis.stepWeights"),
    ],
)
def test_each_warning(analysis: dict[str, Any], provider: str, capabilities: Capabilities, path: str) -> None:
    """One manifest each."""
    assert found(analysis, provider, capabilities) == [path]


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", True),
        ("https://acme.webhook.office.com/webhookb2/x", True),
        ("https://discord.com/api/webhooks/1/x", True),
        ("https://chat.googleapis.com/v1/spaces/A/messages?key=x", True),
        ("http://nothooks.slack.com.shop.svc/x", False),
        ("http://discord.shop:8080/slack", False),
    ],
)
@pytest.mark.parametrize("kind", ["rollout", "confirm-rollout", "rollback", "event"])
def test_hooks_that_call_a_chat(kind: str, url: str, warned: bool) -> None:
    """A chat answers 400: a rollout hook fails each check, and a gate never opens. No text contains the address."""
    analysis = {**GOOD, "webhooks": [hook(kind, url=url, timeout="1s")]}
    assert found(analysis) == (["spec.analysis.webhooks[0].url"] if warned else [])
    problems = lint(canary(analysis), provider="nginx", capabilities=EVERYTHING, interval=10)
    assert all("/" not in problem.text for problem in problems)


@pytest.mark.parametrize("steps", [{"iterations": 3}, {"stepWeight": 30}, {"stepWeights": [1, 2]}, {}])
def test_a_delay_that_a_release_outlasts_earns_none(steps: dict[str, Any]) -> None:
    """The metric is judged in its last rounds."""
    assert found({**steps, "metrics": [{"name": "request-success-rate", "initialDelay": "29s"}]}) == []


def test_mirrored_iterations_need_only_plain_mirroring() -> None:
    """Gateway API can do that."""
    assert found({"iterations": 1, "mirror": True}, "gatewayapi:v1", Capabilities(mirror=True)) == []


SCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}


@pytest.mark.parametrize(
    ("version", "kind", "paths"),
    [
        ("apps/v1", "DaemonSet", ["spec.autoscalerRef"]),
        ("v1", "Service", ["spec.autoscalerRef"]),
        ("apps/v1", "Deployment", []),
    ],
)
def test_an_autoscaler_of_what_has_no_replicas(version: str, kind: str, paths: list[str]) -> None:
    """Told even when the analysis is skipped; without an autoscaler nothing is."""
    target = {"apiVersion": version, "kind": kind, "name": "web"}
    assert found(GOOD, targetRef=target, autoscalerRef=SCALER) == paths
    assert found(GOOD, targetRef=target, autoscalerRef=SCALER, skipAnalysis=True) == paths
    assert found(GOOD, targetRef=target) == []


def test_a_route_of_the_whole_cluster_that_would_outlive_its_canary() -> None:
    """Nobody can own it: only our finalizer takes it away."""
    assert found(GOOD, "kuma") == ["spec.revertOnDeletion"]
    assert found(GOOD, "kuma", revertOnDeletion=True) == found(GOOD, "istio") == []
