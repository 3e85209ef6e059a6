"""Objects in another version of their group, and back."""

from __future__ import annotations

from pyflagger_sandbox.apiserver.convert import convert


def test_an_autoscaler() -> None:
    """One CPU target in v1 is a list of one metric in v2."""
    ref = {"kind": "Deployment", "name": "a"}
    old = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
    old |= {"spec": {"scaleTargetRef": ref, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70}}
    new = convert(old, "autoscaling/v2")
    assert new["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert convert(new, "autoscaling/v1") == old


def test_an_autoscaler_of_other_metrics() -> None:
    """Has no target in v1."""
    metrics = [{"type": "Resource", "resource": {"name": "memory", "target": {"averageUtilization": 50}}}]
    new = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {"metrics": metrics}}
    assert convert(new, "autoscaling/v1")["spec"] == {}


def test_an_event() -> None:
    """Its fields have other names in the group of their own."""
    old = {"apiVersion": "v1", "kind": "Event", "involvedObject": {"name": "p"}, "message": "m", "count": 2}
    new = convert(old, "events.k8s.io/v1")
    assert (new["regarding"], new["note"], new["deprecatedCount"]) == ({"name": "p"}, "m", 2)
    assert convert(new, "v1") == old


def test_the_rest_only_changes_its_version() -> None:
    """Or nothing at all."""
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "spec": {"a": 1}}
    assert convert(thing, "example.com/v2") == {**thing, "apiVersion": "example.com/v2"}
    assert convert(thing, "example.com/v1") is thing
