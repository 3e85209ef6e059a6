"""The NGINX walkthrough on a real cluster: the operator for all namespaces, and visitors counted at each weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from e2e.environment import Environment, refused, until
from e2e.stage import Operator, Stage
from e2e.visitors import Visitors

ACCOUNT = "system:serviceaccount:flagger-system:flagger"
EXAMPLES = "examples/nginx"
OLD, NEW = "3.1.0", "3.1.1"
WEIGHTS = range(5, 51, 5)
VISITS_MIN, SHARE_POINTS_MAX = 500, 3.0


@pytest.fixture(scope="module")
def operator(stage: Stage) -> Iterator[Operator]:
    """The operator for all namespaces, as `kubectl apply -k kustomize/cluster` installs it."""
    found = stage.operator(stage.install("cluster"), name="walkthrough")
    found.start()
    try:
        until(found.ready, found.tail, 30)
        yield found
    finally:
        found.stop()


@pytest.mark.shows("nginx", "weights")
def test_a_release(stage: Stage, operator: Operator, figure: Callable[[str], None]) -> None:
    """Applied, released, promoted: shares as the weights say, no visitor lost, nothing asked that the rules refuse."""
    env = Environment(stage, "test")
    try:
        env.kubectl("apply", "-k", "kustomize/tester")
        env.kubectl("apply", "-f", EXAMPLES)
        env.wait("podinfo", "Initialized")
        with Visitors(stage.urls["ingress"], "podinfo.local") as early:
            until(lambda: early.count()[OLD])
        with Visitors(stage.urls["ingress"], "podinfo.local", per_second=150) as visitors:
            env.kubectl("set", "image", "deployment/podinfo", f"podinfod=stefanprodan/podinfo:{NEW}")
            check_shares(env, visitors, figure)
            assert not visitors.failed
            assert env.wait("podinfo", "Succeeded")["canaryWeight"] == 0
        check_promoted(env)
        assert not refused(stage, ACCOUNT)
    finally:
        env.close()


def check_shares(env: Environment, visitors: Visitors, figure: Callable[[str], None]) -> None:
    """At each weight a fair share of the visitors meets the new version."""
    for weight in WEIGHTS:
        until(lambda weight=weight: at_weight(env, weight), lambda: env.said("podinfo"), 90)  # type: ignore[misc]
        # The proxy has the weight a moment after the object has it.
        settled = total(visitors.count()) + 50
        until(lambda settled=settled: total(visitors.count()) >= settled)  # type: ignore[misc]
        before = visitors.count()
        until(lambda before=before: total(visitors.count() - before) >= VISITS_MIN)  # type: ignore[misc]
        seen = visitors.count() - before
        assert at_weight(env, weight), "the weight went on before enough visits were counted"
        share = 100 * seen[NEW] / total(seen)
        figure(f"weight {weight:2}: {share:4.1f} % of {total(seen)} visits met the new version")
        assert abs(share - weight) <= SHARE_POINTS_MAX


def at_weight(env: Environment, weight: int) -> bool:
    """Whether the canary's status says so."""
    return bool(env.status("podinfo").get("canaryWeight") == weight)


def total(seen: Counter[str]) -> int:
    """All of them."""
    return sum(seen.values())


def check_promoted(env: Environment) -> None:
    """The primary runs the new image, the target nothing, and every step was told."""
    primary = env.get("deployment", "podinfo-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"].endswith(NEW)
    until(lambda: env.get("deployment", "podinfo")["spec"]["replicas"] == 0)
    told = env.said("podinfo")
    assert [weight for weight in WEIGHTS if f"canary weight {weight}\n" not in told] == []
    assert "Promotion completed! Scaling down podinfo.test" in told
