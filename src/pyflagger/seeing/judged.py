"""Why checks and hooks of the last round failed, and why the last run ended. Called by `explain`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pyflagger.api.durations import show
from pyflagger.api.facts import Fault
from pyflagger.seeing import raw
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import CanaryView, Cause, Check, Verdict, Wait

ENDS = ("FailedChecks", "WorseThanPrimary", "RollbackHook", "DeadlineExceeded")
"""The reasons of a rollback that has begun."""

WAITING = ("CanaryNotReady", "PrimaryNotReady", "RouteNotReady", "RollbackHolds", "HandingBackHolds", "GateClosed")
"""Reasons of the condition Waiting: then the last round is no cause."""

OVERDUE, MANUAL = "progress deadline exceeded", "manual webhook invoked"
ROLLED_BACK_TODO = "Release a corrected revision. To release the same one again, retry it."
REFUSED, RETRY_TODO = "flagger does not release it again", "Change the pod template, or retry this revision."
SERVING_TODO = "Release a new revision. The canary keeps its traffic until the primary is ready."
CHECK_TODO = "Correct the new version, or the metric's limits."
BOTH_TODO = "Check what both versions use, such as the route or a database, or correct the metric's limits."

CHECK_CODES: Mapping[str, str] = {"bad": "metric-bad", "no-data": "no-data", "error": "provider-error"}
HALTED_CODES: Mapping[str, str] = {"Revision": "metric-bad", "MetricProvider": "provider-error", "Hook": "hook-failed"}
HALTED_FAULTS: Mapping[str, str] = {
    "MetricProvider": Fault.PROVIDER,
    "Hook": Fault.HOOK,
    "Cluster": Fault.CLUSTER,
    "Manifest": Fault.MANIFEST,
    "Flagger": Fault.US,
}
AWAY = "(?i)connection (refused|reset|was closed)|cannot resolve|no answer within|no route to host|unreachable"
"""Words about a server that cannot be reached."""

WORDS: Mapping[str, str] = {
    r"^Metric template .* secret .* not found": "secret-missing",
    r"^Metric template .* not found": "template-missing",
    r"^(Configmap|Secret) .* not found": "config-missing",
    r"no usable metrics template|^spec\.analysis\.metrics\[\d+\] .* has no query": "metric-unusable",
    r"-primary\S* does not exist and ": "primary-missing",
    "until there is more evidence": "inconclusive",
    "which is older, already releases": "rival",
    r"^ingress \S+ get query error: .* not found|^backend \S+ not found in ingress": "route-missing",
    AWAY: "provider-away",
    "^Error checking metric providers": "provider-error",
    "sends to port .* of service": "port-mismatch",
    "each time flagger writes it": "contested",
    "cannot (get|list|watch|create|update|patch|delete) resource": "forbidden",
    "its CustomResourceDefinition is not installed": "kind-missing",
    "parse error|render error|bad_data|invalid parameter": "query-wrong",
}
"""The codes of failures by the words of the operator, the first that matches."""

HOOKS = ("Hook", "Asking")
HOOK_WORDS: Mapping[str, str] = {
    "^Metric providers have not answered": "provider-slow",
    "^Hook .* has not answered since": "hook-slow",
    r"Status 40[13]\b": "hook-denied",
    AWAY: "hook-away",
    "": "hook-failed",
}
"""The codes of webhooks by the words of the operator, the first that matches."""

HOOK_TODO: Mapping[str, str] = {
    "hook-denied": "Check the credentials that the server at the webhook's url asks for.",
    "hook-away": "Correct the webhook's url, or start the server that answers there.",
}

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
    if wait is None and view.canary.verdict is Verdict.FAILED:
        yield _refused(look, view)
    if wait is None or wait.code in WAITING or view.canary.verdict in (Verdict.BLOCKED, Verdict.IDLE):
        return
    ended = view.canary.verdict is Verdict.FAILED or wait.code in ENDS
    if ended:
        yield _rolled_back(look, view, wait)
    bad = [check for check in view.checks if check.verdict in CHECK_CODES and not check.dry_run]
    found = [_of_check(check, wait) for check in bad]
    yield from sorted(found, key=lambda cause: cause.code != "metric-bad")
    if not bad and not ended and wait.code != "Paused":
        yield asked(view, wait) if wait.code in HOOKS else stated(wait, HALTED_CODES.get(wait.code, "halted"))


def stated(wait: Wait, code: str) -> Cause:
    """What the operator said in a condition. `code`: for words that are not known."""
    text, _, todo = wait.text.partition(". ")
    return Cause(code_of(text) or code, text, HALTED_FAULTS.get(wait.code), (), todo)


def asked(view: CanaryView, wait: Wait) -> Cause:
    """A webhook that failed, refused the request, or does not answer. Metric providers that do not answer as well."""
    found = stated(wait, "hook-failed")
    code = next(code for words, code in HOOK_WORDS.items() if re.search(words, found.text))
    if code == "provider-slow":
        return found._replace(code=code, fault=Fault.PROVIDER)
    hook = next((each for each in view.hooks if re.search(rf"\b{re.escape(each.name)}\b", found.text)), None)
    where = (f"webhook {hook.name} of type {hook.type} calls {hook.url}",) if hook is not None else ()
    return found._replace(code=code, fault=Fault.HOOK, evidence=where, todo=HOOK_TODO.get(code) or found.todo)


def _refused(look: Look, view: CanaryView) -> Cause:
    """flagger does not release the target's revision: a user undid it, or it failed before."""
    text = undone(look) or "the target has a revision that failed before"
    return Cause("refused", text, None, (REFUSED,), RETRY_TODO, (_command("retry", view),))


def undone(look: Look) -> str:
    """Who undid the last release, and which one runs again; empty if it was not undone."""
    promoted = dict(raw.conditions(look.canary.get("status") or {})).get("Promoted", {})
    said = raw.text(promoted, "message").partition(". ")[0]
    return said if said.startswith("Undone by ") else ""


def _command(verb: str, view: CanaryView) -> str:
    return f"flagger {verb} {view.canary.name} -n {view.canary.namespace}"


def _rolled_back(look: Look, view: CanaryView, wait: Wait) -> Cause:
    """The end of the last run, or the rollback that has begun."""
    command = _command("history", view)
    fault = HALTED_FAULTS.get(wait.code)
    if look.decision.reasons[0].code == "canary-serving":
        weight = view.traffic.canary if view.traffic else 100
        text = f"{wait.text.partition('. ')[0]}. The canary keeps {weight} % of the traffic"
        return Cause("canary-serving", text, fault, (), SERVING_TODO, (command,))
    code = "deadline" if OVERDUE in wait.text else "rolled-back"
    hooks = ", ".join(hook.name for hook in view.hooks if hook.type == "rollback")
    asked = (f"rollback hook {hooks} asked for it",) if hooks and MANUAL in wait.text else ()
    commands = (command, _command("retry", view)) if view.canary.verdict is Verdict.FAILED else (command,)
    return Cause(code, wait.text, fault, asked, ROLLED_BACK_TODO, commands)


def _of_check(check: Check, wait: Wait) -> Cause:
    beside = "" if check.primary is None else f"the primary had {_value(check, check.primary)} in the same window"
    if check.verdict == "bad":
        text = f"{check.name} is {_value(check, check.value)}, {_limit(check)} is asked for"
        of_both = check.primary is not None and _is_bad(check, check.primary)
        told = f"{beside}, so it is {'not only ' if of_both else ''}the new version" if beside else ""
        return Cause("metric-bad", text, None, _some(told), BOTH_TODO if of_both else CHECK_TODO)
    text, todo = _parted(wait.text, check.text)
    code = "no-data" if check.verdict == "no-data" else code_of(text) or CHECK_CODES[str(check.verdict)]
    return Cause(code, text, HALTED_FAULTS.get(wait.code), _some(beside), todo or CHECK_TODO)


def _some(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _parted(said: str, begins: str) -> tuple[str, str]:
    """What the operator said in a condition, as text and advice. `begins`: the start of the text, which may be cut.

    The text alone if the condition is about something else.
    """
    start = begins.rstrip(". ")
    if not said.startswith(start):
        return begins, ""
    rest, _, todo = said[len(start) :].partition(". ")
    return start + rest, todo


def _is_bad(check: Check, value: float) -> bool:
    """Whether a value is outside the limits of a check."""
    return (check.min is not None and value < check.min) or (check.max is not None and value > check.max)


def _limit(check: Check) -> str:
    if check.min is not None and (check.value is None or check.value < check.min or check.max is None):
        return f"at least {_value(check, check.min)}"
    return f"at most {_value(check, check.max)}"


def _value(check: Check, value: float | None) -> str:
    if value is None:
        return "no value"
    return show(value / 1000) if check.unit == "ms" else f"{value:g}{check.unit}"
