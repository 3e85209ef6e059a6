"""What pods say keeps them from being ready, and that nothing is said where they say nothing or may not be listed."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.clock import SystemClock
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.objects import Obj
from pyflagger.operator.evidence.pod_troubles import find_trouble
from pyflagger.workloads.pods import trouble_of


def pod(state: Obj, *, init: bool = False, last: Obj | None = None, **meta: Any) -> Obj:
    """A pod whose container is in this state."""
    container = {"name": "app", "image": "shop:2", "state": state, "lastState": last or {}}
    return {"metadata": meta, "status": {"initContainerStatuses" if init else "containerStatuses": [container]}}


def waiting(reason: str, message: str = "") -> Obj:
    """The state of a container that waits."""
    return {"waiting": {"reason": reason, "message": message}}


def unscheduled(**condition: str) -> Obj:
    """A pod that has no node."""
    return {"metadata": {}, "status": {"conditions": [{"type": "PodScheduled", "status": "False", **condition}]}}


CRASHED = {"terminated": {"exitCode": 1}}
TAINTED = "0/3 nodes are available: 3 Insufficient cpu."

CASES: dict[str, tuple[list[Obj], str]] = {
    "no pods": ([], ""),
    "running": ([pod({"running": {}})], ""),
    "starting": ([pod(waiting("ContainerCreating"))], ""),
    "no image": ([pod(waiting("ImagePullBackOff", "Back-off"))], "1 pod: container app cannot pull image shop:2"),
    "crashing": (
        [pod(waiting("CrashLoopBackOff", "back-off 20s"), last=CRASHED)] * 2,
        "2 pods: container app is in CrashLoopBackOff (exit code 1)",
    ),
    "just crashed": ([pod(CRASHED)], "1 pod: container app ended (exit code 1)"),
    "done": ([pod({"terminated": {"exitCode": 0}}, init=True)], ""),
    "init container": ([pod(CRASHED, init=True)], "1 pod: init container app ended (exit code 1)"),
    "no Secret": (
        [pod(waiting("CreateContainerConfigError", 'secret "db" not found'))],
        '1 pod: container app is in CreateContainerConfigError: secret "db" not found',
    ),
    "no node": ([unscheduled(message=TAINTED)], f"1 pod: cannot be scheduled: {TAINTED}"),
    "no node, no message": ([unscheduled(reason="Unschedulable")], "1 pod: cannot be scheduled: Unschedulable"),
    "on its way out": ([pod(waiting("CrashLoopBackOff"), deletionTimestamp="2026-01-01T00:00:00Z")], ""),
    "most of them": (
        [unscheduled(message=TAINTED), *[pod(waiting("ErrImagePull"))] * 2],
        "2 pods: container app cannot pull image shop:2",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_most_frequent_trouble_is_told(case: str) -> None:
    """In words that stay the same while a back-off grows, without names of pods."""
    pods, text = CASES[case]
    assert trouble_of(pods) == text


class Answering:
    """A transport with one answer."""

    def __init__(self, status: int, body: bytes) -> None:
        self.asked: list[ApiRequest] = []
        self._answer = ApiAnswer(status, {}, body)

    async def call(self, request: ApiRequest) -> ApiAnswer:
        self.asked.append(request)
        return self._answer


WEB = {
    "metadata": {"name": "web", "namespace": "test"},
    "spec": {"selector": {"matchLabels": {"app": "web", "tier": "front"}}},
}


async def found(
    workload: Obj | None, status: int = 200, body: bytes = b'{"items": []}'
) -> tuple[str, list[ApiRequest]]:
    """What is said, and what was asked for it."""
    transport = Answering(status, body)
    client = Client(transport, SystemClock())  # type: ignore[arg-type]
    return (await find_trouble(client, workload)).text, transport.asked


async def test_pods_are_listed_by_all_labels_of_the_selector() -> None:
    """And no more of them than are needed."""
    _, (request,) = await found(WEB)
    assert request.path == "/api/v1/namespaces/test/pods"
    assert request.query == {"labelSelector": "app=web,tier=front", "limit": "50"}


@pytest.mark.parametrize("workload", [None, {"metadata": {"name": "web"}, "spec": {}}])
async def test_without_a_selector_nothing_is_listed(workload: Obj | None) -> None:
    """All pods of a namespace are nobody's."""
    assert await found(workload) == ("", [])


async def test_without_the_right_nothing_is_said() -> None:
    """A cluster whose rules are older goes on as before."""
    body = b'{"kind": "Status", "message": "pods is forbidden"}'
    assert (await found(WEB, 403, body))[0] == ""
