"""The steps of a release, from the analysis of a raw Canary. Used by `fleet` and `picture`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pyflagger.api.defaults import KUBERNETES_ITERATIONS, Strategy
from pyflagger.seeing import raw

KUBERNETES = "kubernetes"
"""The provider that splits no traffic."""


class Plan(NamedTuple):
    """The steps of a strategy: weights in percent, or a count of iterations."""

    strategy: Strategy
    weights: tuple[int, ...] = ()
    iterations: int = 0

    @property
    def most(self) -> int:
        """The largest weight; 0 without weights."""
        return max(self.weights, default=0)

    def done(self, weight: int, iterations: int) -> int:
        """How many steps are done at a weight, or after some iterations."""
        if self.strategy == "canary":
            return sum(step <= weight for step in self.weights)
        return min(iterations, self.iterations)

    @property
    def length(self) -> int:
        """The number of steps before the promotion."""
        return len(self.weights) if self.strategy == "canary" else self.iterations


def plan_of(analysis: Mapping[str, Any], provider: str) -> Plan:
    """The plan of an analysis. `provider`: that of the spec, or of the operator."""
    iterations = raw.number(analysis, "iterations")
    if provider == KUBERNETES:
        return Plan("blue-green", iterations=iterations if iterations > 0 else KUBERNETES_ITERATIONS)
    if iterations > 0:
        matched = bool(raw.items(analysis, "match"))
        return Plan("ab-testing" if matched else "blue-green", iterations=iterations)
    return Plan("canary", _weights(analysis))


def _weights(analysis: Mapping[str, Any]) -> tuple[int, ...]:
    """The weights that a canary takes, one after the other, as `core.strategy` chooses them."""
    step, most = raw.number(analysis, "stepWeight"), raw.number(analysis, "maxWeight")
    listed = analysis.get("stepWeights")
    chosen = [each for each in listed if isinstance(each, int)] if isinstance(listed, list) else []
    most = min(100, chosen[-1]) if chosen and not step else most if most > 0 else 100
    if step > 0:
        return _until(most, [min(100, each) for each in range(step, 100 + step, step)])
    return _until(most, sorted({min(100, each) for each in chosen if each > 0}))


def _until(most: int, weights: Sequence[int]) -> tuple[int, ...]:
    """The weights up to the first that reaches `most`; none if no weight is below it."""
    if most <= 0:
        return ()
    below = sum(weight < most for weight in weights)
    return tuple(weights[: below + 1]) if most > 0 else ()
