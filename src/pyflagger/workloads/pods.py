"""Pods: the reasons why they are not ready, by their status, and the images of their templates.

Used by `operator.evidence`, `operator.observe` and `seeing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pyflagger.api.published import IMAGES_MAX, ReleaseImage
from pyflagger.objects import Obj, part

TEXT_MAX = 200
STARTING = ("ContainerCreating", "PodInitializing")
PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


def trouble_of(pods: Iterable[Obj]) -> str:
    """For example `2 pods: container app is in CrashLoopBackOff (exit code 1)`. Empty if no pod has a reason."""
    found = Counter(text for pod in pods if (text := trouble_of_pod(pod)))
    if not found:
        return ""
    text, count = found.most_common(1)[0]
    return f"{count} {'pod' if count == 1 else 'pods'}: {text}"


def pod_of(workload: Obj | None) -> Obj:
    """The pod spec of the template, or empty for kinds without one."""
    return part(part(part(workload or {}, "spec"), "template"), "spec")


def images(spec: Obj) -> dict[str, str]:
    """The images of a pod spec by container, init containers first."""
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    return {each.get("name") or "": each.get("image") or "" for each in containers}


def changed_images(old: Obj, new: Obj, most: int = IMAGES_MAX) -> tuple[ReleaseImage, ...]:
    """The images in which two pod specs differ, `most` of them; none without an old one."""
    before, after = images(old), images(new)
    found = (ReleaseImage(name, before.get(name, ""), image) for name, image in after.items())
    return tuple(each for each in found if each.old != each.new)[:most] if before else ()


def label_selector(workload: Obj) -> str:
    """The label selector of `matchLabels`, which is all that targets and primaries use."""
    labels = part(part(workload, "spec"), "selector").get("matchLabels") or {}
    return ",".join(f"{label}={value}" for label, value in labels.items())


def trouble_of_pod(pod: Obj) -> str:
    """The problem of one pod, such as `container app cannot pull image app:2`. Empty if it has no reason."""
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
