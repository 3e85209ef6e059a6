"""Pods that the cluster refuses: the Canary says why in its words, and more room lets the release go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.environment import Environment, until
from e2e.faults import releases
from e2e.stage import Stage
from pyflagger.objects import Obj

NAME = "crowded"
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "q"},
    "spec": {"hard": {"pods": "3"}},
}


@pytest.fixture(scope="module")
def env(stage: Stage) -> Iterator[Environment]:
    """A namespace that has room for three pods, and a target of two."""
    env = Environment(stage, "quota")
    try:
        env.operator("-min-interval", "1s")
        deployment = releases.deployment(NAME, releases.DEADLINE_SECONDS)
        deployment["spec"] |= {"replicas": 2, "progressDeadlineSeconds": 600}
        canary = releases.canary(NAME, releases.GOOD, provider="kubernetes")
        canary["spec"]["analysis"] = {"interval": "2s", "threshold": 5, "iterations": 2}
        env.apply(QUOTA, releases.secret(NAME, "any"), deployment, canary)
        yield env
    finally:
        env.close()


def waiting(env: Environment) -> Obj | None:
    """The condition that says what is waited for."""
    conditions = env.status(NAME).get("conditions") or ()
    return next((found for found in conditions if found["type"] == "Waiting" and found["status"] == "True"), None)


def test_the_quota_is_named(env: Environment) -> None:
    """Not only how many pods there are: why there are no more."""
    told = until(lambda: waiting(env), lambda: str(env.status(NAME)), 40)
    assert told["reason"] == "PrimaryNotReady"
    assert "a pod is forbidden: exceeded quota: q" in told["message"]


def test_more_room_lets_it_go_on(env: Environment) -> None:
    """By itself, and the condition goes."""
    env.kubectl("patch", "resourcequota", "q", "--type=merge", "-p", '{"spec":{"hard":{"pods":"9"}}}')
    env.wait(NAME, "Initialized", 90)
    assert waiting(env) is None
