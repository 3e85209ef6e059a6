"""What `kubectl get` shows of an object: the cells of the built-in kinds."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.columns import COLUMNS

NOW = 1_767_225_720.0  # 2026-01-01T00:02:00Z
BORN = "2026-01-01T00:00:00Z"


def cells(group: str, kind: str, **obj: Any) -> dict[str, Any]:
    """The cells of an object that is two minutes old, by column."""
    found: Obj = {"metadata": {"name": "x", "creationTimestamp": BORN, **obj.pop("metadata", {})}, **obj}
    return {column.name: column.cell(found, NOW) for column in COLUMNS[group, kind]}


def state(**more: Any) -> Obj:
    """The status of a pod's one container."""
    return {"phase": "Running", "containerStatuses": [{"ready": True, "restartCount": 0, **more}]}


@pytest.mark.parametrize(
    "status, metadata, shown",
    [
        (state(), {}, ("1/1", "Running", "0")),
        ({"phase": "Pending"}, {}, ("0/1", "Pending", "0")),
        (state(ready=False, state={"waiting": {"reason": "ImagePullBackOff"}}), {}, ("0/1", "ImagePullBackOff", "0")),
        (state(ready=False, state={"terminated": {"exitCode": 3}}), {}, ("0/1", "ExitCode:3", "0")),
        (state(), {"deletionTimestamp": BORN}, ("1/1", "Terminating", "0")),
        (
            state(restartCount=2, lastState={"terminated": {"finishedAt": "2026-01-01T00:01:30Z"}}),
            {},
            ("1/1", "Running", "2 (30s ago)"),
        ),
    ],
)
def test_a_pod(status: Obj, metadata: Obj, shown: tuple[str, str, str]) -> None:
    """Why it does not run is told instead of its phase."""
    found = cells("", "Pod", spec={"containers": [{}]}, status=status, metadata=metadata)
    assert (found["Ready"], found["Status"], found["Restarts"], found["Age"]) == (*shown, "2m")


@pytest.mark.parametrize(
    "spec, status, external, ports",
    [
        ({"ports": [{"port": 80}, {"port": 81, "nodePort": 30000}]}, {}, "<none>", "80/TCP,81:30000/TCP"),
        ({"type": "LoadBalancer"}, {}, "<pending>", "<none>"),
        ({"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"hostname": "h"}]}}, "h", "<none>"),
        ({"type": "ExternalName", "externalName": "e"}, {}, "e", "<none>"),
    ],
)
def test_a_service(spec: Obj, status: Obj, external: str, ports: str) -> None:
    """Its address outside, and its ports."""
    found = cells("", "Service", spec=spec, status=status)
    assert (found["External-IP"], found["Port(s)"]) == (external, ports)


def test_a_deployment() -> None:
    """How many are ready of how many, and with `-o wide` its containers."""
    template = {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    found = cells("apps", "Deployment", spec=spec, status={"readyReplicas": 1})
    assert (found["Ready"], found["Containers"], found["Images"], found["Selector"]) == ("1/3", "a,b", "i,j", "app=a")


def test_an_autoscaler() -> None:
    """What is measured against what is wanted; the first two metrics."""
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}
    pods = {"type": "Pods", "pods": {"target": {"averageValue": "5"}}}
    current = [{"type": "Resource", "resource": {"current": {"averageUtilization": 40}}}]
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "a"}, "metrics": [cpu, pods, pods]}
    found = cells("autoscaling", "HorizontalPodAutoscaler", spec=spec, status={"currentMetrics": current})
    assert (found["Reference"], found["Targets"]) == ("Deployment/a", "cpu: 40%/80%, <unknown>/5 + 1 more...")


@pytest.mark.parametrize(
    "spec, hosts, ports",
    [
        ({}, "*", "80"),
        ({"rules": [{"host": name} for name in "abcd"], "tls": [{}]}, "a,b,c + 1 more...", "80, 443"),
    ],
)
def test_an_ingress(spec: Obj, hosts: str, ports: str) -> None:
    """At most three hosts."""
    found = cells("networking.k8s.io", "Ingress", spec=spec)
    assert (found["Hosts"], found["Ports"]) == (hosts, ports)


@pytest.mark.parametrize(
    "conditions, spec, shown",
    [
        ([{"type": "Ready", "status": "True"}], {}, "Ready"),
        ([{"type": "Ready", "status": "False"}], {}, "NotReady"),
        ([{"type": "Ready", "status": "True"}], {"unschedulable": True}, "Ready,SchedulingDisabled"),
        ([], {}, "Unknown"),
    ],
)
def test_a_node(conditions: list[Obj], spec: Obj, shown: str) -> None:
    """Whether it is ready and takes pods; its roles from its labels."""
    labels = {"node-role.kubernetes.io/worker": ""}
    found = cells("", "Node", metadata={"labels": labels}, spec=spec, status={"conditions": conditions})
    assert (found["Status"], found["Roles"]) == (shown, "worker")


def test_an_event() -> None:
    """When it was last seen, and of what."""
    about = {"kind": "Pod", "name": "p"}
    found = cells("", "Event", involvedObject=about, lastTimestamp="2026-01-01T00:01:00Z")
    assert (found["Last Seen"], found["Object"]) == ("60s", "pod/p")


def test_addresses() -> None:
    """Of Endpoints and of EndpointSlices."""
    subsets = [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}, {"port": 81}]}]
    assert cells("", "Endpoints", subsets=subsets)["Endpoints"] == "10.0.0.1:80,10.0.0.1:81"
    assert cells("", "Endpoints")["Endpoints"] == "<none>"
    found = cells("discovery.k8s.io", "EndpointSlice", endpoints=[{"addresses": list("abcd")}], ports=[{"port": 80}])
    assert (found["Endpoints"], found["Ports"]) == ("a,b,c + 1 more...", "80")
