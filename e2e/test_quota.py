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
def place(stage: Stage) -> Iterator[Environment]:
    """A namespace that has room for three pods, and a target of two."""
    place = Environment(stage, "quota")
    try:
        place.operator("-min-interval", "1s")
        deployment = releases.deployment(NAME, releases.DEADLINE_SECONDS)
        deployment["spec"] |= {"replicas": 2, "progressDeadlineSeconds": 600}
        canary = releases.canary(NAME, releases.GOOD, provider="kubernetes")
        canary["spec"]["analysis"] = {"interval": "2s", "threshold": 5, "iterations": 2}
        place.apply(QUOTA, releases.secret(NAME, "any"), deployment, canary)
        yield place
    finally:
        place.close()


def waiting(place: Environment) -> Obj | None:
    """The condition that says what is waited for."""
    conditions = place.status(NAME).get("conditions") or ()
    return next((found for found in conditions if found["type"] == "Waiting" and found["status"] == "True"), None)


def test_the_quota_is_named(place: Environment) -> None:
    """Not only how many pods there are: why there are no more."""
    told = until(lambda: waiting(place), lambda: str(place.status(NAME)), 40)
    assert told["reason"] == "PrimaryNotReady"
    assert "a pod is forbidden: exceeded quota: q" in told["message"]


def test_more_room_lets_it_go_on(place: Environment) -> None:
    """By itself, and the condition goes."""
    place.kubectl("patch", "resourcequota", "q", "--type=merge", "-p", '{"spec":{"hard":{"pods":"9"}}}')
    place.wait(NAME, "Initialized", 90)
    assert waiting(place) is None
