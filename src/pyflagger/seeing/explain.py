"""Why a canary stands where it stands: one first cause, what was seen, what happens next, and what to do.

Called by `flagger explain` and the dashboard. The sources, in this order: what the operator said (conditions and the
last round), what it would decide now on the live objects, and what these objects say themselves (`causes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pyflagger.api.analysis import OPENS
from pyflagger.api.facts import Fault, Problem
from pyflagger.core import reasons
from pyflagger.core.decision import Reason
from pyflagger.core.situation import Primary, Situation, Target
from pyflagger.kube.errors import NotFound
from pyflagger.objects import part
from pyflagger.seeing import raw
from pyflagger.seeing.causes import causes_of, scene
from pyflagger.seeing.judged import TOLD_BY_THE_OPERATOR, asked, code_of, judged, stated, undone
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import HEALTHY, CanaryView, Cause, Explanation, Verdict, Wait
from pyflagger.seeing.requests import gates
from pyflagger.seeing.words import age, next_text, summary

WAITS = {
    "CanaryNotReady": "canary",
    "PrimaryNotReady": "primary",
    "RollbackHolds": "primary",
    "HandingBackHolds": "canary",
}
"""The reasons of the condition Waiting that a workload causes, and its role."""

CODES = {
    "canary-not-ready": "canary",
    "primary-not-ready": "primary",
    "rollback-holds": "primary",
    "promotion-failed": "primary",
    "handing-back-holds": "canary",
}
"""The same for the codes of decisions."""

FIRST = ("primary-not-ready", "rollback-holds", "handing-back-holds")
"""Waits that come before the causes of the pods: another workload than the new revision is to be mended."""

BEGINNING = ("canary-not-ready", "primary-not-ready", "route-not-ready")
PASSING = ("unready", "init-waiting")
"""Causes that most pods have while they start."""

IDLE = ("Initialized", "Succeeded", "Failed")
SUSPEND = "spec.suspend"
RESUMED = '{"spec":{"suspend":false}}'


def explain(look: Look, view: CanaryView) -> Explanation:
    """The explanation of a view."""
    found = _with_action(look, tuple(_unique(_causes(look, view))))
    healthy = view.canary.verdict in HEALTHY and not found
    return Explanation(
        name=view.canary.name,
        namespace=view.canary.namespace,
        verdict=view.canary.verdict,
        healthy=healthy,
        headline=_headline(look, view),
        causes=found,
        since=view.canary.wait.since if view.canary.wait else None,
        next=_next(look, view),
        agreement=_agreement(look, view),
    )


def _unique(causes: Iterator[Cause]) -> Iterator[Cause]:
    known: set[tuple[str, str]] = set()
    for cause in causes:
        if (cause.code, cause.text) not in known:
            known.add((cause.code, cause.text))
            yield cause


def _with_action(look: Look, causes: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """The causes, and with the first one the last action if flagger did not carry it out in this phase."""
    status = look.canary.get("status") or {}
    last, since = part(status, "lastAction"), raw.time(status, "lastTransitionTime")
    at = raw.time(last, "at")
    if not causes or raw.text(last, "result") not in ("Refused", "Expired") or at is None or at < (since or 0.0):
        return causes
    verb = " was refused: " if last["result"] == "Refused" else " "
    told = f"{raw.text(last, 'action')} by {raw.text(last, 'by')}{verb}{raw.text(last, 'text')}"
    return (causes[0]._replace(evidence=(*causes[0].evidence, told)), *causes[1:])


def _causes(look: Look, view: CanaryView) -> Iterator[Cause]:
    """All causes, the first to remove first."""
    if view.canary.verdict is Verdict.SILENT:
        yield _silent(look, view)
    yield from _blocking(look, view)
    if view.canary.verdict is Verdict.BLOCKED:
        return
    yield from _down(look, view)
    failed = tuple(judged(look, view))
    held = tuple(_held(view))
    steered = view.canary.hold is not None and view.canary.hold.by != SUSPEND
    yield from (*failed, *held) if steered and failed else held
    yield from _not_ready(look, view)
    yield from failed
    yield from _gate(look, view)
    yield from _moved(view)


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
    """What keeps flagger from acting at all: what only the operator knows, live problems, then what it said."""
    situation, wait = look.seen.situation, view.canary.wait
    said = stated(wait, "blocked") if view.canary.verdict is Verdict.BLOCKED and wait is not None else None
    found = [
        Cause(code, problem.text, problem.fault, (problem.path,) if problem.path else (), problem.todo)
        for code, problem in _problems(look, situation)
    ]
    if said is not None and not any(said.text.startswith(cause.text.rstrip(". ")) for cause in found):
        found.insert(0 if said.code in TOLD_BY_THE_OPERATOR else len(found), said)
    yield from found


def _problems(look: Look, situation: Situation) -> Iterator[tuple[str, Problem]]:
    """The problems of a situation by code. What the person may not read is no problem of the canary."""
    seen = {each.text for each in look.missing}
    for problem in situation.problems:
        yield code_of(problem.text) or ("rival" if situation.rivalled else "manifest"), problem
    yield from ((_unread_code(look, problem), problem) for problem in situation.unread if problem.text not in seen)
    for code, found in (("target-missing", situation.target), ("primary-missing", situation.primary)):
        if isinstance(found, Problem):
            yield code, found
    if isinstance(situation.route, Problem) and not isinstance(situation.target, Problem):
        yield code_of(situation.route.text) or "route-missing", situation.route
    yield from (("foreign", problem) for problem in situation.foreign)
    yield from ((code_of(problem.text) or "template-missing", problem) for problem in situation.unjudged)
    yield from (("degraded", problem) for problem in situation.generated.degraded)


def _unread_code(look: Look, problem: Problem) -> str:
    refusals = (look.cache.refusal(each) for each in look.compiled.followed)
    gone = any(isinstance(each, NotFound) and each.problem == problem for each in refusals)
    return "kind-missing" if gone else "forbidden"


def _down(look: Look, view: CanaryView) -> Iterator[Cause]:
    """Between releases: a primary without available pods."""
    primary, obj = look.seen.situation.primary, look.get(look.compiled.primary)
    if view.canary.phase not in IDLE or not isinstance(primary, Primary) or not primary.empty or obj is None:
        return
    if primary.at_zero or primary.readiness.ready or (view.traffic is not None and view.traffic.canary == 100):
        return
    pods, reason = tuple(_pods(look, "primary")), reasons.primary_not_ready(primary.readiness.text)
    created, since = raw.time(obj["metadata"], "creationTimestamp"), view.canary.last_transition
    if created is None or since is None or created <= since or any(cause.code not in PASSING for cause in pods):
        yield _because(_of(reason), pods)
        return
    origin = next((found[0] for each in reversed(view.events) if (found := re.search(RECORD, each.text))), "")
    name = f"{look.compiled.primary.name}.{view.canary.namespace}"
    text = f"flagger created {name} again{origin}, and its pods are not available yet"
    yield Cause("repairing", text, Fault.CLUSTER, (reason.text,), "Wait for its pods. Find the client that deleted it.")


RECORD = r"(?<=creates it again) from the record of release \d+$"

# What a release waits for ---------------------------------------------------------------------------------------------


def _held(view: CanaryView) -> Iterator[Cause]:
    hold, where = view.canary.hold, f"-n {view.canary.namespace}"
    if hold is None:
        return
    if hold.by == SUSPEND:
        command = f"kubectl patch canary {view.canary.name} {where} --type merge -p '{RESUMED}'"
        text = "spec.suspend is true in its manifest"
        yield Cause("suspended", text, Fault.MANIFEST, (), "Set spec.suspend to false.", (command,))
    else:
        text = f"paused by {hold.by}" + (f": {hold.reason}" if hold.reason else "")
        yield Cause("paused", text, None, (), "Resume it.", (f"flagger resume {view.canary.name} {where}",))


def _not_ready(look: Look, view: CanaryView) -> Iterator[Cause]:
    """What the release waits for. For the canary the cause of its pods comes first, for the others the wait does.

    A wait that the operator has not named yet is normal, unless the pods have a cause that no time ends.
    """
    reason, said = look.decision.reasons[0], view.canary.wait.code if view.canary.wait else ""
    role = WAITS.get(said) or CODES.get(reason.code)
    found = tuple(_pods(look, role)) if role is not None else ()
    if said not in (*WAITS, "RouteNotReady") and reason.code in BEGINNING:
        found = tuple(cause for cause in found if cause.code not in PASSING)
        if not found:
            return
    wait = _wait(view, reason, said)
    if wait is not None and wait.code in FIRST:
        yield _because(wait, found)
        yield from found
        return
    yield from found
    if wait is not None:
        yield wait


def _pods(look: Look, role: str) -> Iterator[Cause]:
    """Why the pods of a workload are not ready."""
    compiled = look.compiled
    refs = {
        "canary": (compiled.target, compiled.autoscaler),
        "primary": (compiled.primary, compiled.primary_autoscaler),
    }
    found = scene(look, *refs[role])
    yield from causes_of(found) if found else ()


def _wait(view: CanaryView, reason: Reason, said: str) -> Cause | None:
    """The wait itself: as it would be decided now, or else as the operator said."""
    if reason.code in CODES or reason.code == "route-not-ready":
        return _of(reason)
    return stated(view.canary.wait, kebab(said)) if said in WAITS and view.canary.wait is not None else None


def _because(wait: Cause, pods: tuple[Cause, ...]) -> Cause:
    """A wait with the cause of its pods as evidence."""
    if not pods:
        return wait
    first = pods[0]
    return wait._replace(evidence=(first.text, *first.evidence), todo=first.todo or wait.todo, commands=first.commands)


def _of(reason: Reason) -> Cause:
    return Cause(reason.code, reason.text, reason.fault, (), reason.todo)


def _gate(look: Look, view: CanaryView) -> Iterator[Cause]:
    """A closed gate, and before it why a gate gives no usable answer."""
    wait = view.canary.wait
    if wait is None or wait.code != "GateClosed":
        return
    halted = raw.holding(look.canary.get("status") or {}).get("Halted", {})
    if raw.text(halted, "reason") == "Hook" and UNUSABLE in wait.text:
        yield asked(view, Wait("Hook", raw.text(halted, "message"), None))
    named = (hook.name for hook in view.hooks if wait.text.startswith(f"Gate {hook.name} "))
    commands = tuple(f"flagger gate open {view.canary.name} {name} -n {view.canary.namespace}" for name in named)
    text, _, way = wait.text.partition(". ")
    then, _, way = way.partition(". ") if way.startswith(AT_DEADLINE) else ("", "", way)
    opens = () if not way or way.startswith(f"{BY_ACTION}flagger ") else (way.removeprefix(BY_ACTION),)
    yield Cause("gate-closed", text, Fault.HOOK, ((then,) if then else ()) + opens, "Open the gate.", commands)


UNUSABLE, BY_ACTION = " gave no usable answer since ", "To open it: "
AT_DEADLINE = ("At ", "Its deadline ")


def _moved(view: CanaryView) -> Iterator[Cause]:
    """Another client set the weight that the release has now, as an Event says."""
    weight = view.canary.weight
    found = re.compile(rf"{MOVED}\S+ to {weight.canary}: ") if weight is not None else None
    told = next((each for each in reversed(view.events) if found and found.match(each.text)), None)
    if told is not None and view.canary.phase in raw.JUDGING:
        yield Cause("route-moved", told.text, Fault.CLUSTER, (), MOVED_TODO)


MOVED = "Another client set the canary weight of "
MOVED_TODO = "Let the release set the weights, or change its steps."


def kebab(name: str) -> str:
    """The code of a condition's reason: `canary-not-ready` of `CanaryNotReady`."""
    return re.sub("(?<!^)(?=[A-Z])", "-", name).lower()


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


def _headline(look: Look, view: CanaryView) -> str:
    """One sentence: what is the matter with it."""
    name = f"{view.canary.name}.{view.canary.namespace}"
    ended = view.canary.phase == "Failed" and undone(look)
    if ended:
        return f"{name} is {view.canary.verdict}: {ended[0].lower()}{ended[1:]}."
    state = PHASES.get(view.canary.phase, f"it is in phase {view.canary.phase}").format(release=summary(view))
    return f"{name} is {view.canary.verdict}: {state}."


def _next(look: Look, view: CanaryView) -> str:
    """What happens next by itself: the next round, or the end of a deadline."""
    target = look.seen.situation.target
    waits = view.canary.wait is not None and view.canary.wait.code == "CanaryNotReady"
    if waits and isinstance(target, Target) and view.canary.phase in raw.JUDGING:
        expires = target.readiness.look_again
        if expires is not None and expires > look.now:
            return f"rolled back in {age(expires - look.now)} unless its pods are ready"
    return _default(look, view) or next_text(view, look.now)


def _default(look: Look, view: CanaryView) -> str:
    """What the gate that holds it does at its deadline, and when. Empty without one."""
    wait = view.canary.wait
    for gate in gates(look.canary):
        if gate.until is not None and wait is not None and f"Gate {gate.name} " in wait.text:
            then = "opens by itself" if gate.default == OPENS else "ends the release"
            return f"the gate {gate.name} {then} in {age(gate.until - look.now)}"
    return ""


def _agreement(look: Look, view: CanaryView) -> str:
    if view.operator.foreign:
        return "foreign"
    if view.missing:
        return "partly-seen"
    said = raw.text(raw.holding(look.canary.get("status") or {}).get("Blocked", {}), "message")
    blocked = look.decision.reasons[0].code == "blocked"
    behind = blocked != bool(said) and code_of(said) not in TOLD_BY_THE_OPERATOR
    return "operator-behind" if behind else "same"
