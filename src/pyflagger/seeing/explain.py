"""Why a canary stands where it stands: one first cause, what was seen, what happens next, and what to do.

Called by `flagger explain` and the dashboard. The sources, in this order: what the operator said (conditions and the
last round), what it would decide now on the live objects, and what these objects say themselves (`causes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyflagger.api.facts import Fault, Problem
from pyflagger.core.decision import Reason
from pyflagger.core.situation import Situation
from pyflagger.kube.errors import NotFound
from pyflagger.seeing import raw
from pyflagger.seeing.causes import causes_of, scene
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import HEALTHY, CanaryView, Cause, Check, Explanation, Verdict
from pyflagger.seeing.words import next_text, summary

WAITS = {"CanaryNotReady": "canary", "PrimaryNotReady": "primary", "RollbackHolds": "primary"}
"""The reasons of the condition Waiting that a workload causes, and its role."""

CODES = {
    "canary-not-ready": "canary",
    "primary-not-ready": "primary",
    "rollback-holds": "primary",
    "promotion-failed": "primary",
    "handing-back-holds": "canary",
}
"""The same for the codes of decisions."""

RESUMED = '{"spec":{"suspend":false}}'


def explain(look: Look, view: CanaryView) -> Explanation:
    """The explanation of a view."""
    found = tuple(_unique(_causes(look, view)))
    healthy = view.canary.verdict in HEALTHY and not found
    return Explanation(
        name=view.canary.name,
        namespace=view.canary.namespace,
        verdict=view.canary.verdict,
        healthy=healthy,
        headline=_headline(view),
        causes=found,
        since=view.canary.wait.since if view.canary.wait else None,
        next=next_text(view, look.now),
        agreement=_agreement(look, view),
    )


def _unique(causes: Iterator[Cause]) -> Iterator[Cause]:
    known: set[tuple[str, str]] = set()
    for cause in causes:
        if (cause.code, cause.text) not in known:
            known.add((cause.code, cause.text))
            yield cause


def _causes(look: Look, view: CanaryView) -> Iterator[Cause]:
    """All causes, the first to remove first."""
    if view.canary.verdict is Verdict.SILENT:
        yield _silent(look, view)
    yield from _blocking(look, view)
    if view.canary.verdict is Verdict.BLOCKED:
        return
    yield from _held(view)
    yield from _not_ready(look, view)
    yield from _halted(view)
    yield from _gate(view)


# No operator, or it may not act ---------------------------------------------------------------------------------------


def _silent(look: Look, view: CanaryView) -> Cause:
    late = int(view.canary.stale)
    text = f"no operator has looked at it: a reconciliation is {late} s late"
    if view.operator.identity:
        text += f" (the last one was {view.operator.identity})"
    watches = look.settings.get("namespace", "")
    if watches and watches != view.canary.namespace:
        text += f", and it watches namespace {watches} only"
    todo = "Check that flagger runs, holds its Lease and watches this namespace."
    return Cause(
        "silent",
        text,
        Fault.CLUSTER,
        (),
        todo,
        ("kubectl get pods -A -l app.kubernetes.io/name=flagger", "kubectl get leases -A"),
    )


def _blocking(look: Look, view: CanaryView) -> Iterator[Cause]:
    """What keeps flagger from acting at all: live problems first, then what the operator said."""
    situation = look.seen.situation
    for code, problem in _problems(look, situation):
        yield Cause(code, problem.text, problem.fault, (problem.path,) if problem.path else (), problem.todo)
    if view.canary.verdict is Verdict.BLOCKED and view.canary.wait is not None:
        yield Cause("blocked", view.canary.wait.text, view.wait.fault if view.wait else None)


def _problems(look: Look, situation: Situation) -> Iterator[tuple[str, Problem]]:
    """The problems of a situation by code. What the person may not read is no problem of the canary."""
    seen = {each.text for each in look.missing}
    for problem in situation.problems:
        yield ("rival" if situation.rivalled else "manifest"), problem
    for code, found in (("target-missing", situation.target), ("primary-missing", situation.primary)):
        if isinstance(found, Problem):
            yield code, found
    if isinstance(situation.route, Problem) and not isinstance(situation.target, Problem):
        yield "route-missing", situation.route
    yield from (("foreign", problem) for problem in situation.foreign)
    yield from ((_unread_code(look, problem), problem) for problem in situation.unread if problem.text not in seen)
    yield from (("template-missing", problem) for problem in situation.unjudged)
    yield from (("primary-missing", problem) for problem in situation.generated.degraded)


def _unread_code(look: Look, problem: Problem) -> str:
    refusals = (look.cache.refusal(each) for each in look.compiled.followed)
    gone = any(isinstance(each, NotFound) and each.problem == problem for each in refusals)
    return "kind-missing" if gone else "forbidden"


# What a release waits for ---------------------------------------------------------------------------------------------


def _held(view: CanaryView) -> Iterator[Cause]:
    hold, where = view.canary.hold, f"-n {view.canary.namespace}"
    if hold is None:
        return
    if hold.by == "spec.suspend":
        command = f"kubectl patch canary {view.canary.name} {where} --type merge -p '{RESUMED}'"
        text = "spec.suspend is true in its manifest"
        yield Cause("suspended", text, Fault.MANIFEST, (), "Set spec.suspend to false.", (command,))
    else:
        text = f"paused by {hold.by}" + (f": {hold.reason}" if hold.reason else "")
        yield Cause("paused", text, None, (), "Resume it.", (f"flagger resume {view.canary.name} {where}",))


def _not_ready(look: Look, view: CanaryView) -> Iterator[Cause]:
    """Why the pods that the release waits for are not ready; the wait itself last."""
    reason = look.decision.reasons[0]
    role = WAITS.get(view.canary.wait.code if view.canary.wait else "") or CODES.get(reason.code)
    if role is not None:
        compiled = look.compiled
        refs = {
            "canary": (compiled.target, compiled.autoscaler),
            "primary": (compiled.primary, compiled.primary_autoscaler),
        }
        found = scene(look, *refs[role])
        yield from causes_of(found) if found else ()
    if reason.code in CODES or reason.code == "route-not-ready":
        yield _of(reason)


def _of(reason: Reason) -> Cause:
    return Cause(reason.code, reason.text, reason.fault, (), reason.todo)


def _halted(view: CanaryView) -> Iterator[Cause]:
    """Why checks fail: those of the last round, or the operator's words about it."""
    wait = view.canary.wait
    if wait is None or wait.code in WAITS or view.canary.verdict in (Verdict.BLOCKED, Verdict.IDLE):
        return
    bad = [check for check in view.checks if check.verdict in CHECK_CODES and not check.dry_run]
    if view.canary.verdict is Verdict.FAILED:
        yield Cause("rolled-back", wait.text, HALTED_FAULTS.get(wait.code))
    for check in bad:
        yield _of_check(check, wait.text)
    if not bad and wait.code != "GateClosed" and view.canary.verdict is not Verdict.FAILED:
        yield Cause(HALTED_CODES.get(wait.code, "halted"), wait.text, HALTED_FAULTS.get(wait.code))


CHECK_CODES: Mapping[str, str] = {"bad": "metric-bad", "no-data": "no-data", "error": "provider-error"}
HALTED_CODES: Mapping[str, str] = {"Revision": "metric-bad", "MetricProvider": "provider-error", "Hook": "hook-failed"}
HALTED_FAULTS: Mapping[str, str] = {
    "MetricProvider": Fault.PROVIDER,
    "Hook": Fault.HOOK,
    "Cluster": Fault.CLUSTER,
    "Manifest": Fault.MANIFEST,
    "Flagger": Fault.US,
}


def _of_check(check: Check, said: str) -> Cause:
    limit = (
        f"at least {check.min:g}"
        if check.min is not None
        else f"at most {check.max:g}"
        if check.max is not None
        else ""
    )
    value = "no value" if check.value is None else f"{check.value:g}{check.unit}"
    text = f"{check.name} is {value}, {limit} is asked for" if check.verdict == "bad" else check.text or said
    beside = () if check.primary is None else (f"the primary had {check.primary:g}{check.unit} in the same window",)
    return Cause(
        CHECK_CODES[str(check.verdict)], text, None, beside, "Correct the new version, or the metric's limits."
    )


def _gate(view: CanaryView) -> Iterator[Cause]:
    wait = view.canary.wait
    if wait is not None and wait.code == "GateClosed":
        yield Cause("gate-closed", wait.text, Fault.HOOK, (), "Open the gate.")


# Words ----------------------------------------------------------------------------------------------------------------


PHASES: Mapping[str, str] = {
    "": "no operator has seen it yet",
    "Initializing": "its primary is being created",
    "Initialized": "it is initialized, and no release is under way",
    "Waiting": "{release} waits for its gate",
    "Progressing": "{release} is under way",
    "WaitingPromotion": "{release} waits for approval of its promotion",
    "Promoting": "{release} is being promoted",
    "Finalising": "traffic of {release} goes back to the primary",
    "Succeeded": "the last release was promoted, and no release is under way",
    "Failed": "the last release was rolled back",
    "Terminating": "it is being deleted",
}


def _headline(view: CanaryView) -> str:
    """One sentence: what is the matter with it."""
    name = f"{view.canary.name}.{view.canary.namespace}"
    state = PHASES.get(view.canary.phase, f"it is in phase {view.canary.phase}").format(release=summary(view))
    return f"{name} is {view.canary.verdict}: {state}."


def _agreement(look: Look, view: CanaryView) -> str:
    if view.operator.foreign:
        return "foreign"
    if view.missing:
        return "partly-seen"
    said = raw.text(raw.holding(look.canary.get("status") or {}).get("Blocked", {}), "message")
    behind = (look.decision.reasons[0].code == "blocked") != bool(said)
    return "operator-behind" if behind else "same"
