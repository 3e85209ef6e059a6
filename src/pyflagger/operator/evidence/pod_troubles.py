"""The reasons why pods are not ready, from their status: not scheduled, image not pulled, crashing containers.

flagger asks when a canary or primary has waited for a while. It does not watch pods, so a release without problems
never lists them. Without permission to list pods, flagger reports no reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from pyflagger.core.situation import Trouble
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.resources import PODS
from pyflagger.objects import Obj, part

PODS_MAX = 50
"""The maximum number of pods to list. In a large rollout, the first ones are representative."""

TEXT_MAX = 200
STARTING = ("ContainerCreating", "PodInitializing")
PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


async def find_trouble(client: Client, workload: Obj | None) -> Trouble:
    """The most frequent problem of the pods that a workload selects. Empty if pods cannot be listed."""
    selector = _selector(part(part(workload or {}, "spec"), "selector"))
    if workload is None or not selector:
        return Trouble()
    query = {"labelSelector": selector, "limit": str(PODS_MAX)}
    try:
        found = await client.call("GET", PODS.path(workload["metadata"].get("namespace", "")), query=query)
    except ApiError:
        return Trouble()
    return Trouble(trouble_of(found.get("items") or ()))


def trouble_of(pods: Iterator[Obj] | list[Obj] | tuple[Obj, ...]) -> str:
    """For example `2 pods: container app is in CrashLoopBackOff (exit code 1)`. Empty if no pod has a reason."""
    found = Counter(text for pod in pods if (text := _of_pod(pod)))
    if not found:
        return ""
    text, count = found.most_common(1)[0]
    return f"{count} {'pod' if count == 1 else 'pods'}: {text}"


def _selector(selector: Mapping[str, Mapping[str, str]]) -> str:
    """The label selector of `matchLabels`, which is all that targets and primaries use."""
    return ",".join(f"{label}={value}" for label, value in (selector.get("matchLabels") or {}).items())


def _of_pod(pod: Obj) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return ""
    status = part(pod, "status")
    for kind, key in (("init container", "initContainerStatuses"), ("container", "containerStatuses")):
        for container in status.get(key) or ():
            if text := _of_container(container):
                return f"{kind} {container.get('name')} {text}"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"cannot be scheduled: {condition.get('message') or condition.get('reason')}"[:TEXT_MAX]
    return ""


def _of_container(container: Obj) -> str:
    """The reason why a container waits. `ContainerCreating` is not a problem."""
    state = part(container, "state")
    waiting, ended = part(state, "waiting"), part(state, "terminated")
    reason = waiting.get("reason") or ""
    if reason in PULLING:
        return f"cannot pull image {container.get('image')}"
    if reason == "CrashLoopBackOff" or ended.get("exitCode"):
        last = ended or part(part(container, "lastState"), "terminated")
        code = f" (exit code {last['exitCode']})" if "exitCode" in last else ""
        return f"is in CrashLoopBackOff{code}" if reason else f"ended{code}"
    if reason and reason not in STARTING:
        return f"is in {reason}: {waiting.get('message') or ''}".rstrip(": ")[:TEXT_MAX]
    return ""
