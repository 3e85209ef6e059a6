"""The policy of each metric: what missing data, errors, too few samples and a dry run do to a round.

Without a policy, whatever does not pass is a failed check, as in Flagger. Called by `analysis`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from pyflagger.api import durations
from pyflagger.api.canary import Metric, Phase
from pyflagger.api.compared import Comparison, odds
from pyflagger.api.durations import stamp
from pyflagger.api.facts import Fault
from pyflagger.api.published import CHECKS_MAX, TEXT_MAX, CheckResult
from pyflagger.core import comparison, reasons
from pyflagger.core.actions import once
from pyflagger.core.decision import Action, Decision, Reason
from pyflagger.core.memory import Lapse, Time
from pyflagger.core.situation import NoData, Value
from pyflagger.core.verdict import Check, checks, judge, lacks_data, measured, unusable
from pyflagger.core.view import View

State: TypeAlias = Literal["passed", "failed", "waiting", "not due"]

WAIT_INTERVALS = 10
"""Intervals of the analysis that `noData: wait` holds a step, unless noDataAfter is set."""

RESULTS_MAX = 2048
"""Maximum number of characters of the results in a status."""

_NONE = Lapse()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one check. `reason`: why it does not pass, or passes without data. `lapse`: what to remember.

    `comparison`: what the comparison with the primary has shown so far. `unable`: why it did not judge this round.
    """

    check: Check
    state: State
    shown: str = ""
    reason: Reason | None = None
    lapse: Lapse = _NONE
    value: float | None = None
    primary: float | None = None
    comparison: Comparison | None = None
    unable: Reason | None = None

    @property
    def published(self) -> CheckResult:
        """The outcome for the status."""
        name, text = self.check.metric.name, self.reason.text[:TEXT_MAX] if self.reason else ""
        seen = None if self.comparison is None else comparison.shown(self.comparison)
        return CheckResult(name, self.value, self._verdict, text, self.primary, seen)

    @property
    def doubtful(self) -> bool:
        """Whether a comparison waits for more evidence."""
        return self.reason is not None and self.reason.code == comparison.DOUBTFUL

    @property
    def _verdict(self) -> str:
        """What the result means, whatever the policy makes of it."""
        if self.state == "not due" or self.doubtful:
            return "unknown"
        if self.reason is None:
            return "pass"
        if lacks_data(self.reason):
            return "no-data"
        return "error" if self.reason.fault is not None else "bad"

    @property
    def text(self) -> str:
        """The outcome in words: `request-success-rate 98.69%: failed`."""
        about = f"{self.check.metric.name} {self.shown}".rstrip()
        if self.comparison is not None:
            about += f" (evidence {odds(comparison.shown(self.comparison))})"
        return f"{about}: {self.state}{' (dry run)' if self.check.metric.dry_run else ''}"

    def decides(self, state: State) -> bool:
        """Whether it has this state and is no dry run."""
        return self.state == state and not self.check.metric.dry_run


@dataclass(frozen=True, slots=True)
class Results:
    """The outcomes of all checks of a round, in order."""

    outcomes: tuple[Outcome, ...] = ()

    def first(self, state: State) -> Reason | None:
        """The reason of the first check with this state that decides."""
        return next((outcome.reason for outcome in self.outcomes if outcome.decides(state)), None)

    @property
    def text(self) -> str:
        """All outcomes in words."""
        return "; ".join(outcome.text for outcome in self.outcomes)[:RESULTS_MAX]

    @property
    def published(self) -> tuple[CheckResult, ...]:
        """The results for the status, in order."""
        return tuple(outcome.published for outcome in self.outcomes[:CHECKS_MAX])

    @property
    def compared(self) -> tuple[tuple[Metric, Comparison], ...]:
        """The comparisons of the metrics that decide."""
        return tuple(
            (one.check.metric, one.comparison)
            for one in self.outcomes
            if one.comparison is not None and not one.check.metric.dry_run
        )

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons, for the status."""
        return tuple(one.comparison for one in self.outcomes if one.comparison is not None)

    @property
    def lapses(self) -> Mapping[tuple[int, str], Lapse]:
        """What to remember of the checks."""
        return {outcome.check.key: outcome.lapse for outcome in self.outcomes if outcome.lapse != _NONE}

    def told(self, view: View) -> tuple[Action, ...]:
        """The events about checks that do not pass and do not fail the round: dry runs, waits, passes without data."""
        said: tuple[Action, ...] = ()
        for outcome in self.outcomes:
            if outcome.unable is not None:
                said += once(view, outcome.unable, warn=True, item=outcome.check.metric.name)
            if outcome.reason is None or outcome.decides("failed"):
                continue
            dry = outcome.check.metric.dry_run
            reason = _dry_run(outcome.check.metric.name, outcome.reason) if dry else outcome.reason
            said += once(view, reason, warn=not dry, item="/".join(map(str, outcome.check.key)))
        return said


def measure(view: View) -> Decision | Results:
    """The decision to ask for all metrics of a round at once, or their outcomes."""
    every = tuple(checks(view.analysis))
    due = [check for check in every if check.need is not None and not delayed(view, check.metric)]
    needs = [need for check in due for need in (check.need, comparison.need(view, check))]
    missing = tuple(need for need in needs if need is not None and need not in view.situation.evidence)
    if missing:
        return Decision(needs=missing, reasons=(reasons.ASKING,))
    return Results(tuple(_with_numbers(view, _compared(view, check)) for check in every))


def _compared(view: View, check: Check) -> Outcome:
    """The outcome of a check. While its comparison has data, the limits of the metric do not judge it."""
    after = comparison.state(view, check)
    if after is None:
        return _outcome(view, check)
    if not comparison.judges(view, check, after):
        return replace(_outcome(view, check), comparison=after, unable=comparison.unable(view, check))
    result = view.situation.evidence[check.need] if check.need else NoData()
    doubt = comparison.doubt(view, check.metric, after)
    state: State = "waiting" if doubt else "passed"
    return Outcome(check, state, measured(check.metric, "builtin", result), doubt, comparison=after)


def _with_numbers(view: View, outcome: Outcome) -> Outcome:
    """The outcome with the numbers that the provider returned."""
    need = outcome.check.need
    result = view.situation.evidence.get(need) if need else None
    if not isinstance(result, Value):
        return outcome
    return replace(outcome, value=_digits(result.value), primary=_digits(result.primary))


def _digits(number: float | None) -> float | None:
    """A finite number with six digits."""
    return None if number is None or not math.isfinite(number) else float(f"{number:.6g}")


def delayed(view: View, metric: Metric) -> bool:
    """Whether a run is too young for this metric. After a wait for approval, and in its last round, it never is."""
    since, status = view.status.last_transition_time, view.status
    if not metric.initial_delay or since is None or status.phase is not Phase.PROGRESSING:
        return False
    return status.iterations <= view.iterations and view.now - since < durations.parse(metric.initial_delay)


def _outcome(view: View, check: Check) -> Outcome:
    if check.need is None:
        return Outcome(check, "failed", reason=unusable())
    if delayed(view, check.metric):
        return Outcome(check, "not due")
    result = view.situation.evidence[check.need]
    reason = judge(view.canary, view.situation.provider, check.metric, check.need.source, result)
    shown = measured(check.metric, check.need.source, result)
    if reason is None:
        return Outcome(check, "passed", shown)
    before = view.memory.lapses.get(check.key, _NONE)
    if lacks_data(reason):
        return _silent(view, Outcome(check, "failed", shown, reason, before))
    if reason.fault in (Fault.PROVIDER, Fault.CLUSTER):
        return _erred(Outcome(check, "failed", shown, reason, before))
    return Outcome(check, "failed", shown, reason)


def _silent(view: View, failed: Outcome) -> Outcome:
    """A check without data, by `noData`. `failed`: the outcome if it fails, with the lapse before it."""
    metric, reason = failed.check.metric, failed.reason
    if reason is None or metric.no_data == "fail":
        return replace(failed, lapse=_NONE)
    since = Time(view.now) if failed.lapse.silent_since is None else failed.lapse.silent_since
    until, lapse = since + _patience(view, metric), Lapse(since)
    if view.now < until:
        ends = "passes" if metric.no_data == "pass" else "fails"
        return replace(failed, state="waiting", reason=_awaits(reason, stamp(until), ends), lapse=lapse)
    if metric.no_data == "pass":
        return replace(failed, state="passed", reason=_passes_unseen(metric.name, reason), lapse=lapse)
    return replace(failed, lapse=_NONE)


def _patience(view: View, metric: Metric) -> float:
    """Seconds that missing data holds the step."""
    if metric.no_data_after:
        return durations.parse(metric.no_data_after)
    return WAIT_INTERVALS * view.situation.interval if metric.no_data == "wait" else 0.0


def _erred(failed: Outcome) -> Outcome:
    """A check whose query failed, by `errorLimit`. `failed`: as in `_silent`."""
    metric, reason, errors = failed.check.metric, failed.reason, failed.lapse.errors + 1
    if reason is None or errors > metric.error_limit:
        return replace(failed, lapse=_NONE)
    lapse = replace(failed.lapse, errors=errors)
    return replace(failed, state="waiting", reason=_tolerated(reason, errors, metric.error_limit), lapse=lapse)


def _awaits(reason: Reason, until: str, ends: str) -> Reason:
    text = f"Waiting for data until {until}, then the check {ends}: {bare(reason)}"
    return Reason("waiting-for-data", text, reason.todo, reason.fault)


def _passes_unseen(name: str, reason: Reason) -> Reason:
    text = f"Metric {name} passes without data, because noData is pass: {bare(reason)}"
    return Reason("passed-without-data", text, reason.todo, reason.fault)


def _tolerated(reason: Reason, errors: int, most: int) -> Reason:
    text = f"{reason.text.rstrip('. ')} (error {errors} in a row: flagger holds the step and counts no failed check"
    return Reason("error-tolerated", f"{text} before error {most + 1})", reason.todo, reason.fault)


def _dry_run(name: str, reason: Reason) -> Reason:
    return Reason("dry-run", f"Dry run of metric {name}, which does not decide: {bare(reason)}", reason.todo)


def bare(reason: Reason) -> str:
    """The text of a failed check without the words that say that the release halts. `baking` uses it too."""
    halts = reason.text.startswith("Halt ")
    return reason.text.partition(" advancement ")[2] if halts else reason.text
