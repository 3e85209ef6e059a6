"""How the outcomes of the metrics of a round make it pass, fail or wait, by the policy of each metric.

The probabilities of `core.policy`: the same states, for outcomes with known odds. A test holds both together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple, TypeAlias

from pyflagger.foresight.checks import Odds

Outcome: TypeAlias = Literal["pass", "bad", "none", "error"]
Verdict: TypeAlias = Literal["pass", "fail", "wait"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of a metric, with times in rounds.

    `patience`: the rounds without data in a row that hold the step. `delay`: the rounds at the start of a run in which
    it is not due.
    """

    no_data: Literal["fail", "wait", "pass"] = "fail"
    patience: int = 0
    error_limit: int = 0
    delay: int = 0


class Lapse(NamedTuple):
    """What a metric has lacked: `silent` rounds since the first without data, and `errors` in a row."""

    silent: int = 0
    errors: int = 0


NOTHING = Lapse()


class State(NamedTuple):
    """What the next round depends on, besides the step and the failed checks. `age`: the rounds so far, up to the
    longest delay."""

    age: int
    lapses: tuple[Lapse, ...]


Round: TypeAlias = Mapping[tuple[Verdict, State], float]
"""The probability of each result of a round."""


def judged(policy: Policy, lapse: Lapse, outcome: Outcome) -> tuple[Verdict, Lapse]:
    """What the outcome of a metric does to the round, and what it leaves."""
    if outcome == "none":
        return _silent(policy, lapse)
    if outcome == "error":
        kept = Lapse(_aged(policy, lapse), lapse.errors + 1)
        return ("wait", kept) if kept.errors <= policy.error_limit else ("fail", NOTHING)
    return ("fail" if outcome == "bad" else "pass", NOTHING)


def _silent(policy: Policy, lapse: Lapse) -> tuple[Verdict, Lapse]:
    if policy.no_data == "fail":
        return "fail", NOTHING
    if lapse.silent < policy.patience:
        return "wait", Lapse(max(1, _aged(policy, lapse) or 1))
    if policy.no_data == "pass":
        return "pass", Lapse(max(1, lapse.silent))
    return "fail", NOTHING


def _aged(policy: Policy, lapse: Lapse) -> int:
    """The rounds of silence at the next round, if it goes on; 0 without one."""
    return min(lapse.silent + 1, max(1, policy.patience)) if lapse.silent else 0


class Rounds:
    """The rounds of a run: `odds[step][metric]`, and the policy of each metric."""

    def __init__(self, odds: Sequence[Sequence[Odds]], policies: Sequence[Policy]) -> None:
        self._odds, self._policies = odds, policies
        self._oldest = max((policy.delay for policy in policies), default=0)
        self._known: dict[tuple[int, State], Round] = {}

    @property
    def start(self) -> State:
        """The state before the first check."""
        return State(0, (NOTHING,) * len(self._policies))

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self._odds)

    def at(self, step: int, state: State) -> Round:
        """The results of a round, with their probabilities."""
        known = self._known.get((step, state))
        if known is None:
            known = self._known[step, state] = self._results(step, state)
        return known

    def _results(self, step: int, state: State) -> Round:
        found: dict[tuple[Verdict, State], float] = defaultdict(float)
        age = min(self._oldest, state.age + 1)
        each = [self._metric(step, at, state) for at in range(len(self._policies))]
        for outcomes in product(*each):
            verdicts, mass = {verdict for verdict, _, _ in outcomes}, 1.0
            for *_, probability in outcomes:
                mass *= probability
            verdict: Verdict = "fail" if "fail" in verdicts else "wait" if "wait" in verdicts else "pass"
            found[verdict, State(age, tuple(lapse for _, lapse, _ in outcomes))] += mass
        return found

    def _metric(self, step: int, at: int, state: State) -> list[tuple[Verdict, Lapse, float]]:
        """The results of one metric, merged."""
        policy, lapse = self._policies[at], state.lapses[at]
        if state.age + 1 <= policy.delay:
            return [("pass", NOTHING, 1.0)]
        found: dict[tuple[Verdict, Lapse], float] = defaultdict(float)
        for outcome, probability in _outcomes(self._odds[step][at]):
            found[judged(policy, lapse, outcome)] += probability
        return [(verdict, after, probability) for (verdict, after), probability in found.items()]


def _outcomes(odds: Odds) -> Iterator[tuple[Outcome, float]]:
    yield from (("pass", odds.passed), ("bad", odds.bad))
    if odds.none:
        yield "none", odds.none
    if odds.error:
        yield "error", odds.error
