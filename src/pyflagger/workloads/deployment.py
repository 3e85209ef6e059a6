"""Deployments as targets: their primary, promotion, readiness and scale."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Analysis, Canary, Service
from pyflagger.api.facts import Fault, Problem, Readiness
from pyflagger.objects import Obj, Patch, Resource, Write, controller_of, merge_diff, ref_of
from pyflagger.workloads import affinity, configs, ports, readiness
from pyflagger.workloads.configs import ConfigRef, Tracked
from pyflagger.workloads.options import Options, unmarked
from pyflagger.workloads.revision import pruned, revision

RESTART_MARK = "flagger-id"
COPIED = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")


class Deployment:
    """The kind Deployment of apps/v1."""

    scalable = True
    kinds: tuple[Resource, ...] = (Resource("apps", "v1", "deployments", "Deployment"),)

    def selector(self, canary: Canary, target: Obj, options: Options) -> tuple[str, str] | Problem:
        """The first of the selector labels that the Deployment selects by."""
        labels = _part(_part(target, "spec"), "selector").get("matchLabels") or {}
        for label in options.selector_labels:
            if isinstance(labels.get(label), str):
                return label, labels[label]
        name = f"{target['metadata']['name']}.{target['metadata'].get('namespace', '')}"
        wanted = " ".join(options.selector_labels)
        text = f"deployment {name} spec.selector.matchLabels must contain one of [{wanted}]"
        todo = "Select the Deployment's pods by one of these labels, or name yours with -selector-labels."
        return Problem(Fault.MANIFEST, text, todo, "spec.selector.matchLabels")

    def revision(self, target: Obj) -> str:
        """Digest of the pod template."""
        return revision(_part(_part(target, "spec"), "template"))

    def config_refs(self, target: Obj) -> tuple[ConfigRef, ...]:
        """As scanned in the pod spec."""
        return configs.references(_pod(target))

    def ports(self, canary: Canary, target: Obj) -> tuple[Obj, ...]:
        """Container ports, when port discovery is on."""
        service = canary.spec.service or Service(port=1)
        return ports.discovered(service, _pod(target)) if service.port_discovery else ()

    def readiness(self, canary: Canary, obj: Obj, role: str, now: float) -> Readiness:
        """By the rollout's status, with the prefix that says whose it is."""
        analysis = canary.spec.analysis or Analysis()
        thresholds = {"primary": analysis.primary_ready_threshold, "canary": analysis.canary_ready_threshold}
        found = readiness.deployment(obj, thresholds[role], canary.spec.progress_deadline_seconds, now)
        if found.ready:
            return found
        name = f"{obj['metadata']['name']}.{obj['metadata'].get('namespace', '')}"
        prefix = f"{name} not ready: " if role == "primary" else f"canary deployment {name} not ready: "
        return replace(found, text=prefix + found.text)

    def at_zero(self, obj: Obj) -> bool:
        """Told to run no replica; nothing said means one."""
        return bool(_part(obj, "spec").get("replicas", 1) == 0)

    def build_primary(
        self, canary: Canary, target: Obj, tracked: Tracked, options: Options, unique: str
    ) -> Obj | Problem:
        """A Deployment of its own that runs the target's pods."""
        found = self.selector(canary, target, options)
        if isinstance(found, Problem):
            return found
        label, value = found
        spec = _part(target, "spec")
        meta = target["metadata"]
        return {
            "apiVersion": target["apiVersion"],
            "kind": target["kind"],
            "metadata": {
                "name": names.primary(canary),
                "namespace": meta.get("namespace", ""),
                "labels": {**options.included(meta.get("labels")), label: f"{value}-primary"},
                "annotations": options.included(meta.get("annotations")),
                "ownerReferences": [names.owner_reference(canary)],
            },
            "spec": {
                **{key: copy.deepcopy(spec[key]) for key in COPIED if key in spec},
                "replicas": spec.get("replicas") or 1,
                "selector": {"matchLabels": {label: f"{value}-primary"}},
                "template": _template(canary, target, tracked, options, (label, value), unique),
            },
        }

    def matches(self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: Options) -> bool:
        """Whether the rendered template is the live one, its restart mark aside."""
        found = self.selector(canary, target, options)
        if isinstance(found, Problem):
            return False
        live = _part(_part(primary, "spec"), "template")
        mark = (_part(live, "metadata").get("annotations") or {}).get(RESTART_MARK, "")
        wanted = _template(canary, target, tracked, options, found, mark)
        if not mark:
            del wanted["metadata"]["annotations"][RESTART_MARK]
        return bool(pruned(wanted) == pruned(live))

    def promote(
        self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: Options, unique: str
    ) -> tuple[Write, ...] | Problem:
        """A patch with the target's template and rollout settings."""
        built = self.build_primary(canary, target, tracked, options, unique)
        if isinstance(built, Problem):
            return built
        if (problem := self.foreign(canary, primary)) is not None:
            return problem
        live = _part(primary, "spec")
        spec = {**live, **{key: built["spec"][key] for key in (*COPIED, "template") if key in built["spec"]}}
        if canary.spec.autoscaler_ref is None and _part(target, "spec").get("replicas"):
            spec["replicas"] = target["spec"]["replicas"]
        body: Obj = {"spec": merge_diff(live, spec)}
        meta = _metadata_change(primary, built)
        if meta:
            body["metadata"] = meta
        return (Patch(ref_of(primary), body, primary["metadata"].get("resourceVersion", "")),)

    def foreign(self, canary: Canary, primary: Obj) -> Problem | None:
        """A problem when the object with the primary's name is not this Canary's."""
        owner = controller_of(primary)
        if owner is not None and owner.get("kind") == "Canary" and owner.get("name") == canary.metadata.name:
            return None
        name = f"{primary['metadata']['name']}.{primary['metadata'].get('namespace', '')}"
        text = f"deployment {name} exists and belongs to somebody else: it cannot be the primary"
        return Problem(Fault.MANIFEST, text, f"Rename or delete deployment {name}.")

    def scale(self, target: Obj, replicas: int | None) -> tuple[Write, ...]:
        """A patch of the replica count."""
        return (Patch(ref_of(target), {"spec": {"replicas": replicas or 0}}),)

    def restored_replicas(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> int:
        """The count it has; else the autoscaler's minimum, or the primary's count; at least one."""
        own = _part(target, "spec").get("replicas", 1)
        if own:
            return int(own)
        if canary.spec.autoscaler_ref is not None:
            spec = _part(scaler or {}, "spec")
            return max(int(spec.get("minReplicas") or spec.get("minReplicaCount") or 1), 1)
        return max(int(_part(primary or {}, "spec").get("replicas") or 1), 1)

    def restore(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> tuple[Write, ...]:
        """As many replicas as the primary has."""
        if primary is None:
            return self.scale(target, self.restored_replicas(canary, target, None, scaler))
        wanted = _part(primary, "spec").get("replicas", 1)
        return () if _part(target, "spec").get("replicas", 1) == wanted else self.scale(target, wanted)


def _part(obj: Obj, key: str) -> Obj:
    value: Any = obj.get(key)
    return value if isinstance(value, dict) else {}


def _pod(target: Obj) -> Obj:
    return _part(_part(_part(target, "spec"), "template"), "spec")


def _template(
    canary: Canary, target: Obj, tracked: Tracked, options: Options, selector: tuple[str, str], unique: str
) -> Obj:
    label, value = selector
    meta = _part(_part(_part(target, "spec"), "template"), "metadata")
    pod = configs.renamed(_pod(target), tracked)
    return {
        "metadata": {
            "labels": {**unmarked(meta.get("labels")), label: f"{value}-primary"},
            "annotations": {**unmarked(meta.get("annotations")), RESTART_MARK: unique},
        },
        "spec": affinity.repointed(pod, options.selector_labels, {names.target(canary), value}),
    }


def _metadata_change(primary: Obj, built: Obj) -> Obj:
    """Labels and annotations that promotion sets; what others put there stays."""
    change: Obj = {}
    for part in ("labels", "annotations"):
        live, wanted = primary["metadata"].get(part) or {}, built["metadata"][part]
        missing = {key: value for key, value in wanted.items() if live.get(key) != value}
        if missing:
            change[part] = missing
    return change
