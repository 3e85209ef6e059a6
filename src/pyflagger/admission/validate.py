"""The API server's validation, kind by kind, with its messages.

Pure: generators of `Cause`s, in the table `VALIDATE`. `rules` calls them with the object after defaults and, on an
update, with the old object. The table covers the rules that users meet. A kind without an entry has no rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyflagger.admission.errors import Cause, required, unsupported, wrong
from pyflagger.objects import Obj

Validate = Callable[[Obj, Obj | None], Iterator[Cause]]

_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_IMMUTABLE = "field is immutable"
_EVENT_NEEDS = {
    "reportingComponent": "reportingController",
    "reportingInstance": "reportingInstance",
    "action": "action",
    "reason": "reason",
}
"""The fields that an Event with `eventTime` must have, and the API server's names for them."""

_EVENT_MESSAGE_MAX = 1024


def _same(new: Obj, old: Obj | None, path: str) -> Iterator[Cause]:
    """The value at a path of the spec must not change."""
    if old is None:
        return
    now, was = (obj.get("spec", {}).get(path) for obj in (new, old))
    if now != was:
        yield wrong(f"spec.{path}", now, _IMMUTABLE)


def _port(value: Any, path: str) -> Iterator[Cause]:
    if isinstance(value, int) and not 1 <= value <= 65535:
        yield wrong(path, value, "must be between 1 and 65535, inclusive")
    if isinstance(value, str) and value:
        yield from (wrong(path, value, text) for text in _port_name_problems(value))


def _port_name_problems(name: str) -> Iterator[str]:
    """The problems of a port's name, in the real server's words and order."""
    if len(name) > 15:
        yield "must be no more than 15 characters"
    if not re.fullmatch(r"[-a-z0-9]+", name):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search(r"[a-z]", name):
        yield "must contain at least one letter (a-z)"
    if "--" in name:
        yield "must not contain consecutive hyphens"
    if name.startswith("-") or name.endswith("-"):
        yield "must not begin or end with a hyphen"


def _pod_spec(spec: Obj, path: str) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    for key in ("containers", "initContainers"):
        names: set[str] = set()
        for index, container in enumerate(spec.get(key) or ()):
            yield from _container(container, f"{path}.{key}[{index}]", volumes)
            name = container.get("name", "")
            if name in names:
                yield Cause(f"{path}.{key}[{index}].name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
            names.add(name)


def _container(container: Obj, path: str, volumes: set[Any]) -> Iterator[Cause]:
    name = container.get("name", "")
    if not name:
        yield required(f"{path}.name")
    elif not _DNS_LABEL.match(name) or len(name) > 63:
        yield wrong(
            f"{path}.name", name, "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'"
        )
    if not container.get("image"):
        yield required(f"{path}.image")
    for index, port in enumerate(container.get("ports") or ()):
        at = f"{path}.ports[{index}]"
        if "containerPort" not in port:
            yield required(f"{at}.containerPort")
        yield from _port(port.get("containerPort"), f"{at}.containerPort")
        if port.get("name"):
            yield from _port(port["name"], f"{at}.name")
        if port.get("protocol") not in _PROTOCOLS:
            yield unsupported(f"{at}.protocol", port.get("protocol"), _PROTOCOLS)
    for index, env in enumerate(container.get("env") or ()):
        if not env.get("name"):
            yield required(f"{path}.env[{index}].name")
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            text = f'Not found: "{mount.get("name", "")}"'
            yield Cause(f"{path}.volumeMounts[{index}].name", "FieldValueNotFound", text)
    yield from _resources(container.get("resources") or {}, f"{path}.resources")


def _resources(resources: Obj, path: str) -> Iterator[Cause]:
    pattern = re.compile(r"^[+-]?[0-9.]+([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$")
    for key in ("limits", "requests"):
        for name, value in (resources.get(key) or {}).items():
            if not pattern.match(value):
                text = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                yield wrong(f"{path}.{key}[{name}]", value, text)


def _pod(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    if old is None:
        yield from _pod_spec(obj.get("spec") or {}, "spec")
        return
    changed = _frozen_pod(obj) != _frozen_pod(old)
    if changed:
        text = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
            "previously negative)"
        )
        yield Cause("spec", "FieldValueForbidden", text)


def _frozen_pod(obj: Obj) -> Obj:
    """The part of a pod's spec that must not change after creation."""
    loose = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName", "schedulingGates")
    spec = {key: value for key, value in (obj.get("spec") or {}).items() if key not in loose}
    for key in ("containers", "initContainers"):
        spec[key] = [{k: v for k, v in container.items() if k != "image"} for container in spec.get(key) or ()]
    return spec


def _workload(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    selector = spec.get("selector") or {}
    template = spec.get("template") or {}
    if not (selector.get("matchLabels") or selector.get("matchExpressions")):
        yield (
            required("spec.selector")
            if "selector" not in spec
            else wrong("spec.selector", "{}", "empty selector is invalid for deployment")
        )
    elif not _selects(selector, (template.get("metadata") or {}).get("labels") or {}):
        labels = (template.get("metadata") or {}).get("labels") or {}
        yield wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _same(obj, old, "selector")
    for key in ("replicas", "revisionHistoryLimit", "minReadySeconds", "progressDeadlineSeconds"):
        if isinstance(spec.get(key), int) and spec[key] < 0:
            yield wrong(f"spec.{key}", spec[key], "must be greater than or equal to 0")
    yield from _pod_spec(template.get("spec") or {}, "spec.template.spec")
    policy = (template.get("spec") or {}).get("restartPolicy", "Always")
    if policy != "Always":
        yield unsupported("spec.template.spec.restartPolicy", policy, ["Always"])
    yield from _strategy(spec)


def _selects(selector: Obj, labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())


def _strategy(spec: Obj) -> Iterator[Cause]:
    strategy = spec.get("strategy")
    if strategy is None:
        return
    if strategy.get("type") not in ("Recreate", "RollingUpdate"):
        yield unsupported("spec.strategy.type", strategy.get("type"), ("Recreate", "RollingUpdate"))
    elif strategy["type"] == "Recreate" and strategy.get("rollingUpdate") is not None:
        text = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        yield Cause("spec.strategy.rollingUpdate", "FieldValueForbidden", text)
    rolling = strategy.get("rollingUpdate") or {}
    if str(rolling.get("maxUnavailable")) in ("0", "0%") and str(rolling.get("maxSurge")) in ("0", "0%"):
        yield wrong("spec.strategy.rollingUpdate.maxUnavailable", 0, "may not be 0 when `maxSurge` is 0")


def _service(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    headless = spec.get("clusterIP") == "None"
    external = spec.get("type") == "ExternalName"
    if not spec.get("ports") and not headless and not external:
        yield required("spec.ports")
    if external and not spec.get("externalName"):
        yield required("spec.externalName")
    names: set[str] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        path, name = f"spec.ports[{index}]", port.get("name", "")
        if "port" not in port:
            yield required(f"{path}.port")
        yield from _port(port.get("port"), f"{path}.port")
        yield from _port(port.get("targetPort"), f"{path}.targetPort")
        if not name and len(spec["ports"]) > 1:
            yield required(f"{path}.name")
        elif name in names:
            yield Cause(f"{path}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
        names.add(name)
    was = (old or {}).get("spec") or {}
    if (
        was.get("clusterIP")
        and not external
        and was.get("type") != "ExternalName"
        and spec.get("clusterIP") != was["clusterIP"]
    ):
        yield wrong("spec.clusterIPs[0]", spec.get("clusterIP"), "may not change once set")


def _ingress(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield wrong("spec", "{}", "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend"):
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    for number, rule in enumerate(spec.get("rules") or ()):
        if "http" in rule and not rule["http"].get("paths"):
            yield required(f"spec.rules[{number}].http.paths")
        for index, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            yield from _ingress_path(path, f"spec.rules[{number}].http.paths[{index}]")


def _ingress_path(path: Obj, at: str) -> Iterator[Cause]:
    kind = path.get("pathType")
    if kind is None:
        yield required(f"{at}.pathType", "pathType must be specified")
    elif kind not in _PATH_TYPES:
        yield unsupported(f"{at}.pathType", kind, _PATH_TYPES)
    elif kind != "ImplementationSpecific" and not path.get("path", "").startswith("/"):
        yield wrong(f"{at}.path", path.get("path", ""), "must be an absolute path")
    yield from _backend(path.get("backend") or {}, f"{at}.backend")


def _backend(backend: Obj, path: str) -> Iterator[Cause]:
    service = backend.get("service")
    if service is None:
        if backend.get("resource") is None:
            yield required(
                path,
                "exactly one of `service` or `resource` must be specified" if backend else "must specify a backend",
            )
        return
    if not service.get("name"):
        yield required(f"{path}.service.name")
    port = service.get("port") or {}
    if not port.get("name") and not port.get("number"):
        yield required(f"{path}.service.port", "port name or number is required")


def _autoscaler(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if high < 1:
        yield wrong("spec.maxReplicas", high, "must be greater than 0")
    if low < 1:
        yield wrong("spec.minReplicas", low, "must be greater than or equal to 1")
    elif high >= 1 and high < low:
        yield wrong("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    for key in ("kind", "name"):
        if not (spec.get("scaleTargetRef") or {}).get(key):
            yield required(f"spec.scaleTargetRef.{key}")


def _configuration(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    if old and old.get("immutable"):
        for key in ("data", "binaryData"):
            if obj.get(key) != old.get(key):
                yield Cause(key, "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set")
    for key in obj.get("data") or {}:
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
            yield wrong(
                f"data[{key}]", key, "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            )


def _secret(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    yield from _configuration(obj, old)
    if old and obj.get("type") != old.get("type"):
        yield wrong("type", obj.get("type"), _IMMUTABLE)


def _event(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    about = obj.get("involvedObject") or {}
    where = about.get("namespace") or "default"
    if old is None and where != obj["metadata"].get("namespace") and about.get("namespace") is not None:
        yield wrong("involvedObject.namespace", about.get("namespace", ""), "does not match event.namespace")
    if obj.get("eventTime"):
        for key, field in _EVENT_NEEDS.items():
            if not obj.get(key):
                yield required(field)
        if len(obj.get("message", "").encode()) > _EVENT_MESSAGE_MAX:
            yield wrong("message", "", f"can have at most {_EVENT_MESSAGE_MAX} characters")


def _lease(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if "leaseDurationSeconds" in spec and spec["leaseDurationSeconds"] <= 0:
        yield wrong("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")
    if spec.get("leaseTransitions", 0) < 0:
        yield wrong("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0")


def _crd(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    names, versions = spec.get("names") or {}, spec.get("versions") or []
    wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if obj["metadata"].get("name") != wanted:
        yield wrong("metadata.name", obj["metadata"].get("name"), 'must be spec.names.plural+"."+spec.group')
    for key in ("group", "scope"):
        if not spec.get(key):
            yield required(f"spec.{key}")
    if spec.get("scope") not in (None, "", "Cluster", "Namespaced"):
        yield unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    for key in ("plural", "kind"):
        if not names.get(key):
            yield required(f"spec.names.{key}")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield wrong("spec.versions", "[]", "must have exactly one version marked as storage version")
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required")


VALIDATE: Mapping[tuple[str, str], Validate] = {
    ("", "ConfigMap"): _configuration,
    ("", "Event"): _event,
    ("", "Pod"): _pod,
    ("", "Secret"): _secret,
    ("", "Service"): _service,
    ("apps", "DaemonSet"): _workload,
    ("apps", "Deployment"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("apps", "StatefulSet"): _workload,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("coordination.k8s.io", "Lease"): _lease,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
}
