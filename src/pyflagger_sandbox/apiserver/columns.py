"""The printed columns of the built-in kinds for `kubectl get`.

Pure: a table of cells. Each cell is a function of the object and the current time. Kinds without an entry show their
name and age.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyflagger.admission.resource import Column
from pyflagger.admission.times import age, duration, epoch
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.selectors import look

Cell = Callable[[Obj, float], Any]
NONE, UNSET, UNKNOWN = "<none>", "<unset>", "<unknown>"


def at(path: str, otherwise: Any = "") -> Cell:
    """The value at a dotted path."""
    steps = tuple(path.split("."))

    def cell(obj: Obj, now: float) -> Any:
        value = look(obj, steps)
        return otherwise if value is None or value == "" else value

    return cell


def _age(obj: Obj, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


NAME = Column(
    "Name",
    lambda obj, now: obj["metadata"]["name"],
    format="name",
    description="Name must be unique within a namespace.",
)
AGE = Column(
    "Age",
    _age,
    description="CreationTimestamp is a timestamp representing the server time when this object was created.",
)


def _columns(
    *middle: tuple[str, Cell] | tuple[str, Cell, str], wide: tuple[tuple[str, Cell], ...] = (), aged: bool = True
) -> tuple[Column, ...]:
    own = [Column(item[0], item[1], item[2] if len(item) == 3 else "string") for item in middle]
    more = [Column(name, cell, priority=1) for name, cell in wide]
    return (NAME, *own, *([AGE] if aged else []), *more)


def _labels(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def _selector(path: str) -> Cell:
    def cell(obj: Obj, now: float) -> str:
        found = look(obj, path.split(".")) or {}
        return _labels(found.get("matchLabels") if "matchLabels" in found or "matchExpressions" in found else found)

    return cell


def _templates(key: str) -> Cell:
    """The values of a key in all containers of a workload's template, joined."""

    def cell(obj: Obj, now: float) -> str:
        containers = look(obj, ("spec", "template", "spec", "containers")) or []
        return ",".join(container.get(key, "") for container in containers)

    return cell


_TEMPLATE_COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("Containers", _templates("name")),
    ("Images", _templates("image")),
    ("Selector", _selector("spec.selector")),
)


def _pod_ready(obj: Obj, now: float) -> str:
    states = look(obj, ("status", "containerStatuses")) or []
    return f"{sum(bool(state.get('ready')) for state in states)}/{len(look(obj, ('spec', 'containers')) or [])}"


def _pod_status(obj: Obj, now: float) -> str:
    status = obj.get("status") or {}
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    for state in reversed(status.get("containerStatuses") or []):
        found = state.get("state") or {}
        stopped = found.get("terminated") or {}
        if (found.get("waiting") or {}).get("reason"):
            reason = found["waiting"]["reason"]
        elif stopped:
            reason = stopped.get("reason") or f"ExitCode:{stopped.get('exitCode', 0)}"
    return reason


def _pod_restarts(obj: Obj, now: float) -> Any:
    states = look(obj, ("status", "containerStatuses")) or []
    count = sum(state.get("restartCount", 0) for state in states)
    ends = [look(state, ("lastState", "terminated", "finishedAt")) for state in states]
    last = max((epoch(end) for end in ends if end), default=None)
    return f"{count} ({duration(now - last)} ago)" if count and last else str(count)


def _service_external(obj: Obj, now: float) -> str:
    spec = obj.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    given = look(obj, ("status", "loadBalancer", "ingress")) or []
    found = [item.get("ip") or item.get("hostname", "") for item in given] + list(spec.get("externalIPs") or [])
    return ",".join(found) or ("<pending>" if spec.get("type") == "LoadBalancer" else NONE)


def _service_ports(obj: Obj, now: float) -> str:
    ports = look(obj, ("spec", "ports")) or []
    shown = [
        f"{p.get('port')}{':' + str(p['nodePort']) if p.get('nodePort') else ''}/{p.get('protocol', 'TCP')}"
        for p in ports
    ]
    return ",".join(shown) or NONE


def _ready(ready: str, wanted: str) -> Cell:
    return lambda obj, now: f"{at(ready, 0)(obj, now)}/{at(wanted, 0)(obj, now)}"


def _ingress_hosts(obj: Obj, now: float) -> str:
    hosts = [rule["host"] for rule in look(obj, ("spec", "rules")) or [] if rule.get("host")]
    return ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "") or "*"


def _ingress_address(obj: Obj, now: float) -> str:
    given = look(obj, ("status", "loadBalancer", "ingress")) or []
    return ",".join(item.get("ip") or item.get("hostname", "") for item in given)


def _ingress_ports(obj: Obj, now: float) -> str:
    return "80, 443" if look(obj, ("spec", "tls")) else "80"


def _autoscaler_target(obj: Obj, now: float) -> str:
    ref = look(obj, ("spec", "scaleTargetRef")) or {}
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


def _autoscaler_metrics(obj: Obj, now: float) -> str:
    wanted, current = look(obj, ("spec", "metrics")) or [], look(obj, ("status", "currentMetrics")) or []
    shown = [_metric(metric, current[at] if at < len(current) else {}) for at, metric in enumerate(wanted)]
    return (", ".join(shown[:2]) + (f" + {len(shown) - 2} more..." if len(shown) > 2 else "")) or NONE


def _metric(metric: Obj, current: Obj) -> str:
    source = metric.get(metric.get("type", "")[:1].lower() + metric.get("type", "")[1:]) or {}
    target, now = source.get("target") or {}, look(current, (_source(metric), "current")) or {}
    name = f"{source['name']}: " if metric.get("type") == "Resource" else ""
    if "averageUtilization" in target:
        measured = now.get("averageUtilization")
        return f"{name}{UNKNOWN if measured is None else f'{measured}%'}/{target['averageUtilization']}%"
    measured = now.get("averageValue") or now.get("value") or UNKNOWN
    return f"{name}{measured}/{target.get('averageValue') or target.get('value')}"


def _source(metric: Obj) -> str:
    return str(metric.get("type", ""))[:1].lower() + str(metric.get("type", ""))[1:]


def _slice_ports(obj: Obj, now: float) -> str:
    return ",".join(str(port.get("port", "")) for port in obj.get("ports") or []) or UNSET


def _slice_endpoints(obj: Obj, now: float) -> str:
    found = [address for endpoint in obj.get("endpoints") or [] for address in endpoint.get("addresses") or []]
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or UNSET


def _endpoints(obj: Obj, now: float) -> str:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in obj.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
    ]
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or NONE


def _last_seen(obj: Obj, now: float) -> str:
    seen = look(obj, ("series", "lastObservedTime")) or obj.get("lastTimestamp") or obj.get("eventTime")
    return age(seen or obj["metadata"].get("creationTimestamp"), now)


def _about(obj: Obj, now: float) -> str:
    about = obj.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _job_status(obj: Obj, now: float) -> str:
    done = {
        condition["type"]
        for condition in look(obj, ("status", "conditions")) or []
        if condition.get("status") == "True"
    }
    return next((name for name in ("Complete", "Failed", "Suspended") if name in done), "Running")


def _job_duration(obj: Obj, now: float) -> str:
    begun, ended = look(obj, ("status", "startTime")), look(obj, ("status", "completionTime"))
    return duration((epoch(ended) if ended else now) - epoch(begun)) if begun else ""


def _node_status(obj: Obj, now: float) -> str:
    conditions = look(obj, ("status", "conditions")) or []
    ready = next((c.get("status") for c in conditions if c.get("type") == "Ready"), None)
    state = {"True": "Ready", None: "Unknown"}.get(ready, "NotReady")
    return f"{state},SchedulingDisabled" if look(obj, ("spec", "unschedulable")) else state


def _node_roles(obj: Obj, now: float) -> str:
    prefix = "node-role.kubernetes.io/"
    roles = sorted(key.removeprefix(prefix) for key in obj["metadata"].get("labels") or {} if key.startswith(prefix))
    return ",".join(roles) or NONE


def _node_address(obj: Obj, now: float) -> str:
    found = [item["address"] for item in look(obj, ("status", "addresses")) or [] if item.get("type") == "InternalIP"]
    return found[0] if found else NONE


def _count(*paths: str) -> Cell:
    return lambda obj, now: sum(len(obj.get(path) or {}) for path in paths)


_DESIRED: tuple[tuple[str, Cell, str], ...] = (
    ("Desired", at("spec.replicas", 0), "integer"),
    ("Current", at("status.replicas", 0), "integer"),
    ("Ready", at("status.readyReplicas", 0), "integer"),
)

COLUMNS: Mapping[tuple[str, str], tuple[Column, ...]] = {
    ("", "Pod"): _columns(
        ("Ready", _pod_ready),
        ("Status", _pod_status),
        ("Restarts", _pod_restarts),
        wide=(
            ("IP", at("status.podIP", NONE)),
            ("Node", at("spec.nodeName", NONE)),
            ("Nominated Node", at("status.nominatedNodeName", NONE)),
            ("Readiness Gates", lambda obj, now: NONE),
        ),
    ),
    ("", "Service"): _columns(
        ("Type", at("spec.type")),
        ("Cluster-IP", at("spec.clusterIP", NONE)),
        ("External-IP", _service_external),
        ("Port(s)", _service_ports),
        wide=(("Selector", _selector("spec.selector")),),
    ),
    ("", "Namespace"): _columns(("Status", at("status.phase"))),
    ("", "ConfigMap"): _columns(("Data", _count("data", "binaryData"), "integer")),
    ("", "Secret"): _columns(("Type", at("type")), ("Data", _count("data"), "integer")),
    ("", "ServiceAccount"): _columns(("Secrets", _count("secrets"), "integer")),
    ("", "Endpoints"): _columns(("Endpoints", _endpoints)),
    ("", "Node"): _columns(
        ("Status", _node_status),
        ("Roles", _node_roles),
        ("Version", at("status.nodeInfo.kubeletVersion")),
        wide=(("Internal-IP", _node_address),),
    ),
    ("", "Event"): (
        Column("Last Seen", _last_seen),
        Column("Type", at("type")),
        Column("Reason", at("reason")),
        Column("Object", _about),
        Column("Subobject", at("involvedObject.fieldPath"), priority=1),
        Column("Source", at("source.component"), priority=1),
        Column("Message", at("message")),
        Column("First Seen", lambda obj, now: age(obj.get("firstTimestamp") or obj.get("eventTime"), now), priority=1),
        Column("Count", lambda obj, now: str(obj.get("count", 1)), priority=1),
        Column("Name", lambda obj, now: obj["metadata"]["name"], priority=1),
    ),
    ("", "ReplicationController"): _columns(*_DESIRED, wide=_TEMPLATE_COLUMNS),
    ("apps", "Deployment"): _columns(
        ("Ready", _ready("status.readyReplicas", "spec.replicas")),
        ("Up-to-date", at("status.updatedReplicas", 0), "integer"),
        ("Available", at("status.availableReplicas", 0), "integer"),
        wide=_TEMPLATE_COLUMNS,
    ),
    ("apps", "ReplicaSet"): _columns(*_DESIRED, wide=_TEMPLATE_COLUMNS),
    ("apps", "StatefulSet"): _columns(
        ("Ready", _ready("status.readyReplicas", "spec.replicas")), wide=_TEMPLATE_COLUMNS[:2]
    ),
    ("apps", "DaemonSet"): _columns(
        ("Desired", at("status.desiredNumberScheduled", 0), "integer"),
        ("Current", at("status.currentNumberScheduled", 0), "integer"),
        ("Ready", at("status.numberReady", 0), "integer"),
        ("Up-to-date", at("status.updatedNumberScheduled", 0), "integer"),
        ("Available", at("status.numberAvailable", 0), "integer"),
        ("Node Selector", _selector("spec.template.spec.nodeSelector")),
        wide=_TEMPLATE_COLUMNS,
    ),
    ("apps", "ControllerRevision"): _columns(
        (
            "Controller",
            lambda obj, now: next(
                (f"{o['kind'].lower()}/{o['name']}" for o in obj["metadata"].get("ownerReferences") or []), NONE
            ),
        ),
        ("Revision", at("revision", 0), "integer"),
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): _columns(
        ("Reference", _autoscaler_target),
        ("Targets", _autoscaler_metrics),
        ("MinPods", lambda obj, now: str(at("spec.minReplicas", UNSET)(obj, now))),
        ("MaxPods", at("spec.maxReplicas", 0), "integer"),
        ("Replicas", at("status.currentReplicas", 0), "integer"),
    ),
    ("batch", "Job"): _columns(
        ("Status", _job_status),
        ("Completions", _ready("status.succeeded", "spec.completions")),
        ("Duration", _job_duration),
    ),
    ("batch", "CronJob"): _columns(
        ("Schedule", at("spec.schedule")),
        ("Timezone", at("spec.timeZone", NONE)),
        ("Suspend", lambda obj, now: str(bool(look(obj, ("spec", "suspend"))))),
        ("Active", lambda obj, now: len(look(obj, ("status", "active")) or []), "integer"),
        (
            "Last Schedule",
            lambda obj, now: (
                age(look(obj, ("status", "lastScheduleTime")), now)
                if look(obj, ("status", "lastScheduleTime"))
                else NONE
            ),
        ),
    ),
    ("networking.k8s.io", "Ingress"): _columns(
        ("Class", at("spec.ingressClassName", NONE)),
        ("Hosts", _ingress_hosts),
        ("Address", _ingress_address),
        ("Ports", _ingress_ports),
    ),
    ("networking.k8s.io", "IngressClass"): _columns(
        ("Controller", at("spec.controller")), ("Parameters", at("spec.parameters.name", NONE))
    ),
    ("networking.k8s.io", "NetworkPolicy"): _columns(("Pod-Selector", _selector("spec.podSelector"))),
    ("discovery.k8s.io", "EndpointSlice"): _columns(
        ("AddressType", at("addressType")), ("Ports", _slice_ports), ("Endpoints", _slice_endpoints)
    ),
    ("coordination.k8s.io", "Lease"): _columns(("Holder", at("spec.holderIdentity"))),
    ("policy", "PodDisruptionBudget"): _columns(
        ("Min Available", lambda obj, now: str(at("spec.minAvailable", "N/A")(obj, now))),
        ("Max Unavailable", lambda obj, now: str(at("spec.maxUnavailable", "N/A")(obj, now))),
        ("Allowed Disruptions", at("status.disruptionsAllowed", 0), "integer"),
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        NAME,
        Column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp"), "date"),
    ),
    ("rbac.authorization.k8s.io", "RoleBinding"): _columns(
        ("Role", lambda obj, now: f"{at('roleRef.kind')(obj, now)}/{at('roleRef.name')(obj, now)}")
    ),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _columns(
        ("Role", lambda obj, now: f"{at('roleRef.kind')(obj, now)}/{at('roleRef.name')(obj, now)}"),
    ),
}

PLAIN = (NAME, AGE)
