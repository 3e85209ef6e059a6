"""The owner of an object, read from its metadata, and the refusal to overwrite an object of another owner.

`operator.observe` and `workloads` use this for every derived name, because another object may already have that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj, controller_of, part, ref_of

NOBODY = "it names no owner"
HELM_RELEASE, HELM_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
MANAGED_BY = "app.kubernetes.io/managed-by"
TOOLS: Mapping[str, str] = {
    "argocd.argoproj.io/tracking-id": "Argo CD tracking ID",
    "argocd.argoproj.io/instance": "Argo CD application",
    "helm.toolkit.fluxcd.io/name": "Flux HelmRelease",
    "kapp.k14s.io/app": "kapp app",
    "kustomize.toolkit.fluxcd.io/name": "Flux Kustomization",
}
"""Labels and annotations that tools put on the objects they manage."""


def owner_of(obj: Mapping[str, Any]) -> str:
    """All owners that an object names, most reliable first: controller, Helm, GitOps tools, managed-by label."""
    return ", ".join(dict.fromkeys(_owners(obj))) or NOBODY


def _owners(obj: Mapping[str, Any]) -> Iterator[str]:
    meta = part(obj, "metadata")
    labels, annotations = part(meta, "labels"), part(meta, "annotations")
    if controller := controller_of(obj):
        yield f"{controller.get('kind')} {controller.get('name')}"
    else:
        yield from (f"{owner.get('kind')} {owner.get('name')}" for owner in meta.get("ownerReferences") or ())
    if canary := annotations.get(names.OWNER):
        yield f"Canary {canary}"
    if release := annotations.get(HELM_RELEASE):
        yield f"Helm release {release} of namespace {annotations.get(HELM_NAMESPACE, meta.get('namespace', ''))}"
    for key, tool in TOOLS.items():
        if found := annotations.get(key) or labels.get(key):
            yield f"{tool} {found}"
    if manager := labels.get(MANAGED_BY):
        yield f"{MANAGED_BY} {manager}"


def foreign(canary: Canary, obj: Obj) -> Problem:
    """The refusal to overwrite an object that has a derived name and another owner, with advice."""
    ref, named = ref_of(obj), owner_of(obj)
    text = f"{ref} exists and does not belong to this canary ({named}): flagger does not overwrite it"
    todo = f"Rename or delete {ref}."
    if controller_of(obj) is None:
        scope = f" -n {ref.namespace}" if ref.namespace else ""
        mark = f"{names.OWNER}={names.owner_mark(canary)}"
        todo += (
            f" If an earlier Canary left it behind, or a backup restored it, let flagger manage it:"
            f" kubectl{scope} annotate {ref.kind.lower()} {ref.name} {mark} --overwrite."
        )
    return Problem(Fault.MANIFEST, text, todo)
