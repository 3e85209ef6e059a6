"""Services as targets: the copies, what of a Service is copied, and what is left to the API server."""

from __future__ import annotations

from typing import Any

import pytest
from targets import canary as canary_of

from pyflagger.api.canary import Canary, CanaryStatus
from pyflagger.api.facts import Capabilities, Problem
from pyflagger.api.validate import validate
from pyflagger.objects import Create, Obj, Patch, merge_apply
from pyflagger.workloads.base import Workload
from pyflagger.workloads.configs import NOTHING
from pyflagger.workloads.options import WorkloadOptions
from pyflagger.workloads.service import Service

KIND, OPTIONS = Service(), WorkloadOptions()
REF = {"apiVersion": "v1", "kind": "Service", "name": "web"}


def canary(**service: Any) -> Canary:
    """A Canary of Service `web.test`."""
    return canary_of(targetRef=REF, service={"port": 80, **service})


def service(**spec: Any) -> Obj:
    """The target, as an API server shows it."""
    port = {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP", "nodePort": 30001}
    given = {"type": "NodePort", "selector": {"app": "web", "version": "1"}, "ports": [port]}
    allotted = {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "healthCheckNodePort": 1, "loadBalancerIP": "1"}
    meta = {
        "name": "web",
        "namespace": "test",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x"},
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": merge_apply(given | allotted, spec)}


def made(of: Obj, **more: Any) -> Obj:
    """Its primary."""
    writes = KIND.create_primary(canary(**more), of, NOTHING, OPTIONS, "x")
    assert isinstance(writes, tuple) and isinstance(writes[0], Create)
    return writes[0].obj


def test_it_is_a_workload_that_is_never_scaled() -> None:
    """It has nothing to scale, is always ready and has no Services made for it."""
    assert isinstance(KIND, Workload) and not KIND.scalable and not KIND.at_zero(service())
    assert KIND.selector(canary(), service(), None, OPTIONS) is None
    assert KIND.scale(service(), None) == () == KIND.restore(canary(), service(), None, None)
    assert KIND.readiness(canary(), service(), "canary", 0).ready


def test_where_a_new_version_is_takes_a_moment_to_be_known() -> None:
    """A smoke test at once would meet the version before it: nothing is said, and looked at again in time."""
    status = {"phase": "Progressing", "lastTransitionTime": "1970-01-01T00:01:40Z", "canaryWeight": 10}
    begun = canary().model_copy(update={"status": CanaryStatus.model_validate(status)})
    early = KIND.readiness(begun, service(), "canary", 102.9)
    assert not early.ready and early.settling and early.retriable and early.look_again == 103
    assert KIND.readiness(begun, service(), "canary", 103).ready
    assert KIND.readiness(begun, service(), "primary", 100).ready
    idle = canary().model_copy(update={"status": CanaryStatus.model_validate(status | {"phase": "Promoting"})})
    assert KIND.readiness(idle, service(), "canary", 100).ready


def test_what_is_copied() -> None:
    """Where it leads, and nothing that is allotted; the copy is the Canary's."""
    copy = made(service(), trafficDistribution="PreferClose")
    assert copy["spec"] == {
        "type": "NodePort",
        "selector": {"app": "web", "version": "1"},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
        "trafficDistribution": "PreferClose",
    }
    assert copy["metadata"]["name"] == "web-primary" and copy["metadata"]["ownerReferences"][0]["controller"]
    assert "kubectl.kubernetes.io/last-applied-configuration" not in copy["metadata"]["annotations"]
    assert made(service(clusterIP="None"))["spec"]["clusterIP"] == "None"


def test_a_revision_is_where_it_leads() -> None:
    """What the API server allots is no release."""
    same = KIND.revision(service())
    assert KIND.revision(service(clusterIP="10.0.0.2", healthCheckNodePort=7)) == same
    assert KIND.revision(service(selector={"version": "2"})) != same


def test_promotion() -> None:
    """The primary leads where the target does; its own address and owner stay; twice writes nothing."""
    primary = merge_apply(made(service()), {"spec": {"clusterIP": "10.0.0.9"}, "metadata": {"resourceVersion": "4"}})
    moved = service(selector={"version": None, "colour": "green"})
    assert KIND.matches(canary(), service(), primary, NOTHING, OPTIONS)
    assert not KIND.matches(canary(), moved, primary, NOTHING, OPTIONS)
    (patch,) = KIND.promote(canary(), moved, primary, NOTHING, OPTIONS, "x")
    assert isinstance(patch, Patch) and patch.resource_version == "4"
    after = merge_apply(primary, patch.body)
    assert after["spec"]["selector"] == {"app": "web", "colour": "green"}
    assert after["spec"]["clusterIP"] == "10.0.0.9" and after["metadata"] == primary["metadata"]
    assert KIND.promote(canary(), moved, after, NOTHING, OPTIONS, "x") == ()


def test_the_copy_of_the_canary_follows() -> None:
    """Written only when it differs, and never over somebody else's."""
    (create,) = KIND.service(canary(), service(), None, OPTIONS)
    assert isinstance(create, Create) and create.obj["metadata"]["name"] == "web-canary"
    assert KIND.service(canary(), service(), create.obj, OPTIONS) == ()
    (patch,) = KIND.service(canary(), service(selector={"version": "2"}), create.obj, OPTIONS)
    assert isinstance(patch, Patch) and patch.body == {"spec": {"selector": {"version": "2"}}}
    theirs = merge_apply(create.obj, {"metadata": {"ownerReferences": None}})
    for found in (KIND.service(canary(), service(), theirs, OPTIONS), KIND.is_primary(canary(), theirs)):
        assert isinstance(found, Problem) and "does not belong to this canary" in found.text


@pytest.mark.parametrize(
    "name, provider, path",
    [("", "istio", ""), ("web", "istio", ""), ("shop", "istio", "spec.service.name"), ("", "nginx", "spec.provider")],
)
def test_what_cannot_be_asked_for(name: str, provider: str, path: str) -> None:
    """Another name for the Services, and a provider that would lead visitors to the target itself."""
    of = canary(name=name)
    found = validate(of, provider=provider, capabilities=Capabilities(ab=True), known_providers=("istio", "nginx"))
    assert [problem.path for problem in found] == ([path] if path else [])


@pytest.mark.parametrize(
    "asked, path",
    [
        ({}, ""),
        ({"port": 81}, "spec.service.port"),
        ({"ports": [{"name": "admin", "port": 9000}]}, "spec.service.ports[0].port"),
    ],
)
def test_routes_lead_to_ports_that_the_service_has(asked: dict[str, Any], path: str) -> None:
    """Otherwise no copy is made or written, and the text names both; one without ports leads elsewhere by its name."""
    found = KIND.service(canary(**asked), service(), None, OPTIONS)
    assert isinstance(found, Problem) is bool(path)
    if isinstance(found, Problem):
        assert found.path == path and path in found.text and "it has 80 (http)" in found.text
    assert not isinstance(KIND.service(canary(**asked), service(ports=[]), None, OPTIONS), Problem)
