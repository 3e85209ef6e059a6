"""Label selectors inside a pod spec that mean the pods themselves: the primary's must mean the primary's pods.

Called when a primary is rendered; covers pod (anti-)affinity terms and topology spread constraints.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pyflagger.objects import Obj

SUFFIX = "-primary"


def repointed(pod: Obj, labels: Collection[str], values: Collection[str]) -> Obj:
    """Rewrite, in place, selectors on one of `labels` with one of `values` (the target's name and label value)."""
    for selector in _selectors(pod):
        exact = selector.get("matchLabels") or {}
        for key, value in exact.items():
            if key in labels and value in values:
                exact[key] = value + SUFFIX
        for expression in selector.get("matchExpressions") or ():
            if expression.get("key") in labels and expression.get("values"):
                expression["values"] = [v + SUFFIX if v in values else v for v in expression["values"]]
    return pod


def _selectors(pod: Obj) -> Iterator[Obj]:
    for constraint in pod.get("topologySpreadConstraints") or ():
        yield constraint.get("labelSelector") or {}
    affinity = pod.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        for term in _terms(affinity.get(kind) or {}):
            yield term.get("labelSelector") or {}


def _terms(rules: Obj) -> Iterator[Any]:
    yield from rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
        yield weighted.get("podAffinityTerm") or {}
