"""How a target with a pod template and its primary select their pods.

The primary has every label of the target's selector, with the value of one changed. A selector is immutable, so an
existing primary keeps its own, and its pods keep the labels that it needs.
"""

from __future__ import annotations

from pyflagger.api.facts import Fault, Problem
from pyflagger.api.selectors import Labels, Selector, renamed
from pyflagger.objects import Obj, part
from pyflagger.workloads import limits
from pyflagger.workloads.metadata import whose
from pyflagger.workloads.options import WorkloadOptions


def of(word: str, target: Obj, primary: Obj | None, options: WorkloadOptions) -> Selector | Problem:
    """From the target, and from its primary once that exists. `word` names the target's kind in texts."""
    labels = selected(target)
    label = next((each for each in options.selector_labels if each in labels), None)
    if label is None:
        return _unlabelled(word, target, options)
    if long := limits.primary_label(f"{word} {whose(target)}", label, labels[label]):
        return long
    wanted = renamed(labels, label)
    own = selected(primary) if primary else wanted
    carried = pod_labels(primary) if primary else {}
    further = {key: value for key, value in wanted.items() if key not in own and carried.get(key) == value}
    return Selector(label, labels, own, further)


def own(selector: Selector) -> dict[str, str]:
    """The label that marks a primary, by the target's selector."""
    return {selector.label: renamed(selector.canary, selector.label)[selector.label]}


def selected(workload: Obj) -> dict[str, str]:
    """The labels that a workload selects by. An expression with one possible value counts as a label."""
    selector = part(part(workload, "spec"), "selector")
    expressions = selector.get("matchExpressions") or ()
    exact = {each.get("key"): each.get("values") for each in expressions if each.get("operator") == "In"}
    single = {key: values[0] for key, values in exact.items() if values and len(values) == 1}
    return {key: value for key, value in {**single, **(selector.get("matchLabels") or {})}.items() if _is_text(value)}


def pod_labels(workload: Obj) -> Labels:
    """The labels in a workload's pod template."""
    found: Labels = part(part(part(workload, "spec"), "template"), "metadata").get("labels") or {}
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _unlabelled(word: str, target: Obj, options: WorkloadOptions) -> Problem:
    wanted = " ".join(options.selector_labels)
    text = f"{word} {whose(target)} spec.selector.matchLabels must contain one of [{wanted}]"
    todo = f"Select the {target['kind']}'s pods by one of these labels, or name yours with -selector-labels."
    return Problem(Fault.MANIFEST, text, todo, "spec.selector.matchLabels")
