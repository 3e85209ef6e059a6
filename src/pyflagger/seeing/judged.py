"""Why checks and hooks of the last round failed, and why the last run ended. Called by `explain`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pyflagger.api.durations import show
from pyflagger.api.facts import Fault
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import CanaryView, Cause, Check, Verdict, Wait

ENDS = ("FailedChecks", "RollbackHook", "DeadlineExceeded")
"""The reasons of a rollback that has begun."""

WAITING = ("CanaryNotReady", "PrimaryNotReady", "RouteNotReady", "RollbackHolds", "HandingBackHolds", "GateClosed")
"""Reasons of the condition Waiting: then the last round is no cause."""

OVERDUE, MANUAL = "progress deadline exceeded", "manual webhook invoked"
ROLLED_BACK_TODO = "Release a corrected revision: flagger does not try this one again."
SERVING_TODO = "Release a new revision. The canary keeps its traffic until the primary is ready."
CHECK_TODO = "Correct the new version, or the metric's limits."

CHECK_CODES: Mapping[str, str] = {"bad": "metric-bad", "no-data": "no-data", "error": "provider-error"}
HALTED_CODES: Mapping[str, str] = {"Revision": "metric-bad", "MetricProvider": "provider-error", "Hook": "hook-failed"}
HALTED_FAULTS: Mapping[str, str] = {
    "MetricProvider": Fault.PROVIDER,
    "Hook": Fault.HOOK,
    "Cluster": Fault.CLUSTER,
    "Manifest": Fault.MANIFEST,
    "Flagger": Fault.US,
}
WORDS: Mapping[str, str] = {
    r"^Metric template .* secret .* not found": "secret-missing",
    r"^Metric template .* not found": "template-missing",
    r"^(Configmap|Secret) .* not found": "config-missing",
    r"no usable metrics template|^spec\.analysis\.metrics\[\d+\] .* has no query": "metric-unusable",
    r"-primary\S* does not exist and ": "primary-missing",
    "which is older, already releases": "rival",
    r"^ingress \S+ get query error: .* not found|^backend \S+ not found in ingress": "route-missing",
    "connection refused|no such host|cannot connect|no answer within|Name or service not known": "provider-away",
    "^Error checking metric providers": "provider-error",
    "sends to port .* of service": "port-mismatch",
    "each time flagger writes it": "contested",
    "cannot (get|list|watch|create|update|patch|delete) resource": "forbidden",
    "its CustomResourceDefinition is not installed": "kind-missing",
    "parse error|render error|bad_data|invalid parameter": "query-wrong",
}
"""The codes of failures by the words of the operator, the first that matches."""

TOLD_BY_THE_OPERATOR = (
    "config-missing",
    "secret-missing",
    "template-missing",
    "forbidden",
    "kind-missing",
    "contested",
    "rival",
)
"""Causes that only the operator knows: a reader never reads data of Secrets, and has other rights."""


def code_of(text: str) -> str:
    """The code of a failure by its text; empty if no words are known."""
    return next((code for words, code in WORDS.items() if re.search(words, text)), "")


def judged(look: Look, view: CanaryView) -> Iterator[Cause]:
    """Why checks fail: those of the last round, or the operator's words about it."""
    wait = view.canary.wait
    if wait is None or wait.code in WAITING or view.canary.verdict in (Verdict.BLOCKED, Verdict.IDLE):
        return
    ended = view.canary.verdict is Verdict.FAILED or wait.code in ENDS
    if ended:
        yield _rolled_back(look, view, wait)
    bad = [check for check in view.checks if check.verdict in CHECK_CODES and not check.dry_run]
    found = [_of_check(check, wait) for check in bad]
    yield from sorted(found, key=lambda cause: cause.code != "metric-bad")
    if not bad and not ended and wait.code != "Paused":
        yield stated(wait, HALTED_CODES.get(wait.code, "halted"))


def stated(wait: Wait, code: str) -> Cause:
    """What the operator said in a condition. `code`: for words that are not known."""
    text, _, todo = wait.text.partition(". ")
    return Cause(code_of(text) or code, text, HALTED_FAULTS.get(wait.code), (), todo)


def _rolled_back(look: Look, view: CanaryView, wait: Wait) -> Cause:
    """The end of the last run, or the rollback that has begun."""
    command = f"flagger history {view.canary.name} -n {view.canary.namespace}"
    fault = HALTED_FAULTS.get(wait.code)
    if look.decision.reasons[0].code == "canary-serving":
        weight = view.traffic.canary if view.traffic else 100
        text = f"{wait.text.partition('. ')[0]}. The canary keeps {weight} % of the traffic"
        return Cause("canary-serving", text, fault, (), SERVING_TODO, (command,))
    code = "deadline" if OVERDUE in wait.text else "rolled-back"
    hooks = ", ".join(hook.name for hook in view.hooks if hook.type == "rollback")
    asked = (f"rollback hook {hooks} asked for it",) if hooks and MANUAL in wait.text else ()
    return Cause(code, wait.text, fault, asked, ROLLED_BACK_TODO, (command,))


def _of_check(check: Check, wait: Wait) -> Cause:
    beside = () if check.primary is None else (f"the primary had {_value(check, check.primary)} in the same window",)
    if check.verdict == "bad":
        text = f"{check.name} is {_value(check, check.value)}, {_limit(check)} is asked for"
        return Cause("metric-bad", text, None, beside, CHECK_TODO)
    text, todo = _parted(wait.text, check.text)
    code = "no-data" if check.verdict == "no-data" else code_of(text) or CHECK_CODES[str(check.verdict)]
    return Cause(code, text, HALTED_FAULTS.get(wait.code), beside, todo or CHECK_TODO)


def _parted(said: str, begins: str) -> tuple[str, str]:
    """What the operator said in a condition, as text and advice. `begins`: the start of the text, which may be cut.

    The text alone if the condition is about something else.
    """
    start = begins.rstrip(". ")
    if not said.startswith(start):
        return begins, ""
    rest, _, todo = said[len(start) :].partition(". ")
    return start + rest, todo


def _limit(check: Check) -> str:
    if check.min is not None and (check.value is None or check.value < check.min or check.max is None):
        return f"at least {_value(check, check.min)}"
    return f"at most {_value(check, check.max)}"


def _value(check: Check, value: float | None) -> str:
    if value is None:
        return "no value"
    return show(value / 1000) if check.unit == "ms" else f"{value:g}{check.unit}"
