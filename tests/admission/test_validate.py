"""What an API server rejects of each kind, by the path of the problem and its words."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.admission.builtin import builtin
from pyflagger.admission.errors import ApiError
from pyflagger.admission.rules import Rules
from pyflagger.objects import Obj

RESOURCES = {(resource.api_version, resource.kind): resource for resource in builtin()}
CONTAINER = {"name": "c", "image": "i"}


def made(version: str, kind: str, name: str = "a", **rest: Any) -> Obj:
    """An object."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "test"}, **rest}


def causes(obj: Obj, old: Obj | None = None) -> dict[str, str]:
    """Each problem of an object after its defaults, by path."""
    resource = RESOURCES[obj["apiVersion"], obj["kind"]]
    before = Rules().clean(resource, old, None, "Strict")[0] if old is not None else None
    clean, _ = Rules().clean(resource, obj, before, "Strict")
    try:
        Rules().admit(resource, clean, before)
    except ApiError as error:
        assert (error.code, error.reason) == (422, "Invalid")
        return {cause["field"]: cause["message"] for cause in (error.details or {})["causes"]}
    return {}


def pod(**spec: Any) -> Obj:
    """A pod with one container, unless `spec` has its own."""
    return made("v1", "Pod", spec={"containers": [CONTAINER], **spec})


def container(**more: Any) -> Obj:
    """A pod with one container, and more of it."""
    return pod(containers=[{**CONTAINER, **more}])


def deployment(**spec: Any) -> Obj:
    """A Deployment that nothing is wrong with, unless `spec` says so."""
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}}
    return made("apps/v1", "Deployment", spec={"selector": {"matchLabels": labels}, "template": template, **spec})


def service(*ports: Obj, **spec: Any) -> Obj:
    """A Service."""
    return made("v1", "Service", spec={"ports": list(ports), **spec})


def ingress(**path: Any) -> Obj:
    """An Ingress with one path."""
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    said = {"path": "/", "pathType": "Prefix", "backend": backend, **path}
    kept = {key: value for key, value in said.items() if value is not None}
    return made("networking.k8s.io/v1", "Ingress", spec={"rules": [{"http": {"paths": [kept]}}]})


def autoscaler(**spec: Any) -> Obj:
    """An autoscaler."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
    return made("autoscaling/v2", "HorizontalPodAutoscaler", spec={"scaleTargetRef": target, **spec})


def definition(name: str = "things.example.com", **spec: Any) -> Obj:
    """A definition that nothing is wrong with, unless `spec` says so."""
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]
    names = {"plural": "things", "kind": "Thing"}
    said = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions, **spec}
    return made("apiextensions.k8s.io/v1", "CustomResourceDefinition", name, spec=said)


@pytest.mark.parametrize(
    "obj",
    [
        pod(),
        deployment(),
        service({"port": 80}),
        service(clusterIP="None"),
        service(type="ExternalName", externalName="example.com"),
        ingress(),
        ingress(pathType="ImplementationSpecific", path=None),
        autoscaler(maxReplicas=2),
        made("v1", "ConfigMap", data={"a.b_c-1": "x"}),
        made("coordination.k8s.io/v1", "Lease", spec={"leaseDurationSeconds": 1}),
        definition(),
        made("v1", "Namespace", "a-1"),
        made("rbac.authorization.k8s.io/v1", "Role", "system:a", rules=[]),
    ],
    ids=lambda obj: obj["kind"],
)
def test_what_is_accepted(obj: Obj) -> None:
    """Nothing is wrong with any of these."""
    assert causes(obj) == {}


@pytest.mark.parametrize(
    "obj, path, said",
    [
        (pod(containers=[]), "spec.containers", "Required value"),
        (pod(containers=[CONTAINER, CONTAINER]), "spec.containers[1].name", 'Duplicate value: "c"'),
        (container(name=""), "spec.containers[0].name", "Required value"),
        (container(name="C"), "spec.containers[0].name", "RFC 1123 label"),
        (container(image=""), "spec.containers[0].image", "Required value"),
        (container(ports=[{}]), "spec.containers[0].ports[0].containerPort", "Required value"),
        (container(ports=[{"containerPort": 0}]), "spec.containers[0].ports[0].containerPort", "between 1 and 65535"),
        (
            container(ports=[{"containerPort": 1, "name": "a-name-too-long-"}]),
            "spec.containers[0].ports[0].name",
            "hyphen",
        ),
        (container(ports=[{"containerPort": 1, "name": "Web"}]), "spec.containers[0].ports[0].name", "a-z, 0-9"),
        (container(ports=[{"containerPort": 1, "name": "80"}]), "spec.containers[0].ports[0].name", "one letter"),
        (container(ports=[{"containerPort": 1, "name": "a--b"}]), "spec.containers[0].ports[0].name", "consecutive"),
        (container(ports=[{"containerPort": 1, "protocol": "X"}]), "spec.containers[0].ports[0].protocol", '"TCP"'),
        (container(env=[{"value": "x"}]), "spec.containers[0].env[0].name", "Required value"),
        (
            container(volumeMounts=[{"name": "v", "mountPath": "/"}]),
            "spec.containers[0].volumeMounts[0].name",
            'Not found: "v"',
        ),
        (container(resources={"limits": {"cpu": "much"}}), "spec.containers[0].resources.limits[cpu]", "quantities"),
        (deployment(selector={}), "spec.selector", "empty selector"),
        (deployment(selector=None), "spec.selector", "Required value"),
        (
            deployment(selector={"matchLabels": {"app": "b"}}),
            "spec.template.metadata.labels",
            "does not match template `labels`",
        ),
        (deployment(replicas=-1), "spec.replicas", "greater than or equal to 0"),
        (deployment(strategy={"type": "Fast"}), "spec.strategy.type", '"Recreate", "RollingUpdate"'),
        (deployment(strategy={"type": "Recreate", "rollingUpdate": {}}), "spec.strategy.rollingUpdate", "Forbidden"),
        (
            deployment(strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}}),
            "spec.strategy.rollingUpdate.maxUnavailable",
            "may not be 0 when `maxSurge` is 0",
        ),
        (service(), "spec.ports", "Required value"),
        (service(type="ExternalName"), "spec.externalName", "Required value"),
        (service({"port": 80}, {"port": 81, "name": "b"}), "spec.ports[0].name", "Required value"),
        (service({"port": 80, "name": "a"}, {"port": 81, "name": "a"}), "spec.ports[1].name", "Duplicate value"),
        (service({"name": "a"}), "spec.ports[0].port", "Required value"),
        (service({"port": 80, "targetPort": 70000}), "spec.ports[0].targetPort", "between 1 and 65535"),
        (made("networking.k8s.io/v1", "Ingress", spec={}), "spec", "either `defaultBackend` or `rules`"),
        (
            made("networking.k8s.io/v1", "Ingress", spec={"defaultBackend": {"service": {"name": "s"}}}),
            "spec.defaultBackend.service.port",
            "port name or number",
        ),
        (
            made("networking.k8s.io/v1", "Ingress", spec={"rules": [{"http": {"paths": []}}]}),
            "spec.rules[0].http.paths",
            "Required value",
        ),
        (ingress(pathType=None), "spec.rules[0].http.paths[0].pathType", "must be specified"),
        (ingress(pathType="Regex"), "spec.rules[0].http.paths[0].pathType", "Unsupported value"),
        (ingress(path="a"), "spec.rules[0].http.paths[0].path", "absolute path"),
        (ingress(backend={}), "spec.rules[0].http.paths[0].backend", "must specify a backend"),
        (
            ingress(backend={"service": {"name": "", "port": {"number": 1}}}),
            "spec.rules[0].http.paths[0].backend.service.name",
            "Required value",
        ),
        (autoscaler(), "spec.maxReplicas", "greater than 0"),
        (autoscaler(minReplicas=0, maxReplicas=1), "spec.minReplicas", "greater than or equal to 1"),
        (autoscaler(minReplicas=3, maxReplicas=2), "spec.maxReplicas", "`minReplicas`"),
        (autoscaler(maxReplicas=1, scaleTargetRef={"kind": "X", "name": ""}), "spec.scaleTargetRef.name", "Required"),
        (made("v1", "ConfigMap", data={"a/b": ""}), "data[a/b]", "valid config key"),
        (
            made("coordination.k8s.io/v1", "Lease", spec={"leaseDurationSeconds": 0}),
            "spec.leaseDurationSeconds",
            "greater than 0",
        ),
        (
            made("coordination.k8s.io/v1", "Lease", spec={"leaseTransitions": -1}),
            "spec.leaseTransitions",
            "greater than or equal to 0",
        ),
        (definition("thing.example.com"), "metadata.name", "spec.names.plural"),
        (definition(scope="World"), "spec.scope", '"Cluster", "Namespaced"'),
        (definition(scope=""), "spec.scope", "Required value"),
        (definition(versions=[]), "spec.versions", "exactly one version marked as storage"),
        (
            definition(versions=[{"name": "v1", "served": True, "storage": True}]),
            "spec.versions[0].schema.openAPIV3Schema",
            "schemas are required",
        ),
        (made("v1", "Namespace", "a.b"), "metadata.name", "RFC 1123 label"),
        (made("v1", "Service", "1a", spec={"ports": [{"port": 1}]}), "metadata.name", "DNS-1035"),
        (made("v1", "ConfigMap", "A"), "metadata.name", "RFC 1123 subdomain"),
        (made("v1", "ConfigMap", "a" * 254), "metadata.name", "no more than 253 bytes"),
        (made("rbac.authorization.k8s.io/v1", "Role", "a/b"), "metadata.name", "may not contain '/'"),
    ],
)
def test_what_is_rejected(obj: Obj, path: str, said: str) -> None:
    """With the path of the problem, in the words of the API server."""
    assert said in causes(obj).get(path, "no problem there")


@pytest.mark.parametrize(
    "metadata, path, said",
    [
        ({"labels": {"-a": "x"}}, "metadata.labels", "name part must consist of"),
        ({"labels": {"a": "x" * 64}}, "metadata.labels", "no more than 63 bytes"),
        ({"labels": {"a": "x y"}}, "metadata.labels", "a valid label must be an empty string or"),
        (
            {"ownerReferences": [{"kind": "K", "name": "n", "uid": "u"}]},
            "metadata.ownerReferences[0].apiVersion",
            "empty",
        ),
    ],
)
def test_metadata_that_is_rejected(metadata: Obj, path: str, said: str) -> None:
    """Labels and owners of any kind."""
    obj = made("v1", "ConfigMap")
    assert said in causes({**obj, "metadata": {**obj["metadata"], **metadata}})[path]


@pytest.mark.parametrize(
    "old, new, path, said",
    [
        (deployment(), deployment(selector={"matchLabels": {"b": "c"}}), "spec.selector", "field is immutable"),
        (pod(), pod(nodeName="n", containers=[{**CONTAINER, "args": ["x"]}]), "spec", "pod updates may not change"),
        (
            service({"port": 80}, clusterIP="10.0.0.1"),
            service({"port": 80}, clusterIP="10.0.0.2"),
            "spec.clusterIPs[0]",
            "may not change once set",
        ),
        (made("v1", "Secret", type="a"), made("v1", "Secret", type="b"), "type", "field is immutable"),
        (
            made("v1", "ConfigMap", immutable=True, data={"a": "b"}),
            made("v1", "ConfigMap", immutable=True),
            "data",
            "immutable",
        ),
    ],
)
def test_what_may_not_change(old: Obj, new: Obj, path: str, said: str) -> None:
    """Of an object that exists."""
    assert said in causes(new, old)[path]


def test_a_pod_may_change_its_image() -> None:
    """And little else."""
    assert causes(container(image="other"), pod()) == {}


def test_an_event_with_a_time_has_all_that_such_events_have() -> None:
    """What reports it, and a message that is not too long."""
    about = {"kind": "Pod", "name": "p", "namespace": "elsewhere"}
    event = made("v1", "Event", involvedObject=about, eventTime="2026-01-01T00:00:00Z", message="x" * 1025)
    assert causes(event).keys() == {
        *("involvedObject.namespace", "reportingController", "reportingInstance", "action", "reason", "message"),
    }


def test_a_deleted_object_gets_no_new_finalizer() -> None:
    """It has to keep to those that it has."""
    old = made("v1", "ConfigMap")
    old["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/a"]}
    new = {**old, "metadata": {**old["metadata"], "finalizers": ["example.com/a", "example.com/b"]}}
    assert "no new finalizers" in causes(new, old)["metadata.finalizers"]
