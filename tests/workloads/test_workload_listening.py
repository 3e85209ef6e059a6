"""Ports that lead nowhere, by the pod template: before a Service is taken over, and before a revision is released."""

from __future__ import annotations

from typing import Any

import pytest
from targets import canary

from pyflagger.api.canary import Service
from pyflagger.api.facts import Fault
from pyflagger.objects import Obj
from pyflagger.workloads.daemonset import DaemonSet
from pyflagger.workloads.deployment import Deployment
from pyflagger.workloads.listening import Listening, listening, release, takeover

HTTP = {"name": "http", "containerPort": 9898}


def pod(*ports: Obj, **more: Any) -> Listening:
    """The ports of a pod of one container."""
    return listening("deployment web.test", {"containers": [{"name": "app", "ports": list(ports)}], **more})


def service(**fields: Any) -> Service:
    """What a Canary asks for."""
    found = canary(service={"targetPort": None, **fields}).spec.service
    assert found is not None
    return found


def there(*ports: Obj) -> Obj:
    """A live Service."""
    return {"metadata": {"name": "web"}, "spec": {"ports": list(ports)}}


OTHER = there({"port": 80, "targetPort": 9898})
UNNAMED, METRICS = {"containerPort": 9898}, {"name": "metrics", "containerPort": 9797}
SIDECAR = {"initContainers": [{"name": "proxy", "restartPolicy": "Always", "ports": [{**HTTP, "containerPort": 1}]}]}
INIT = {"initContainers": [{"name": "init", "ports": [HTTP]}]}
FURTHER = [{"name": "metrics", "port": 9000, "targetPort": "metrics"}]

TAKEOVER: dict[str, tuple[dict[str, Any], Listening, Obj | None, str]] = {
    "a name that a container has": ({"targetPort": "http"}, pod(HTTP), OTHER, ""),
    "a name of the second container's": (
        {"targetPort": "http"},
        listening("", {"containers": [{"name": "a"}, {"name": "b", "ports": [HTTP]}]}),
        OTHER,
        "",
    ),
    "a name of a sidecar among the init containers": ({"targetPort": "http"}, pod(UNNAMED, **SIDECAR), OTHER, ""),
    "a name of an init container that ends": ({"targetPort": "http"}, pod(UNNAMED, **INIT), OTHER, "targetPort"),
    "a typo": ({"targetPort": "htpp"}, pod(HTTP), OTHER, "targetPort"),
    "a port without a name": ({"targetPort": "http"}, pod(UNNAMED), OTHER, "targetPort"),
    "a name of a port of another protocol": (
        {"targetPort": "http"},
        pod({**HTTP, "protocol": "UDP"}),
        OTHER,
        "targetPort",
    ),
    "no ports at all": ({"targetPort": "http"}, pod(), OTHER, "targetPort"),
    "a name, and no Service yet": ({"targetPort": "http"}, pod(UNNAMED), None, "targetPort"),
    "a name that the user's Service leads to, of an injected container": (
        {"targetPort": "envoy"},
        pod(HTTP),
        there({"port": 80, "targetPort": "envoy"}),
        "",
    ),
    "a number that is declared": ({"targetPort": 9898}, pod(HTTP), there({"port": 80, "targetPort": 1}), ""),
    "a number, and nothing is declared": ({"targetPort": 8080}, pod(), OTHER, ""),
    "another number than is declared": ({"targetPort": 8080}, pod(HTTP), OTHER, "targetPort"),
    "another number, which the user's Service has as well": (
        {"targetPort": 8080},
        pod(HTTP),
        there({"port": 80, "targetPort": 8080}),
        "",
    ),
    "another number, which is what the user's Service has by default": ({}, pod(HTTP), there({"port": 80}), ""),
    "the number of the name that the user's Service has": (
        {"targetPort": 9898},
        pod(HTTP),
        there({"port": 80, "targetPort": "http"}),
        "",
    ),
    "a number, and no Service yet": ({"targetPort": 8080}, pod(HTTP), None, ""),
    "a target port that was forgotten": ({}, pod(HTTP), OTHER, "port"),
    "a further port without a container": (
        {"targetPort": 9898, "ports": FURTHER},
        pod(HTTP),
        OTHER,
        "ports[0].targetPort",
    ),
    "a further port": ({"targetPort": 9898, "ports": FURTHER}, pod(HTTP, METRICS), OTHER, ""),
    "gRPC by name": ({"portName": "grpc", "targetPort": "grpc"}, pod(HTTP), OTHER, "targetPort"),
}


@pytest.mark.parametrize("case", TAKEOVER)
def test_before_a_service_is_taken_over(case: str) -> None:
    """What it led to is kept; what would lead nowhere is told with path, port, containers and a way out."""
    spec, pods, live, path = TAKEOVER[case]
    found = takeover(service(**spec), pods, live, first=True)
    if not path:
        assert found is None
        return
    assert found is not None and found.fault is Fault.MANIFEST and found.path == f"spec.service.{path}"
    assert found.path in found.text and "container app" in found.text and found.todo


def test_a_text_that_can_be_followed() -> None:
    """It names what is there, by container, number, name and protocol."""
    dns = {"name": "dns", "containerPort": 53, "protocol": "UDP"}
    found = takeover(service(targetPort="http"), pod(UNNAMED, METRICS, dns), OTHER, first=True)
    assert found is not None
    assert found.text == (
        "no container of deployment web.test has a port named http, where spec.service.targetPort leads: "
        "container app has 9898 (no name), 9797 (metrics), 53/UDP (dns)"
    )
    assert found.todo == (
        "Give a container's port the name http, or set spec.service.targetPort to a port that a container listens on."
    )


def test_later_a_service_that_is_gone_is_made_again() -> None:
    """Nobody is worse off by it; one that is there is not led elsewhere."""
    wrong, pods = service(targetPort="http"), pod(UNNAMED)
    assert takeover(wrong, pods, None, first=False) is None
    assert takeover(wrong, pods, OTHER, first=False) is not None
    assert takeover(wrong, pods, there({"port": 80, "targetPort": "http"}), first=False) is None


RELEASE: dict[str, tuple[dict[str, Any], Listening, Listening, bool]] = {
    "the same": ({"targetPort": "http"}, pod(HTTP), pod(HTTP), True),
    "the name has another number": ({"targetPort": "http"}, pod(HTTP), pod({**HTTP, "containerPort": 8080}), True),
    "another name": ({"targetPort": "http"}, pod(HTTP), pod({**HTTP, "name": "web"}), False),
    "the name is gone": ({"targetPort": "http"}, pod(HTTP), pod(UNNAMED), False),
    "the container is gone": ({"targetPort": "http"}, pod(HTTP), pod(), False),
    "another number": ({"targetPort": 9898}, pod(HTTP), pod({**HTTP, "containerPort": 8080}), False),
    "nothing is declared any more": ({"targetPort": 9898}, pod(HTTP), pod(), True),
    "an injected container's, as before": ({"targetPort": "envoy"}, pod(HTTP), pod(HTTP), True),
    "a further port is gone": ({"targetPort": 9898, "ports": FURTHER}, pod(HTTP, METRICS), pod(HTTP), False),
}


@pytest.mark.parametrize("case", RELEASE)
def test_before_a_revision_is_released(case: str) -> None:
    """It may not lack what the primary's containers have; what these lack as well is no news."""
    spec, primary, target, served = RELEASE[case]
    assert (release(service(**spec), primary, target) is None) is served


@pytest.mark.parametrize("kind", [Deployment(), DaemonSet()])
def test_kinds_with_a_template(kind: Deployment | DaemonSet) -> None:
    """The ports are those of the template."""
    template = {"spec": {"containers": [{"name": "app", "ports": [HTTP]}]}}
    found = kind.listening({"metadata": {"name": "web", "namespace": "test"}, "spec": {"template": template}})
    assert found is not None and found.named == {"http": 9898} and found.whose == f"{kind.word} web.test"
