"""The defaults that an API server sets, kind by kind, where the manifest says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from admission.test_validate import CONTAINER, RESOURCES, container, deployment, made, pod, service
from pyflagger.admission.rules import Rules
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.selectors import look


def clean(obj: Obj) -> Obj:
    """The object with its defaults."""
    found, _ = Rules().clean(RESOURCES[obj["apiVersion"], obj["kind"]], obj, None, "Strict")
    return found


def first(obj: Obj) -> Any:
    """The first container of a pod."""
    return obj["spec"]["containers"][0]


@pytest.mark.parametrize(
    "obj, path, value",
    [
        (pod(), "spec.restartPolicy", "Always"),
        (deployment(), "spec.replicas", 1),
        (deployment(), "spec.strategy.rollingUpdate.maxSurge", "25%"),
        (deployment(strategy={"type": "Recreate"}), "spec.strategy.rollingUpdate", None),
        (service({"port": 80}), "spec.type", "ClusterIP"),
        (service({"port": 80}, type="NodePort"), "spec.externalTrafficPolicy", "Cluster"),
        (service(type="ExternalName", externalName="e"), "spec.internalTrafficPolicy", None),
        (made("apps/v1", "DaemonSet", spec={}), "spec.updateStrategy.rollingUpdate.maxUnavailable", 1),
        (made("apps/v1", "StatefulSet", spec={}), "spec.podManagementPolicy", "OrderedReady"),
        (made("batch/v1", "Job", spec={}), "spec.backoffLimit", 6),
        (made("batch/v1", "CronJob", spec={}), "spec.concurrencyPolicy", "Allow"),
        (made("autoscaling/v2", "HorizontalPodAutoscaler", spec={}), "spec.minReplicas", 1),
        (made("v1", "Secret"), "type", "Opaque"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else str(value),
)
def test_a_default(obj: Obj, path: str, value: Any) -> None:
    """The value at a path."""
    assert look(clean(obj), path.split(".")) == value


@pytest.mark.parametrize(
    "image, policy",
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("r:5000/a", "Always"),
        ("a@sha256:0", "IfNotPresent"),
    ],
)
def test_when_an_image_is_pulled(image: str, policy: str) -> None:
    """Always where its content may change."""
    assert first(clean(container(image=image)))["imagePullPolicy"] == policy


def test_probes_and_requests() -> None:
    """A probe has all its numbers; what is limited and not asked for is asked for."""
    found = first(clean(container(livenessProbe={"httpGet": {"port": 1}}, resources={"limits": {"cpu": "1"}})))
    assert found["livenessProbe"]["periodSeconds"] == 10
    assert found["livenessProbe"]["httpGet"] == {"port": 1, "path": "/", "scheme": "HTTP"}
    assert found["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}


def test_volumes_have_a_source_and_a_mode() -> None:
    """An empty directory where nothing is said."""
    found = clean(pod(volumes=[{"name": "a"}, {"name": "b", "configMap": {"name": "c"}}]))
    assert found["spec"]["volumes"][0] == {"name": "a", "emptyDir": {}}
    assert found["spec"]["volumes"][1]["configMap"]["defaultMode"] == 420


def test_a_secret_is_told_in_plain_text() -> None:
    """And never tells it again."""
    found = clean(made("v1", "Secret", stringData={"a": "x"}, data={"b": "eQ=="}))
    assert found["data"] == {"a": "eA==", "b": "eQ=="}
    assert "stringData" not in found


def test_the_port_behind_a_service() -> None:
    """Is the Service's own port where none is named."""
    assert clean(service({"port": 80}))["spec"]["ports"] == [{"port": 80, "targetPort": 80, "protocol": "TCP"}]


def test_roles_are_of_their_group() -> None:
    """The role that is bound, and the people that it is bound to; service accounts have no group."""
    subjects = [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}]
    ref = {"kind": "Role", "name": "r"}
    found = clean(made("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef=ref, subjects=subjects))
    group = "rbac.authorization.k8s.io"
    assert found["roleRef"]["apiGroup"] == found["subjects"][0]["apiGroup"] == group
    assert "apiGroup" not in found["subjects"][1]


def test_what_has_all_it_needs_is_left_alone() -> None:
    """Setting defaults again changes nothing, and makes no new containers."""
    once = clean(pod(containers=[CONTAINER]))
    again = clean(once)
    assert again == once
    assert first(again) is not CONTAINER
