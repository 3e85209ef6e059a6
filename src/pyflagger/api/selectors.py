"""The labels that tell the pods of a target from those of its primary, and both from every other pod.

Made by `workloads` from the selectors of live objects; `routing` gives them to Services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

SUFFIX = "-primary"

Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Selector:
    """How pods are selected. `label` is the one whose value differs: the primary's ends in `-primary`.

    `canary` are all labels of the target's selector. `primary` are the labels that the primary selects by, or will once
    it exists. `further` are labels of the target's selector that the primary's template has and its selector lacks: the
    selector of a workload is immutable, and an earlier version wrote `label` alone. `rolled`: all its pods have them.
    """

    label: str
    canary: Labels
    primary: Labels
    further: Labels = field(default_factory=dict)
    rolled: bool = True

    def of_canary(self) -> dict[str, str]:
        """The Service selector of the target's pods."""
        return dict(self.canary)

    def of_primary(self, now: Labels) -> dict[str, str]:
        """The Service selector of the primary's pods. `now` is what the Service selects by at this moment.

        A label joins only once every pod has it, and stays while newer pods roll out that have it as well.
        """
        joined = {key: value for key, value in self.further.items() if self.rolled or now.get(key) == value}
        return {**self.primary, **joined}

    def selects_canary(self, now: Labels) -> bool:
        """Whether a Service that selects by these labels, perhaps fewer than all, leads to the target's pods."""
        return self.label in now and all(self.canary.get(key) == value for key, value in now.items())


def renamed(labels: Labels, label: str) -> dict[str, str]:
    """The labels with the value of one of them as it is at the primary."""
    return {**labels, label: labels[label] + SUFFIX}


def matches(selector: Labels, labels: Labels) -> bool:
    """Whether a pod with these labels is selected."""
    return all(labels.get(key) == value for key, value in selector.items())
