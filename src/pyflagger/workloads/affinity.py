"""Rewrites label selectors in a pod spec that select the target's own pods, so that they select the primary's pods.

Applied when a primary is rendered. Covers pod (anti-)affinity terms and topology spread constraints.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pyflagger.api.selectors import SUFFIX
from pyflagger.objects import Obj


def repointed(pod: Obj, label: str, value: str, labels: Collection[str], name: str) -> Obj:
    """Rewrite, in place, selectors of the target's pods by its name or by the value of its label.

    Only `label` has another value on the primary's pods. A selector by another one of `labels` gets `label` in
    addition: otherwise it would select the pods of both.
    """
    meant = {name, value}
    for selector in _selectors(pod):
        exact = selector.get("matchLabels") or {}
        others = any(key in labels and found in meant for key, found in exact.items())
        if exact.get(label) in meant:
            exact[label] += SUFFIX
        elif others and label not in exact:
            exact[label] = value + SUFFIX
        for expression in selector.get("matchExpressions") or ():
            if expression.get("key") == label and expression.get("values"):
                expression["values"] = [found + SUFFIX if found in meant else found for found in expression["values"]]
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
