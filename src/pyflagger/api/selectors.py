"""The labels that distinguish the pods of a target from those of its primary, and both from all other pods.

`workloads` reads them from the selectors of live objects, and `routing` writes them into Services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

SUFFIX = "-primary"

Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Selector:
    """The pod selectors of target and primary. The value of `label` differs: the primary's ends in `-primary`.

    `canary` holds all labels of the target's selector. `primary` holds the labels of the primary's selector, or the
    ones it gets when it is created. `further` holds labels of the target's selector that the primary's template has and
    its selector lacks: a workload's selector is immutable, and an earlier version wrote `label` only. `rolled`: all
    pods of the primary have the further labels.
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
        """The Service selector of the primary's pods. `now` is the current selector of the Service.

        A further label is added once every pod has it. It stays while newer pods roll out, because they have it, too.
        """
        joined = {key: value for key, value in self.further.items() if self.rolled or now.get(key) == value}
        return {**self.primary, **joined}

    def selects_canary(self, now: Labels) -> bool:
        """Whether a Service with these labels as its selector, or some of them, selects the target's pods."""
        return self.label in now and all(self.canary.get(key) == value for key, value in now.items())


def renamed(labels: Labels, label: str) -> dict[str, str]:
    """The labels, with the primary's value for one of them."""
    return {**labels, label: labels[label] + SUFFIX}


def matches(selector: Labels, labels: Labels) -> bool:
    """Whether the selector selects a pod with these labels."""
    return all(labels.get(key) == value for key, value in selector.items())
