"""Decoding by the types of the built-in kinds: what goes, what is rejected and how, quantities in canonical form."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.admission.decode import Decoder, quantity
from pyflagger.admission.errors import ApiError

POD = "io.k8s.api.core.v1.Pod"
HPA = "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler"


def pod(**container: Any) -> dict[str, Any]:
    """A pod of one container."""
    return {"spec": {"containers": [{"name": "c", **container}]}}


def test_unknown_fields_and_nulls_go() -> None:
    """The unknown ones are reported by their path."""
    decoder = Decoder("Pod", "v1")
    said = decoder.model(POD, {**pod(image=None, imgae="x"), "more": 1}, None, "")
    assert said == pod()
    assert decoder.unknown == ["spec.containers[0].imgae", "more"]


@pytest.mark.parametrize(
    "obj, found, path, wanted",
    [
        ({"spec": []}, "array", "spec", "v1.PodSpec"),
        ({"spec": {"containers": {}}}, "object", "spec.containers", "[]v1.Container"),
        (pod(image=1), "number", "spec.containers[0].image", "string"),
        (pod(tty="yes"), "string", "spec.containers[0].tty", "bool"),
        (pod(ports=[{"containerPort": "a"}]), "string", "spec.containers[0].ports[0].containerPort", "int32"),
        (pod(ports=[{"containerPort": 0.5}]), "number", "spec.containers[0].ports[0].containerPort", "int32"),
        (pod(resources={"limits": {"cpu": True}}), "bool", "spec.containers[0].resources.limits.cpu", "Quantity"),
        (pod(resources={"limits": 1}), "number", "spec.containers[0].resources.limits", "map[string]Quantity"),
        ({"metadata": {"labels": {"a": 1}}}, "number", "metadata.labels.a", "string"),
    ],
)
def test_a_wrong_type(obj: dict[str, Any], found: str, path: str, wanted: str) -> None:
    """Is rejected (400) in the words of the API server, with the path and both types."""
    with pytest.raises(ApiError) as caught:
        Decoder("Pod", "v1").model(POD, obj, None, "")
    assert caught.value.code == 400
    assert caught.value.message == (
        'Pod in version "v1" cannot be handled as a Pod: json: '
        f"cannot unmarshal {found} into Go struct field Pod.{path} of type {wanted}"
    )


def test_a_port_has_a_number_or_a_name() -> None:
    """Both are taken as they are."""
    probes = [pod(livenessProbe={"httpGet": {"port": port}}) for port in (80, "http")]
    assert [Decoder("Pod", "v1").model(POD, each, None, "") for each in probes] == probes


@pytest.mark.parametrize(
    "written, kept",
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        (2, "2"),
        ("1024Mi", "1024Mi"),
        ("1500", "1500"),
        ("2000", "2k"),
        ("0.0", "0"),
        ("1..0", "1..0"),
    ],
)
def test_quantities(written: Any, kept: str) -> None:
    """Decimal ones come out in their canonical form."""
    assert quantity(written) == kept


def test_quantities_wherever_they_are() -> None:
    """In maps of resources, and in single fields such as the target of an autoscaler."""
    said = Decoder("Pod", "v1").model(POD, pod(resources={"requests": {"cpu": "1000m", "memory": "1Gi"}}), None, "")
    assert said["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1", "memory": "1Gi"}}
    metric = {
        "type": "Pods",
        "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": 0.5}},
    }
    said = Decoder("HorizontalPodAutoscaler", "v2").model(HPA, {"spec": {"metrics": [metric]}}, None, "")
    assert said["spec"]["metrics"][0]["pods"]["target"]["averageValue"] == "500m"


def test_what_has_not_changed_is_not_decoded_again() -> None:
    """The very values of the old object are kept."""
    old = pod(image="a")
    decoder = Decoder("Pod", "v1")
    said = decoder.model(POD, {"spec": old["spec"], "status": {"phase": "Running"}}, old, "")
    assert said["spec"] is old["spec"]
