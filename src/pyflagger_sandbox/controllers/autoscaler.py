"""The HorizontalPodAutoscaler controller without a metrics API: it enforces the bounds, and is inactive at zero
replicas.

Pure: reads an autoscaler and its target. `manager` runs it.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.api.durations import stamp
from pyflagger.objects import Obj, Patch, Write, merge_diff, ref_of

from .cache import View
from .manager import Controller
from .outcome import NOTHING, Outcome
from .owned import itself
from .progress import Verdict, find
from .rollout import desired

TARGETS = ("Deployment",)


def reconcile(autoscaler: Obj, target: Obj | None, now_stamp: str) -> Outcome:
    """The writes for an autoscaler. `target` is None when the workload does not exist."""
    if target is None:
        reference = autoscaler["spec"]["scaleTargetRef"]
        message = f"the HPA controller was unable to get the target's current scale: {reference['name']} not found"
        lost = [Verdict("AbleToScale", "False", "FailedGetScale", message)]
        return Outcome(tuple(_status(autoscaler, {"currentReplicas": 0, "desiredReplicas": 0}, lost, now_stamp)))
    now, wanted, verdicts = desired(target), *_wanted(autoscaler, desired(target))
    writes: list[Write] = []
    if wanted != now:
        writes.append(Patch(ref_of(target), {"spec": {"replicas": wanted}}, subresource="scale"))
    figures = {"currentReplicas": int((target.get("status") or {}).get("replicas") or 0), "desiredReplicas": wanted}
    writes += _status(autoscaler, figures, verdicts, now_stamp)
    return Outcome(tuple(writes)) if writes else NOTHING


def _wanted(autoscaler: Obj, now: int) -> tuple[int, list[Verdict]]:
    """The size within the bounds, and the conditions."""
    least, most = int(autoscaler["spec"].get("minReplicas") or 1), int(autoscaler["spec"]["maxReplicas"])
    message = "the HPA controller was able to get the target's current scale"
    able = Verdict("AbleToScale", "True", "SucceededGetScale", message)
    if now == 0 and least:
        message = "scaling is disabled since the replica count of the target is zero"
        return 0, [able, Verdict("ScalingActive", "False", "ScalingDisabled", message)]
    message = "the HPA was unable to compute the replica count: no metrics known for this workload"
    unknown = Verdict("ScalingActive", "False", "FailedGetResourceMetric", message)
    if now < least:
        message = "the desired replica count is less than the minimum replica count"
        return least, [able, unknown, Verdict("ScalingLimited", "True", "TooFewReplicas", message)]
    if now > most:
        message = "the desired replica count is more than the maximum replica count"
        return most, [able, unknown, Verdict("ScalingLimited", "True", "TooManyReplicas", message)]
    return now, [able, unknown]


def _status(autoscaler: Obj, figures: Obj, verdicts: Iterable[Verdict], now_stamp: str) -> list[Write]:
    live = autoscaler.get("status") or {}
    known = live.get("conditions") or []
    conditions = [_condition(find(known, verdict.type), verdict, now_stamp) for verdict in verdicts]
    change = merge_diff(live, {**figures, "conditions": conditions})
    return [Patch(ref_of(autoscaler), {"status": change}, subresource="status")] if change else []


def _condition(known: Obj | None, verdict: Verdict, now_stamp: str) -> Obj:
    since = known["lastTransitionTime"] if known is not None and known["status"] == verdict.status else now_stamp
    return {
        "type": verdict.type,
        "status": verdict.status,
        "lastTransitionTime": since,
        "reason": verdict.reason,
        "message": verdict.message,
    }


def look(view: View, namespace: str, name: str, now: float) -> Outcome:
    """Reconcile one autoscaler of a view."""
    autoscaler = view.get("HorizontalPodAutoscaler", namespace, name)
    if autoscaler is None or autoscaler["metadata"].get("deletionTimestamp"):
        return NOTHING
    reference = autoscaler["spec"]["scaleTargetRef"]
    target = view.get(reference["kind"], namespace, reference["name"]) if reference["kind"] in TARGETS else None
    return reconcile(autoscaler, target, stamp(now))


def _scalers_of(view: View, workload: Obj) -> Iterable[tuple[str, str]]:
    namespace, name = workload["metadata"]["namespace"], workload["metadata"]["name"]
    for autoscaler in view.by("HorizontalPodAutoscaler", "namespace", namespace):
        reference = autoscaler["spec"]["scaleTargetRef"]
        if (reference["kind"], reference["name"]) == (workload["kind"], name):
            yield namespace, autoscaler["metadata"]["name"]


CONTROLLER = Controller("autoscaler", {"HorizontalPodAutoscaler": itself, "Deployment": _scalers_of}, look)
