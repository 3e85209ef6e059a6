"""The defaults of a real API server, kind by kind: the fields that hashes and comparisons include.

Pure functions from object to object, in the table `DEFAULTS`. `rules` calls them after decoding. They change nothing in
place, and return the same object when it lacks nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from pyflagger.objects import Obj

Default = Callable[[Obj], Obj]

_PROBE: Obj = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_CONTAINER: Obj = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_POD: Obj = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_ROLLING: Obj = {"maxUnavailable": "25%", "maxSurge": "25%"}
# Admission adds these to pods, but not to pod templates.
_ADMITTED: Obj = {
    "enableServiceLinks": True,
    "serviceAccountName": "default",
    "serviceAccount": "default",
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
}


def fill(obj: Obj, missing: Mapping[str, Any]) -> Obj:
    """`obj` with the keys of `missing` that it lacks."""
    lacking = {key: value for key, value in missing.items() if key not in obj}
    return {**obj, **lacking} if lacking else obj


def at(obj: Obj, path: str, change: Default, *, make: bool = False) -> Obj:
    """`obj` with `change` applied at a dotted path. `make` creates an empty object there when it is missing."""
    key, _, rest = path.partition(".")
    child = obj.get(key)
    if child is None:
        if not make:
            return obj
        child = {}
    if not isinstance(child, dict):
        return obj
    new = at(child, rest, change, make=make) if rest else change(child)
    return obj if new is child and key in obj else {**obj, key: new}


def each(obj: Obj, key: str, change: Default) -> Obj:
    """`obj` with `change` applied to every object of a list."""
    items = obj.get(key)
    if not isinstance(items, list):
        return obj
    new = [change(item) for item in items]
    return obj if all(a is b for a, b in zip(new, items, strict=True)) else {**obj, key: new}


def _pull_policy(image: str) -> str:
    name, _, tag = image.rpartition("/")[2].partition("@")[0].partition(":")
    digest = "@" in image
    return "Always" if name and tag in ("", "latest") and not digest else "IfNotPresent"


def _handler(handler: Obj) -> Obj:
    handler = at(handler, "httpGet", lambda get: fill(get, {"path": "/", "scheme": "HTTP"}))
    return at(handler, "grpc", lambda grpc: fill(grpc, {"service": ""}))


def _container(container: Obj) -> Obj:
    container = fill(container, _CONTAINER | {"imagePullPolicy": _pull_policy(container.get("image", ""))})
    container = each(container, "ports", lambda port: fill(port, {"protocol": "TCP"}))
    container = each(
        container, "env", lambda env: at(env, "valueFrom.fieldRef", lambda ref: fill(ref, {"apiVersion": "v1"}))
    )
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        container = at(container, probe, lambda found: _handler(fill(found, _PROBE)))
    for hook in ("postStart", "preStop"):
        container = at(container, f"lifecycle.{hook}", _handler)
    limits = (container.get("resources") or {}).get("limits")
    if limits:
        container = at(container, "resources.requests", lambda requests: fill(requests, limits), make=True)
    return container


def _volume(volume: Obj) -> Obj:
    if volume.keys() == {"name"}:
        return {**volume, "emptyDir": {}}
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        volume = at(volume, source, lambda found: fill(found, {"defaultMode": 420}))
    return at(volume, "hostPath", lambda path: fill(path, {"type": ""}))


def _pod_spec(spec: Obj) -> Obj:
    spec = fill(spec, _POD)
    for key in ("containers", "initContainers"):
        spec = each(spec, key, _container)
    spec = each(spec, "volumes", _volume)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    return fill(spec, {"serviceAccount": account, "serviceAccountName": account}) if account else spec


def _pod(obj: Obj) -> Obj:
    return at(obj, "spec", lambda spec: fill(_pod_spec(spec), _ADMITTED))


def _template(spec: Obj) -> Obj:
    return at(spec, "template.spec", _pod_spec)


def _rolling(strategy: Obj, defaults: Obj) -> Obj:
    strategy = fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] != "RollingUpdate":
        return strategy
    return at(strategy, "rollingUpdate", lambda rolling: fill(rolling, defaults), make=True)


def _deployment(spec: Obj) -> Obj:
    spec = fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    return _template(at(spec, "strategy", lambda found: _rolling(found, _ROLLING), make=True))


def _daemonset(spec: Obj) -> Obj:
    spec = fill(spec, {"revisionHistoryLimit": 10})
    return _template(
        at(spec, "updateStrategy", lambda found: _rolling(found, {"maxUnavailable": 1, "maxSurge": 0}), make=True)
    )


def _statefulset(spec: Obj) -> Obj:
    spec = fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"})
    spec = fill(spec, {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}})
    return _template(at(spec, "updateStrategy", lambda found: _rolling(found, {"partition": 0}), make=True))


def _job(spec: Obj) -> Obj:
    missing = {"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
    return _template(fill(spec, missing))


def _cronjob(spec: Obj) -> Obj:
    missing = {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    return at(fill(spec, missing), "jobTemplate.spec", _template)


def _service(spec: Obj) -> Obj:
    spec = fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    spec = each(spec, "ports", lambda port: fill(port, {"protocol": "TCP", "targetPort": port.get("port")}))
    if spec["type"] == "ExternalName":
        return spec
    spec = fill(spec, {"internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec = fill(spec, {"externalTrafficPolicy": "Cluster"})
    return spec


def _autoscaler(spec: Obj) -> Obj:
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    return fill(spec, {"minReplicas": 1, "metrics": [cpu]})


def _encoded(obj: Obj) -> Obj:
    """A Secret accepts plain text under `stringData` and returns it only encoded, under `data`."""
    if "stringData" not in obj:
        return obj
    plain = {key: b64encode(value.encode()).decode() for key, value in obj["stringData"].items()}
    kept = {key: value for key, value in obj.items() if key != "stringData"}
    return {**kept, "data": {**kept.get("data", {}), **plain}}


def _event(obj: Obj) -> Obj:
    return fill(obj, {"reportingComponent": (obj.get("source") or {}).get("component", ""), "reportingInstance": ""})


def _endpoint_slice(obj: Obj) -> Obj:
    return each(obj, "ports", lambda port: fill(port, {"name": "", "protocol": "TCP"}))


_RBAC: Obj = {"apiGroup": "rbac.authorization.k8s.io"}


def _subject(subject: Obj) -> Obj:
    return fill(subject, _RBAC) if subject.get("kind") in ("User", "Group") else subject


def _role_ref(obj: Obj) -> Obj:
    return each(at(obj, "roleRef", lambda ref: fill(ref, _RBAC)), "subjects", _subject)


def _names(names: Obj) -> Obj:
    kind = names.get("kind", "")
    return fill(names, {"singular": kind.lower(), "listKind": f"{kind}List"})


def _crd(spec: Obj) -> Obj:
    return at(fill(spec, {"conversion": {"strategy": "None"}}), "names", _names)


def _namespace(obj: Obj) -> Obj:
    name = {"kubernetes.io/metadata.name": obj["metadata"].get("name", "")}
    obj = at(obj, "spec", lambda spec: fill(spec, {"finalizers": ["kubernetes"]}), make=True)
    return at(obj, "metadata.labels", lambda labels: fill(labels, name), make=True)


def _of_spec(change: Default, *, make: bool = False) -> Default:
    return lambda obj: at(obj, "spec", change, make=make)


DEFAULTS: Mapping[tuple[str, str], Default] = {
    ("", "Namespace"): _namespace,
    ("", "Pod"): _pod,
    ("", "ReplicationController"): _of_spec(lambda spec: _template(fill(spec, {"replicas": 1}))),
    ("", "Service"): _of_spec(_service, make=True),
    ("", "Secret"): lambda obj: fill(_encoded(obj), {"type": "Opaque"}),
    ("", "Event"): _event,
    ("", "PersistentVolumeClaim"): _of_spec(lambda spec: fill(spec, {"volumeMode": "Filesystem"})),
    ("apps", "Deployment"): _of_spec(_deployment),
    ("apps", "ReplicaSet"): _of_spec(lambda spec: _template(fill(spec, {"replicas": 1}))),
    ("apps", "DaemonSet"): _of_spec(_daemonset),
    ("apps", "StatefulSet"): _of_spec(_statefulset),
    ("batch", "Job"): _of_spec(_job),
    ("batch", "CronJob"): _of_spec(_cronjob),
    ("autoscaling", "HorizontalPodAutoscaler"): _of_spec(_autoscaler),
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("networking.k8s.io", "NetworkPolicy"): _of_spec(lambda spec: fill(spec, {"policyTypes": ["Ingress"]}), make=True),
    ("rbac.authorization.k8s.io", "RoleBinding"): _role_ref,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _role_ref,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _of_spec(_crd),
}  # fmt: skip
