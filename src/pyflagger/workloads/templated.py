"""The common part of kinds with a pod template. Their primary is a workload of the same kind with its own selector.

One module extends it for each kind, with the other copied fields, the scaling and the readiness.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from pyflagger.api import names
from pyflagger.api.canary import Analysis, Canary, Phase, Service
from pyflagger.api.facts import Problem, Readiness
from pyflagger.api.owners import foreign
from pyflagger.api.selectors import Selector
from pyflagger.objects import Create, Obj, Patch, Ref, Resource, merge_diff, part, ref_of
from pyflagger.workloads import affinity, configs, copies, metadata, ports, selectors
from pyflagger.workloads.base import NOTHING_ELSE, Live, Writes
from pyflagger.workloads.configs import ConfigRef, Tracked
from pyflagger.workloads.listening import Listening, listening
from pyflagger.workloads.metadata import whose
from pyflagger.workloads.options import WorkloadOptions, unmarked
from pyflagger.workloads.revision import pruned, revision

RESTART_MARK = "flagger-id"


class Templated:
    """A kind of apps/v1. `word`: its name in texts. `copied`: the fields of its spec that a primary shares.

    `prefix`, by role: the start of texts about a workload that is not ready.
    """

    scalable = True
    kinds: tuple[Resource, ...]
    word: ClassVar[str]
    copied: ClassVar[tuple[str, ...]]
    prefix: ClassVar[Mapping[str, str]]

    # What a kind may override ---------------------------------------------------------------------------------------

    def refuses(self, target: Obj) -> Problem | None:
        """No target is refused."""
        return None

    def template(self, target: Obj) -> Obj:
        """The pod template, without what scales the target."""
        return part(part(target, "spec"), "template")

    def rollout(self, canary: Canary, obj: Obj, threshold: int, now: float) -> Readiness:
        """Whether its rollout is finished. `threshold` in percent of its pods."""
        raise NotImplementedError

    def served(self, canary: Canary, obj: Obj, now: float) -> Readiness:
        """Whether proxies had time to learn the pods of a finished rollout. Asked before a round."""
        raise NotImplementedError

    def size(self, canary: Canary, target: Obj, primary: Obj | None) -> Obj:
        """The fields for the number of pods that the primary takes from the target."""
        return {}

    # The target -----------------------------------------------------------------------------------------------------

    def selector(
        self, canary: Canary, target: Obj, primary: Obj | None, options: WorkloadOptions
    ) -> Selector | Problem:
        """All labels of the target's selector. The first of the selector labels gets another value on the primary."""
        found = selectors.of(self.word, target, primary, options)
        if isinstance(found, Problem) or primary is None or not found.further:
            return found
        return replace(found, rolled=self.rollout(canary, primary, 0, 0.0).ready)

    def revision(self, target: Obj) -> str:
        """Digest of the pod template."""
        return revision(self.template(target))

    def config_refs(self, target: Obj) -> tuple[ConfigRef, ...]:
        """The references in the pod spec."""
        return configs.references(part(self.template(target), "spec"))

    def ports(self, canary: Canary, target: Obj) -> tuple[Obj, ...]:
        """The container ports, with port discovery on."""
        service = canary.spec.service or Service(port=1)
        return ports.discovered(service, part(self.template(target), "spec")) if service.port_discovery else ()

    def listening(self, obj: Obj) -> Listening | None:
        """The ports that the containers of its template declare."""
        return listening(f"{self.word} {whose(obj)}", part(self.template(obj), "spec"))

    # The primary ----------------------------------------------------------------------------------------------------

    def primary(self, canary: Canary) -> Ref:
        """A workload of the same kind in the target's namespace."""
        ref = canary.spec.target_ref
        return Ref(ref.api_version, ref.kind, canary.metadata.namespace, names.primary(canary))

    def is_primary(self, canary: Canary, found: Obj) -> bool | Problem:
        """Whether this Canary owns it; a Problem for an object with another owner."""
        return names.is_owned(canary, found) or foreign(canary, found)

    def create_primary(
        self, canary: Canary, target: Obj, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Writes | Problem:
        """The write that creates it."""
        built = self.build_primary(canary, target, tracked, options, unique)
        return built if isinstance(built, Problem) else (Create(built),)

    def build_primary(
        self, canary: Canary, target: Obj, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Obj | Problem:
        """The primary as a new object."""
        return self._built(canary, target, None, tracked, options, unique)

    def _built(
        self, canary: Canary, target: Obj, primary: Obj | None, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Obj | Problem:
        found = selectors.of(self.word, target, primary, options)
        if isinstance(found, Problem):
            return found
        spec, meta = part(target, "spec"), target["metadata"]
        return {
            "apiVersion": target["apiVersion"],
            "kind": target["kind"],
            "metadata": {
                "name": names.primary(canary),
                "namespace": meta.get("namespace", ""),
                "labels": {**options.included(meta.get("labels")), **selectors.own(found)},
                "annotations": {**options.included(meta.get("annotations")), **copies.noted(tracked)},
                "ownerReferences": [names.owner_reference(canary)],
            },
            "spec": {
                **{key: copy.deepcopy(spec[key]) for key in self.copied if key in spec},
                **self.size(canary, target, None),
                "selector": {"matchLabels": dict(found.primary)},
                "template": self._rendered(canary, target, tracked, options, found, unique),
            },
        }

    def matches(self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: WorkloadOptions) -> bool:
        """Whether the rendered template equals the live one, apart from the restart mark."""
        found = selectors.of(self.word, target, primary, options)
        if isinstance(found, Problem):
            return False
        live = part(part(primary, "spec"), "template")
        mark = (part(live, "metadata").get("annotations") or {}).get(RESTART_MARK, "")
        used = configs.as_used(tracked, part(live, "spec"), canary.metadata.name)
        wanted = self._rendered(canary, target, used, options, found, mark)
        if not mark:
            del wanted["metadata"]["annotations"][RESTART_MARK]
        return bool(pruned(wanted) == pruned(live))

    def promote(
        self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Writes | Problem:
        """A patch with the target's template and rollout settings."""
        built = self._built(canary, target, primary, tracked, options, unique)
        if isinstance(built, Problem):
            return built
        if isinstance(found := self.is_primary(canary, primary), Problem):
            return found
        live = part(primary, "spec")
        spec = {**live, **{key: built["spec"][key] for key in (*self.copied, "template") if key in built["spec"]}}
        body: Obj = {"spec": merge_diff(live, {**spec, **self.size(canary, target, primary)})}
        if meta := metadata.change(primary, built["metadata"]):
            body["metadata"] = meta
        return (Patch(ref_of(primary), body, primary["metadata"].get("resourceVersion", "")),)

    def _rendered(
        self, canary: Canary, target: Obj, tracked: Tracked, options: WorkloadOptions, found: Selector, unique: str
    ) -> Obj:
        template, value = self.template(target), found.canary[found.label]
        meta, pod = part(template, "metadata"), configs.renamed(part(template, "spec"), tracked)
        return {
            "metadata": {
                "labels": {**unmarked(meta.get("labels")), **selectors.own(found), **found.primary},
                "annotations": {**unmarked(meta.get("annotations")), RESTART_MARK: unique},
            },
            "spec": affinity.repointed(pod, found.label, value, options.selector_labels, names.target(canary)),
        }

    # Readiness ------------------------------------------------------------------------------------------------------

    def reads(self, canary: Canary, target: Obj) -> tuple[Ref, ...]:
        """None: its own status is sufficient."""
        return ()

    def readiness(self, canary: Canary, obj: Obj, role: str, now: float, live: Live = NOTHING_ELSE) -> Readiness:
        """By the rollout's status. During a run, proxies must also have had time to learn the canary's pods."""
        analysis = canary.spec.analysis or Analysis()
        thresholds = {"primary": analysis.primary_ready_threshold, "canary": analysis.canary_ready_threshold}
        found = self.rollout(canary, obj, thresholds[role], now)
        if found.ready and role == "canary" and canary.status.phase is Phase.PROGRESSING:
            found = self.served(canary, obj, now)
        return found if found.ready else replace(found, text=f"{self.prefix[role]}{whose(obj)} not ready: {found.text}")

    def service(self, canary: Canary, target: Obj, live: Obj | None, options: WorkloadOptions) -> Writes | Problem:
        """None: its Services have a selector."""
        return ()
