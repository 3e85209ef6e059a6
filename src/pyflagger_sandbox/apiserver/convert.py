"""Converts objects between versions of their group.

Custom resources change only `apiVersion`. Two built-in kinds differ between the served versions: autoscalers (v1 has
one CPU target, v2 a list of metrics) and Events (two groups, one shelf).
"""

from __future__ import annotations

from collections.abc import Mapping

from pyflagger.objects import Obj

# Event fields with different names in the two groups: core/v1 to events.k8s.io/v1.
_EVENT_NAMES: Mapping[str, str] = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_EVENT_NAMES_BACK = {new: old for old, new in _EVENT_NAMES.items()}


def convert(obj: Obj, api_version: str) -> Obj:
    """`obj` in another version. Returns the same object when it already has that version."""
    if obj.get("apiVersion") == api_version:
        return obj
    moved = {**obj, "apiVersion": api_version}
    if obj.get("kind") == "Event":
        names = _EVENT_NAMES if api_version.startswith("events.k8s.io/") else _EVENT_NAMES_BACK
        return {names.get(key, key): value for key, value in moved.items()}
    if obj.get("kind") == "HorizontalPodAutoscaler" and "spec" in obj:
        moved["spec"] = _autoscaler_v1(obj["spec"]) if api_version == "autoscaling/v1" else _autoscaler_v2(obj["spec"])
    return moved


def _autoscaler_v1(spec: Obj) -> Obj:
    kept: Obj = {key: spec[key] for key in ("scaleTargetRef", "minReplicas", "maxReplicas") if key in spec}
    for metric in spec.get("metrics") or ():
        resource = metric.get("resource") or {}
        target = (resource.get("target") or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and target is not None:
            kept["targetCPUUtilizationPercentage"] = target
    return kept


def _autoscaler_v2(spec: Obj) -> Obj:
    kept = {key: value for key, value in spec.items() if key != "targetCPUUtilizationPercentage"}
    percent = spec.get("targetCPUUtilizationPercentage")
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        kept["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return kept
