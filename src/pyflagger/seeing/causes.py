"""Why a workload is not ready, from its pods, ReplicaSets, autoscalers and Events. Called by `explain`.

A table of small functions. None of them guesses: a clue is an object's own words, or a count. The first clue is the
cause to remove first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pyflagger.api.facts import Fault
from pyflagger.objects import Obj, Ref, controller_of, part
from pyflagger.seeing import raw
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import Cause
from pyflagger.seeing.pods import is_current, is_owned
from pyflagger.seeing.words import age

PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
CONFIG = "CreateContainerConfigError"
TEXT_MAX = 300


class Scene(NamedTuple):
    """A workload with its pods of the current revision, its ReplicaSets and the Events of all of them.

    `now`: the server's time. `since`: when the phase of the Canary began.
    """

    obj: Obj
    autoscaler: Obj | None
    sets: tuple[Obj, ...]
    pods: tuple[Obj, ...]
    events: tuple[Obj, ...]
    now: float = 0.0
    since: float = 0.0

    @property
    def name(self) -> str:
        """Kind and name, as people write them."""
        return f"{self.obj['kind'].lower()}/{self.obj['metadata']['name']}"

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.obj["metadata"]["namespace"])


def scene(look: Look, ref: Ref, autoscaler: Ref | None) -> Scene | None:
    """The scene of a workload, None if it does not exist."""
    obj = look.get(ref)
    if obj is None:
        return None
    sets = tuple(each for each in look.sets if is_owned(each, obj))
    owners = {each["metadata"]["uid"] for each in sets if is_current(each, obj)} | {obj["metadata"]["uid"]}
    pods = tuple(each for each in look.pods if (controller_of(each) or {}).get("uid") in owners)
    uids = owners | {each["metadata"]["uid"] for each in pods}
    events = tuple(each for each in look.events if part(each, "involvedObject").get("uid") in uids)
    since = raw.time(part(look.canary, "status"), "lastTransitionTime") or 0.0
    return Scene(obj, look.get(autoscaler), sets, pods, events, look.now, since)


def causes_of(where: Scene) -> Iterator[Cause]:
    """Every cause why the workload is not ready, the first to remove first."""
    for clue in CLUES:
        yield from clue(where)


# The workload -------------------------------------------------------------------------------------------------------


def _paused(where: Scene) -> Iterator[Cause]:
    if part(where.obj, "spec").get("paused") is True:
        yield Cause(
            "target-paused",
            f"{where.name} is paused: its controller does not roll out the new pod template",
            Fault.CLUSTER,
            ("spec.paused is true",),
            "Resume it.",
            (f"kubectl rollout resume {where.name} -n {where.namespace}",),
        )


def _refused(where: Scene) -> Iterator[Cause]:
    """The API server refuses to create pods: a quota, or an admission policy. The ReplicaSet has its words."""
    for each in (where.obj, *where.sets):
        for kind, condition in raw.conditions(part(each, "status")):
            if kind == "ReplicaFailure" and raw.text(condition, "status") == "True":
                words = raw.text(condition, "message")[:TEXT_MAX]
                todo = (
                    "Raise the quota, or ask for less."
                    if "quota" in words
                    else "Change the pod template or the policy."
                )
                yield Cause(
                    "pods-refused",
                    f"the API server refuses pods of {where.name}: {words}",
                    Fault.CLUSTER,
                    (f"{each['kind']} {each['metadata']['name']}: ReplicaFailure",),
                    todo,
                )
                return


def _held_by_autoscaler(where: Scene) -> Iterator[Cause]:
    scaler = where.autoscaler
    if scaler is None:
        return
    meta, spec = scaler["metadata"], part(scaler, "spec")
    notes = raw.texts(meta, "annotations")
    name = f"{scaler['kind'].lower()}/{meta['name']}"
    key = next((each for each in notes if each.startswith("autoscaling.keda.sh/paused")), "")
    if key and notes[key] != "false":
        yield Cause(
            "autoscaler-paused",
            f"{name} is paused by its annotation {key}={notes[key]}",
            Fault.CLUSTER,
            (),
            "Remove the annotation.",
            (f"kubectl annotate {name} -n {where.namespace} {key}-",),
        )
    most, wanted = spec.get("maxReplicas", spec.get("maxReplicaCount")), part(where.obj, "spec").get("replicas")
    limited = raw.holding(part(scaler, "status")).get("ScalingLimited", {})
    if isinstance(most, int) and wanted == most and raw.text(limited, "reason") == "TooManyReplicas":
        yield Cause(
            "autoscaler-max",
            f"{name} holds {where.name} at its maximum of {most}",
            Fault.CLUSTER,
            (raw.text(limited, "message"),),
            "Raise its maximum.",
            (f"kubectl edit {name} -n {where.namespace}",),
        )


def _scaled(where: Scene) -> Iterator[Cause]:
    """Another client scales the workload to zero, by its managed fields or the Events of its controller."""
    current = [each["metadata"]["name"] for each in where.sets if is_current(each, where.obj)]
    downs = [each for each in where.events if _scales_down(each, current) and (_at(each) or 0.0) >= where.since]
    by = _scaler(where.obj) if part(where.obj, "spec").get("replicas") == 0 else ""
    if not by and not downs:
        return
    times = sum(raw.number(each, "count") or 1 for each in downs)
    yield Cause(
        "scaled-by-other",
        f"{where.name} is scaled to 0 by {by or 'another client'}",
        Fault.CLUSTER,
        (f"its controller scaled it to 0 {times} times in this phase",) if downs else (),
        f"Stop {by or 'this client'}: the release needs its pods.",
        (f"kubectl get {where.name} -n {where.namespace} -o yaml --show-managed-fields",),
    )


def _scales_down(event: Obj, names: Sequence[str]) -> bool:
    words = raw.text(event, "message")
    return any(words.startswith(f"Scaled down replica set {name} to 0") for name in names)


def _at(event: Obj) -> float | None:
    return raw.time(event, "lastTimestamp") or raw.time(event, "eventTime")


def _scaler(obj: Obj) -> str:
    """The last client other than flagger that set the replicas; empty if there is none."""
    entries = [each for each in raw.items(obj["metadata"], "managedFields") if _sets_replicas(each)]
    last = max(entries, key=lambda each: raw.text(each, "time"), default={})
    by = raw.text(last, "manager")
    return "" if by == "flagger" else by


def _sets_replicas(entry: Mapping[str, Any]) -> bool:
    return "f:replicas" in part(part(entry, "fieldsV1"), "f:spec")


# Pods ---------------------------------------------------------------------------------------------------------------


def _unscheduled(where: Scene) -> Iterator[Cause]:
    for pod in where.pods:
        for kind, condition in raw.conditions(part(pod, "status")):
            if kind == "PodScheduled" and raw.text(condition, "status") == "False":
                words = raw.text(condition, "message")[:TEXT_MAX] or raw.text(condition, "reason")
                code = "config-missing" if "persistentvolumeclaim" in words else "unschedulable"
                yield Cause(
                    code,
                    f"pod {_name(pod)} cannot be scheduled: {words}",
                    Fault.CLUSTER,
                    (),
                    UNSCHEDULED[code],
                    (f"kubectl describe pod {_name(pod)} -n {where.namespace}",),
                )
                return


UNSCHEDULED: Mapping[str, str] = {
    "config-missing": "Create the PersistentVolumeClaim, or correct its name in the pod template.",
    "unschedulable": "Correct the pod's node selector, affinity, tolerations or requests, or add nodes.",
}


def _containers(where: Scene, key: str = "containerStatuses") -> Iterator[tuple[Obj, Mapping[str, Any]]]:
    for pod in where.pods:
        for container in raw.items(part(pod, "status"), key):
            yield pod, container


def _unpulled(where: Scene) -> Iterator[Cause]:
    for pod, container in (*_containers(where, "initContainerStatuses"), *_containers(where)):
        waiting = part(part(container, "state"), "waiting")
        if raw.text(waiting, "reason") in PULLING:
            words = raw.text(waiting, "message")[:TEXT_MAX]
            image, name = raw.text(container, "image"), raw.text(container, "name")
            yield Cause(
                "image-pull",
                f"pod {_name(pod)} cannot pull {image}",
                Fault.MANIFEST,
                tuple(filter(None, (words,))),
                "Correct the image, or the credentials of its registry.",
                (f"kubectl set image {where.name} {name}=IMAGE -n {where.namespace}",),
            )
            return


def _unconfigured(where: Scene) -> Iterator[Cause]:
    for pod, container in (*_containers(where, "initContainerStatuses"), *_containers(where)):
        waiting = part(part(container, "state"), "waiting")
        if raw.text(waiting, "reason") == CONFIG:
            words = raw.text(waiting, "message")[:TEXT_MAX]
            yield Cause(
                "config-missing",
                f"pod {_name(pod)} lacks a configuration: {words}",
                Fault.MANIFEST,
                (),
                "Create the ConfigMap or Secret, or correct the reference.",
            )
            return


def _crashing(where: Scene) -> Iterator[Cause]:
    for pod, container in (*_containers(where, "initContainerStatuses"), *_containers(where)):
        ended = _end(container)
        if ended is None:
            continue
        name, restarts = raw.text(container, "name"), raw.number(container, "restartCount")
        what, todo = _crash(where, pod, name, ended)
        yield Cause(
            "crash-loop",
            f"container {name} of pod {_name(pod)} {what}, {restarts} restarts",
            Fault.MANIFEST,
            (*filter(None, (raw.text(ended, "message")[:TEXT_MAX],)), *_probes(where, pod)),
            todo,
            (f"kubectl logs {_name(pod)} -c {name} --previous -n {where.namespace}",),
        )
        return


def _end(container: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How a container that is not ready ended; None if it did not, or if a container that may end ended well."""
    state, restarts = part(container, "state"), raw.number(container, "restartCount")
    ended = part(state, "terminated") or part(part(container, "lastState"), "terminated")
    looping = raw.text(part(state, "waiting"), "reason") == "CrashLoopBackOff"
    failed = bool(ended.get("exitCode")) and bool(part(state, "terminated") or restarts)
    return ended if ended and container.get("ready") is not True and (looping or failed) else None


def _crash(where: Scene, pod: Obj, name: str, ended: Mapping[str, Any]) -> tuple[str, str]:
    """How a container ended, and what to do about it."""
    why, code = raw.text(ended, "reason"), raw.number(ended, "exitCode")
    if why == "OOMKilled":
        limit = raw.text(part(part(_spec_of(pod, name), "resources"), "limits"), "memory")
        return f"ran out of memory (OOMKilled){f', its limit is {limit}' if limit else ''}", "Raise its memory limit."
    if why in ("StartError", "ContainerCannotRun"):
        words = raw.text(ended, "message").removesuffix(": unknown").rpartition("process: ")[2][:TEXT_MAX]
        return f"cannot start: {words}", "Correct its command, or the image."
    if _killed(where, pod, name):
        return "is killed by its liveness probe", "Correct the liveness probe, or release a corrected revision."
    return f"exits with {code}", "Release a corrected revision."


def _killed(where: Scene, pod: Obj, name: str) -> bool:
    """Whether the kubelet said that it kills a container for its liveness probe."""
    told = (raw.text(each, "message") for each in _events(where, pod) if raw.text(each, "reason") == "Killing")
    return any(f"Container {name} failed liveness probe" in each for each in told)


def _initializing(where: Scene) -> Iterator[Cause]:
    for pod, container in _containers(where, "initContainerStatuses"):
        running = part(part(container, "state"), "running")
        if running:
            name, since = raw.text(container, "name"), raw.time(running, "startedAt")
            lasted = f"has run for {age(where.now - since)}" if since is not None else "runs"
            yield Cause(
                "init-waiting",
                f"init container {name} of pod {_name(pod)} {lasted} and has not ended",
                Fault.MANIFEST,
                (),
                "Look at its log.",
                (f"kubectl logs {_name(pod)} -c {name} -n {where.namespace}",),
            )
            return


def _unready(where: Scene) -> Iterator[Cause]:
    for pod, container in _containers(where):
        if part(part(container, "state"), "running") and container.get("ready") is False:
            name = raw.text(container, "name")
            said = next((each for each in _probes(where, pod) if each.startswith(READINESS)), "")
            asked = _probe(part(_spec_of(pod, name), "readinessProbe"))
            failed = f"its readiness probe fails: {said.removeprefix(READINESS)}" if said else "it is not ready"
            yield Cause(
                "unready",
                f"container {name} of pod {_name(pod)} runs, but {failed}",
                Fault.MANIFEST,
                (f"its readiness probe asks {asked}",) if asked else (),
                "Check its readiness probe and its log.",
                (f"kubectl logs {_name(pod)} -c {name} -n {where.namespace}",),
            )
            return


READINESS = "Readiness probe failed: "


def _probe(probe: Mapping[str, Any]) -> str:
    """What a probe asks for, such as `:9898/readyz`."""
    get, tcp = part(probe, "httpGet"), part(probe, "tcpSocket")
    if get:
        return f":{get.get('port')}{raw.text(get, 'path') or '/'}"
    return f"port {tcp.get('port')}" if tcp else ""


def _spec_of(pod: Obj, name: str) -> Mapping[str, Any]:
    """The spec of a container."""
    found = (each for each in raw.items(part(pod, "spec"), "containers") if raw.text(each, "name") == name)
    return next(found, {})


def _events(where: Scene, pod: Obj) -> Iterator[Obj]:
    uid = pod["metadata"].get("uid")
    return (each for each in where.events if part(each, "involvedObject").get("uid") == uid)


def _probes(where: Scene, pod: Obj) -> tuple[str, ...]:
    """What the kubelet said last about failed probes of a pod."""
    told = (each for each in _events(where, pod) if raw.text(each, "reason") == "Unhealthy")
    return tuple(raw.text(each, "message")[:TEXT_MAX] for each in told)[-1:]


def _name(pod: Obj) -> str:
    return str(pod["metadata"]["name"])


CLUES: tuple[Callable[[Scene], Iterator[Cause]], ...] = (
    _paused,
    _refused,
    _held_by_autoscaler,
    _scaled,
    _unscheduled,
    _unpulled,
    _unconfigured,
    _crashing,
    _initializing,
    _unready,
)
