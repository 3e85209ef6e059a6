"""The texts of actions and of deadlines: their events, and why an action is refused. Codes of refusals are stable.

Called by `steering`, `pausing` and `gates`.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflagger.api.actions import Action, CanaryAction
from pyflagger.api.analysis import DEADLINE
from pyflagger.api.canary import Canary, Webhook
from pyflagger.api.durations import stamp
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.steered import Hold, Undo
from pyflagger.core.decision import Reason
from pyflagger.core.reasons import whose

PAUSED = "paused"
OPENS = {Action.OPEN_GATE: "opened", Action.CLOSE_GATE: "closed"}


class Refusal(NamedTuple):
    """Why an action is not carried out."""

    code: str
    text: str


ALREADY = "already so"
SO = "already-so"
TAKEN = Reason("action-taken", "Recording the result of an action.")
SUSPENDED = "is suspended by its manifest (spec.suspend)"
UNJUDGED = Refusal(
    "unjudged", "nothing of this revision has been judged yet: wait for the first round, or promote with full"
)
FAILED = Refusal("failed-already", "the last revision failed: retry it, or change the pod template")
COPIED = Refusal("copied", "the primary has the new version already and alone decides now")
TOO_LATE = Refusal(
    "copied",
    "too late to abort: the primary has the new version; undo brings the old one back once this is over",
)
ROLLING_BACK = Refusal("rolling-back", "a rollback is under way: retry the revision once it is over")
NO_SPLIT = "no-weights"
NOT_CHECKED = Refusal("not-checked", "pre-rollout checks have not passed")


def under_way(canary: Canary, promoted: int) -> Refusal:
    """An undo while a release is under way."""
    return Refusal("under-way", f"a release is under way: abort leaves the primary at release {promoted}")


PROMOTING = Refusal("promoting", "a promotion is under way: undo once it is over")


def idle(canary: Canary) -> Refusal:
    """No release is under way."""
    return Refusal("nothing-under-way", f"no release of {whose(canary)} is under way")


def not_begun(gate: str) -> Refusal:
    """The release waits at its first gate."""
    return Refusal("not-begun", f"the release waits for confirm-rollout {gate}: open that gate, or promote with full")


def checks_fail(why: str) -> Refusal:
    """The round that a promotion asked for does not pass."""
    return Refusal("checks-fail", f"not promoted: {why.rstrip('. ')}; full promotes whatever the checks say")


def suspended(canary: Canary) -> Refusal:
    """spec.suspend is set."""
    return Refusal("suspended", f"{whose(canary)} {SUSPENDED}")


def initializing(canary: Canary) -> Refusal:
    """The first phase."""
    return Refusal("initializing", f"{whose(canary)} is being initialized")


def deleting(canary: Canary) -> Refusal:
    """The last phase."""
    return Refusal("deleting", f"{whose(canary)} is being deleted")


def not_failed(revision: str) -> Refusal:
    """Only a failed revision can be retried."""
    return Refusal("not-failed", f"revision {revision} has not failed; restart begins its analysis anew")


def other_revision(asked: str, found: str) -> Refusal:
    """The target changed since the action was asked for."""
    return Refusal("other-revision", f"asked for revision {asked}, but the target is at {found or 'none'}")


def expired(at: float) -> Refusal:
    """No operator took the action in time."""
    return Refusal("expired", f"expired at {stamp(at)}")


def invalid(text: str) -> Refusal:
    """The API server evaluates no rules, and the spec breaks one."""
    return Refusal("invalid", text)


def blocked(problem: Problem) -> Refusal:
    """A problem stops the canary."""
    return Refusal("blocked", f"it is Blocked: {problem.text}")


def no_such_gate(name: str, gates: tuple[Webhook, ...]) -> Refusal:
    """No webhook of a confirm type has this name."""
    there = ", ".join(f"{gate.name} ({gate.type})" for gate in gates)
    return Refusal("no-such-gate", f"no gate is named {name}; there are: {there or 'none'}")


def no_split(provider: str) -> Refusal:
    """The provider has no weights."""
    return Refusal(NO_SPLIT, f"the provider {provider} splits no traffic")


NO_WEIGHTS = Refusal(NO_SPLIT, "A/B and blue/green have no weights")


def above(weight: int, most: int) -> Refusal:
    """A weight that the analysis does not allow."""
    return Refusal("above-max", f"{weight} is above maxWeight {most}")


def contested(reason: Reason) -> Refusal:
    """Another controller undoes the writes to the routes."""
    return Refusal("contested", reason.text)


# Events -------------------------------------------------------------------------------------------------------------


def _by(action: CanaryAction) -> str:
    return f"by {action.spec.by}: {action.spec.reason}" if action.spec.reason else f"by {action.spec.by}"


def refused(action: CanaryAction, why: Refusal) -> Reason:
    """The event of an action that is not carried out."""
    name = action.metadata.name
    if why.code == "expired":
        return Reason("action-expired", f"Action {name} {why.text}")
    return Reason("action-refused", f"Action {name} refused: {why.text}")


def pauses(canary: Canary, action: CanaryAction, weight: int | None) -> Reason:
    """A pause begins. `weight`: None between releases."""
    at = "before its next release" if weight is None else f"at canary weight {weight}"
    return Reason(PAUSED, f"Paused {whose(canary)} {at} {_by(action)}")


def resumes(canary: Canary, action: CanaryAction) -> Reason:
    """A pause ends."""
    return Reason("resumed", f"Resumed {whose(canary)} {_by(action)}")


def over(canary: Canary, hold: Hold) -> Reason:
    """A pause ended by itself."""
    return Reason("resumed", f"Resumed {whose(canary)}: the pause by {hold.by} ended at {hold.until}")


def over_aborts(canary: Canary, hold: Hold) -> Reason:
    """A pause ended by itself, and an abort follows."""
    why = f"the pause by {hold.by} ended at {hold.until} without a resume"
    return Reason("rolling-back", f"Rolling back {whose(canary)}: {why}")


def aborts(canary: Canary, action: CanaryAction) -> Reason:
    """A rollback that a person asked for."""
    return Reason("rolling-back", f"Rolling back {whose(canary)} aborted {_by(action)}")


def promotes(canary: Canary, action: CanaryAction) -> Reason:
    """A promotion that a person asked for."""
    return Reason("promotion-asked", f"Promotion of {whose(canary)} asked for {_by(action)}")


def retries(canary: Canary, action: CanaryAction) -> Reason:
    """A failed revision is released again."""
    return Reason("retrying", f"Retrying {whose(canary)} {_by(action)}")


def restarts(canary: Canary, action: CanaryAction) -> Reason:
    """The analysis begins anew."""
    return Reason("restarting", f"Restarting analysis for {whose(canary)} {_by(action)}")


def weighs(canary: Canary, action: CanaryAction) -> Reason:
    """A weight that a person asked for."""
    return Reason("weight-set", f"Canary weight of {whose(canary)} set to {action.spec.weight} {_by(action)}")


def gates(canary: Canary, action: CanaryAction) -> Reason:
    """A gate that a person opened or closed."""
    done = OPENS[Action(action.spec.action)]
    return Reason(f"gate-{done}", f"Gate {action.spec.gate} of {whose(canary)} {done} {_by(action)}")


def held(canary: Canary, hold: Hold) -> Reason:
    """Why a paused release stands still."""
    why = f": {hold.reason}" if hold.reason else ""
    text = f"{whose(canary)} is paused by {hold.by} since {hold.since}{why}"
    name, namespace = canary.metadata.name, canary.metadata.namespace
    return Reason(PAUSED, text, f"To continue: flagger resume {name} -n {namespace}", Fault.HOOK)


def still_held(canary: Canary, hold: Hold, hours: int) -> Reason:
    """A pause that lasts for days."""
    why = f": {hold.reason}" if hold.reason else ""
    name, namespace = canary.metadata.name, canary.metadata.namespace
    todo = f"To continue: flagger resume {name} -n {namespace}"
    return Reason("paused-long", f"{whose(canary)} has been paused by {hold.by} for {hours} hours{why}", todo)


# Deadlines of gates --------------------------------------------------------------------------------------------------


DEADLINE_BY = "its deadline"
"""Who opened a gate at its deadline."""


def gate_then(hook: Webhook, at: str) -> str:
    """What happens at the deadline of a gate."""
    return f"At {at} {'flagger opens it' if hook.opens_at_deadline else 'flagger aborts the release'}"


def gate_ends(canary: Canary, hook: Webhook, at: str) -> Reason:
    """The deadline of a gate comes soon."""
    text = f"Gate {hook.name} of {whose(canary)} still holds the release. {gate_then(hook, at)}"
    return Reason("gate-ends", text, "Open the gate, close it, or abort the release.", Fault.HOOK)


def gate_opened(canary: Canary, hook: Webhook) -> Reason:
    """A gate opens at its deadline."""
    within = f"no decision within {hook.metadata[DEADLINE]}"
    return Reason("gate-opened", f"Gate {hook.name} of {whose(canary)} opens at its deadline: {within}")


def gate_aborts(canary: Canary, hook: Webhook) -> Reason:
    """The deadline of a gate ends the release."""
    within = hook.metadata[DEADLINE]
    return Reason("rolling-back", f"Rolling back {whose(canary)}: gate {hook.name} was not opened within {within}")


# Undo ---------------------------------------------------------------------------------------------------------------


NO_RECORD = Refusal("no-record", "flagger has no record of an earlier release")
DRAINS = Refusal(
    "drains",
    "the update strategy of the primary may leave it without pods: set one that keeps pods, or release the old version",
)


def undoing(canary: Canary, number: int, by: str, why: str) -> Reason:
    """The primary gets the template of an earlier release."""
    because = f": {why}" if why else ""
    return Reason("undoing", f"Undoing {whose(canary)} to release {number} by {by}{because}")


def undo_failed(canary: Canary, number: int, back: int, why: str) -> Reason:
    """The primary does not get ready with the template of an earlier release."""
    then = f"The primary gets release {back} back" if back else "The canary keeps its traffic"
    text = f"Undo of {whose(canary)} failed: {why}. {then}"
    return Reason("undo-failed", text, f"Check why pods of release {number} do not get ready.", Fault.CLUSTER)


def undone(canary: Canary, undo: Undo) -> Reason:
    """The primary runs an earlier release again."""
    text = f"Undone by {undo.by}: release {undo.to} of {whose(canary)} runs again"
    return Reason("undone", text, "flagger does not release the target's revision again until it changes, or a retry.")


def not_undone(canary: Canary, why: str) -> Reason:
    """The primary runs what it ran before."""
    return Reason("undo-failed", f"Undo of {whose(canary)} failed: {why}", "", Fault.CLUSTER)
