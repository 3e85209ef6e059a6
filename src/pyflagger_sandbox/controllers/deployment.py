"""The Deployment controller: computes the writes for a Deployment and its ReplicaSets.

`reconcile` is pure. It finds or creates the ReplicaSet of the current template, moves replicas to it within the
strategy's bounds, keeps revisions, and reports progress. `manager` runs it. It does not read pods.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

from pyflagger.objects import Create, Delete, Obj, Patch, Write, merge_diff, ref_of

from . import progress, rollout
from .cache import View
from .manager import Controller
from .outcome import NOTHING, Outcome, Said
from .owned import claim, itself, owner_key
from .progress import Verdict
from .rollout import desired
from .templates import HASH_LABEL, owner_reference, template_hash

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
HISTORY_DEFAULT = 10
_NOT_COPIED = frozenset(
    {
        REVISION,
        HISTORY,
        rollout.DESIRED,
        rollout.MAX,
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
    }
)


def reconcile(deployment: Obj, replicasets: Sequence[Obj], now: float) -> Outcome:
    """The writes for a Deployment that owns these ReplicaSets. `now` is in seconds since the epoch."""
    if deployment["metadata"].get("deletionTimestamp"):
        return NOTHING
    new = _current(deployment, replicasets)
    old = [replicaset for replicaset in replicasets if replicaset is not new]
    conditions = _paused_conditions(deployment, now)
    if deployment["spec"].get("paused") or rollout.rescaled(deployment, replicasets):
        sizes = rollout.scale(deployment, new, old)
        return _finish(deployment, new, old, _resize(deployment, replicasets, sizes), conditions, now)
    if new is None:
        if not rollout.rolling(deployment) and _pods_left(old):
            return _finish(deployment, new, old, _resize(deployment, old, _emptied(old)), conditions, now)
        return _begin(deployment, old, conditions, now)
    writes, said = _resize(deployment, replicasets, _sizes(deployment, new, old))
    writes += _revise(deployment, new, old) + _prune(deployment, new, old)
    if progress.deadline(deployment) is not None and progress.find(conditions, "Progressing") is None:
        found = Verdict(
            "Progressing", "True", "FoundNewReplicaSet", f'Found new replica set "{new["metadata"]["name"]}"'
        )
        conditions = progress.put(conditions, found, now)
    return _finish(deployment, new, old, (writes, said), conditions, now)


def _current(deployment: Obj, replicasets: Iterable[Obj]) -> Obj | None:
    """The ReplicaSet of the current template."""
    wanted = template_hash(deployment["spec"]["template"])
    return next((rs for rs in replicasets if (rs["metadata"].get("labels") or {}).get(HASH_LABEL) == wanted), None)


def _begin(deployment: Obj, old: Sequence[Obj], conditions: Sequence[Obj], now: float) -> Outcome:
    """Create the ReplicaSet of a new template."""
    new = _replicaset(deployment, old)
    name, size = new["metadata"]["name"], desired(new)
    said = [_scaled(deployment, name, 0, size)] if size else []
    if progress.deadline(deployment) is not None:
        verdict = Verdict("Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
        conditions = progress.put(conditions, verdict, now)
    writes: list[Write] = [Create(new), *_stamp_revision(deployment, new["metadata"]["annotations"][REVISION])]
    return _finish(deployment, new, old, (writes, said), conditions, now)


def _replicaset(deployment: Obj, old: Sequence[Obj]) -> Obj:
    spec, meta = deployment["spec"], deployment["metadata"]
    mark = template_hash(spec["template"])
    template = copy.deepcopy(spec["template"])
    template["metadata"] = dict(template.get("metadata") or {})
    template["metadata"]["labels"] = dict(template["metadata"].get("labels") or {}) | {HASH_LABEL: mark}
    selector = copy.deepcopy(spec["selector"])
    selector["matchLabels"] = dict(selector.get("matchLabels") or {}) | {HASH_LABEL: mark}
    annotations = _copied(deployment) | dict(rollout.marks(deployment)) | {REVISION: str(_newest(old) + 1)}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{mark}",
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": rollout.first_replicas(deployment, old),
            "minReadySeconds": spec.get("minReadySeconds") or 0,
            "selector": selector,
            "template": template,
        },
    }


def _copied(deployment: Obj) -> dict[str, str]:
    annotations = deployment["metadata"].get("annotations") or {}
    return {name: value for name, value in annotations.items() if name not in _NOT_COPIED}


def _sizes(deployment: Obj, new: Obj, old: Sequence[Obj]) -> dict[str, int]:
    """The next sizes. Grows before it shrinks, in separate steps, and decides each on the result of the last."""
    if not rollout.rolling(deployment):
        if rollout.sized(old):
            return _emptied(old)
        return {} if _pods_left(old) else {new["metadata"]["name"]: desired(deployment)}
    size = rollout.grow(deployment, new, [*old, new])
    if size != desired(new):
        return {new["metadata"]["name"]: size}
    return rollout.shrink(deployment, new, old)


def _emptied(old: Iterable[Obj]) -> dict[str, int]:
    return {replicaset["metadata"]["name"]: 0 for replicaset in rollout.sized(old)}


def _pods_left(old: Iterable[Obj]) -> bool:
    return any(desired(replicaset) or rollout.reported(replicaset, "replicas") for replicaset in old)


def _resize(deployment: Obj, replicasets: Iterable[Obj], sizes: Mapping[str, int]) -> tuple[list[Write], list[Said]]:
    writes: list[Write] = []
    said: list[Said] = []
    for replicaset in replicasets:
        name, before = replicaset["metadata"]["name"], desired(replicaset)
        size = sizes.get(name)
        if size is None:
            continue
        annotations = replicaset["metadata"].get("annotations") or {}
        change: Obj = {}
        if size != before:
            change["spec"] = {"replicas": size}
            said.append(_scaled(deployment, name, before, size))
        if not rollout.marks(deployment).items() <= annotations.items():
            change["metadata"] = {"annotations": dict(rollout.marks(deployment))}
        if change:
            writes.append(Patch(ref_of(replicaset), change, replicaset["metadata"].get("resourceVersion", "")))
    return writes, said


def _scaled(deployment: Obj, name: str, before: int, after: int) -> Said:
    way = "up" if after > before else "down"
    return Said(deployment, "Normal", "ScalingReplicaSet", f"Scaled {way} replica set {name} from {before} to {after}")


def revision(obj: Obj) -> int:
    """The revision of a ReplicaSet or Deployment, by default 0."""
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def _newest(replicasets: Iterable[Obj]) -> int:
    return max(map(revision, replicasets), default=0)


def _revise(deployment: Obj, new: Obj, old: Sequence[Obj]) -> list[Write]:
    """Give a reused template the next revision number, and record its earlier numbers."""
    number, newest = revision(new), _newest(old) + 1
    known = new["metadata"].get("annotations") or {}
    wanted = {name: value for name, value in _copied(deployment).items() if known.get(name) != value}
    if number < newest:
        wanted[REVISION] = str(newest)
        if number:
            wanted[HISTORY] = ",".join(filter(None, (known.get(HISTORY, ""), str(number))))
    writes: list[Write] = [Patch(ref_of(new), {"metadata": {"annotations": wanted}})] if wanted else []
    return writes + _stamp_revision(deployment, str(max(number, newest)))


def _stamp_revision(deployment: Obj, number: str) -> list[Write]:
    if revision(deployment) == int(number):
        return []
    return [Patch(ref_of(deployment), {"metadata": {"annotations": {REVISION: number}}})]


def _prune(deployment: Obj, new: Obj, old: Sequence[Obj]) -> list[Write]:
    """Delete the oldest revisions above the limit when the rollout is complete and they have no pods."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    limit = HISTORY_DEFAULT if limit is None else int(limit)
    if len(old) <= limit or not progress.complete(deployment, progress.figures(deployment, new, [*old, new])):
        return []
    surplus = sorted(old, key=revision)[: len(old) - limit]
    return [
        Delete(ref_of(rs)) for rs in surplus if not _pods_left([rs]) and not rs["metadata"].get("deletionTimestamp")
    ]


def _paused_conditions(deployment: Obj, now: float) -> list[Obj]:
    conditions = list((deployment.get("status") or {}).get("conditions") or ())
    known = progress.find(conditions, "Progressing")
    if progress.deadline(deployment) is None or (known and known["reason"] == progress.EXCEEDED):
        return conditions
    paused, was_paused = bool(deployment["spec"].get("paused")), bool(known and known["reason"] == "DeploymentPaused")
    if paused and not was_paused:
        return progress.put(
            conditions, Verdict("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"), now
        )
    if was_paused and not paused:
        verdict = Verdict("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
        return progress.put(conditions, verdict, now)
    return conditions


def _finish(
    deployment: Obj,
    new: Obj | None,
    old: Sequence[Obj],
    done: tuple[list[Write], list[Said]],
    conditions: Sequence[Obj],
    now: float,
) -> Outcome:
    """The writes, with the status last: it must never report a write that did not happen."""
    writes, said = done
    numbers = progress.figures(deployment, new, [*old, *((new,) if new else ())])
    conditions = progress.put(conditions, progress.availability(deployment, numbers), now)
    if not deployment["spec"].get("paused"):
        conditions = progress.progressing(deployment, conditions, numbers, new, now)
    status = {name: value for name, value in numbers.items() if value} | {"conditions": conditions}
    live = {
        name: value
        for name, value in (deployment.get("status") or {}).items()
        if name in numbers or name == "conditions"
    }
    change = merge_diff(live, status)
    if change:
        writes = [*writes, Patch(ref_of(deployment), {"status": change}, subresource="status")]
    return Outcome(tuple(writes), progress.overdue_in(deployment, conditions, now), tuple(said))


def look(view: View, namespace: str, name: str, now: float) -> Outcome:
    """Reconcile one Deployment of a view. Adopts matching ReplicaSets without an owner."""
    deployment = view.get("Deployment", namespace, name)
    if deployment is None:
        return NOTHING
    owned, adoptions = claim(view, deployment, "ReplicaSet")
    return Outcome(tuple(adoptions)) if adoptions else reconcile(deployment, owned, now)


CONTROLLER = Controller("deployment", {"Deployment": itself, "ReplicaSet": owner_key("Deployment")}, look)
