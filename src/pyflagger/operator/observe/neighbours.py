"""Other workloads of the namespace whose pods the Services of a canary would also select.

`operator.observe` checks this until the primary exists, in the watch cache: it sees only kinds that are watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyflagger.api.canary import Phase
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.selectors import Labels, Selector, matches
from pyflagger.kube.cache import Cache
from pyflagger.kube.resources import DAEMON_SETS, DEPLOYMENTS
from pyflagger.objects import Obj, Ref, part, ref_of
from pyflagger.operator.observe.compiled import CompiledCanary
from pyflagger.workloads.metadata import whose
from pyflagger.workloads.selectors import pod_labels


def neighbours(compiled: CompiledCanary, selector: Selector, cache: Cache) -> Iterator[Obj]:
    """Workloads whose pods have all labels of the canary's or primary's Service selector."""
    if compiled.canary.status.phase not in (Phase.NEW, Phase.INITIALIZING) or cache.get(compiled.primary) is not None:
        return
    found = (obj for kind in (DEPLOYMENTS, DAEMON_SETS) for obj in cache.list(kind))
    yield from sharing(compiled.target, (selector.canary, selector.primary), found)


def sharing(target: Ref, selected: Iterable[Labels], workloads: Iterable[Obj]) -> Iterator[Obj]:
    """The other workloads of the target's namespace with pods that one of these selectors matches."""
    either = tuple(selected)
    for workload in workloads:
        meta = workload["metadata"]
        if meta.get("namespace") != target.namespace or "deletionTimestamp" in meta or ref_of(workload) == target:
            continue
        runs = part(workload, "spec").get("replicas") != 0
        if runs and any(matches(labels, pod_labels(workload)) for labels in either):
            yield workload


def mixed(target: Ref, selector: Selector, other: Obj) -> Problem:
    """The problem of two workloads whose visitors would reach the pods of both."""
    kind, labels = target.kind.lower(), ", ".join(f"{key}={value}" for key, value in sorted(selector.canary.items()))
    text = (
        f"{kind} {target.name}.{target.namespace} selects pods by {labels}, and the pods of "
        f"{other['kind'].lower()} {whose(other)} have these labels as well: the Services of the canary would mix them"
    )
    todo = "Give the two another value of one label in spec.selector.matchLabels, such as app.kubernetes.io/instance."
    return Problem(Fault.MANIFEST, text, todo, "spec.targetRef")
