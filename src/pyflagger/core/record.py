"""The records of releases: what a decision adds to them. Called by `decide` for every decision.

A record opens before the status write that begins its release, and closes before the one that ends it. Rounds wait in
memory for at most a minute. A decision never depends on a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pyflagger.api import actions, defaults, names
from pyflagger.api.actions import State
from pyflagger.api.canary import Analysis, CanaryStatus, Phase
from pyflagger.api.durations import show, stamp
from pyflagger.api.published import ReleaseStatus, RoundStatus
from pyflagger.api.records import (
    ACTIONS_MAX,
    CAUSE_MAX,
    PARTS_MAX,
    QUERY_MAX,
    TEXT_MAX,
    Acted,
    Ending,
    Judged,
    Origin,
    Outcome,
    Plan,
    PlannedCheck,
    PlannedHook,
    ReleaseRecord,
    ReleaseSpec,
    Waited,
)
from pyflagger.api.steered import LastAction, Undo
from pyflagger.core import answers, reasons
from pyflagger.core.actions import act
from pyflagger.core.conditions import GATE_CLOSED, HALTED, WAITING
from pyflagger.core.decision import (
    Action,
    CloseRecord,
    Decision,
    DropRecords,
    NoteRounds,
    OpenRecord,
    Reason,
    SetRoute,
    WriteStatus,
)
from pyflagger.core.memory import AT_WRITE, Notes
from pyflagger.core.releases import first
from pyflagger.core.strategy import next_weight
from pyflagger.core.verdict import Check, accepted, checks
from pyflagger.core.view import View
from pyflagger.wire import shown_url

UNDER_WAY = (Phase.WAITING, Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING)
LEFT = (Phase.TERMINATING, Phase.TERMINATED, Phase.UNKNOWN)
"""Phases after which the end of a release is unknown, if the canary is initialized again."""

WRITES_SECONDS = 60.0
"""The least time between two writes of rounds to a record."""

GAP_INTERVALS = 3
"""Intervals between two rounds after which some are missing in a record."""


def recorded(view: View, decision: Decision) -> Decision:
    """The decision with its writes to records."""
    if not view.situation.history.keep or decision.needs:
        return decision
    before, after = view.status, _written(view, decision)
    notes = _noted(view, decision, after)
    number, old = _number(after), _number(before)
    if number != old:
        return _opened(view, decision, after, notes)
    if _ends(before, after):
        return _closed(view, decision, after, notes)
    return _noting(view, decision, after, notes) if number else decision


def _ends(before: CanaryStatus, after: CanaryStatus) -> bool:
    """Whether a status ends a release. A Canary that is being deleted takes its records along."""
    if not _number(after) or after.phase in (*UNDER_WAY, Phase.TERMINATING):
        return False
    return before.phase in UNDER_WAY or (before.phase in LEFT and after.phase is Phase.INITIALIZING)


def adopt(view: View) -> Decision | None:
    """The record of the release that the primary of a canary without any record runs."""
    if view.status.release is not None or not view.situation.history.keep:
        return None
    promoted = view.status.last_promoted_spec or view.status.last_applied_spec
    status = view.status.but(release=first(view))
    spec = _spec(view, status, "adopted").model_copy(update={"revision": promoted, "origin": None, "images": ()})
    kept = view.target.revision if view.matches else ""
    opened = OpenRecord(spec, _ended(view, CanaryStatus(), reasons.ADOPTED, Outcome.INITIALIZED), kept)
    return act(reasons.ADOPTED, opened, WriteStatus(status))


def _written(view: View, decision: Decision) -> CanaryStatus:
    """The status after a decision."""
    last = decision.actions[-1] if decision.actions else None
    return last.status if isinstance(last, WriteStatus) else view.status


def _number(status: CanaryStatus) -> int:
    return status.release.number if status.release else 0


def _with(view: View, decision: Decision, notes: Notes, actions: tuple[Action, ...]) -> Decision:
    return replace(decision, actions=actions, memory=replace(decision.memory or view.memory, notes=notes))


# Opening -------------------------------------------------------------------------------------------------------------


def _opened(view: View, decision: Decision, after: CanaryStatus, notes: Notes) -> Decision:
    """A release begins. It ends the release before it, if that is still under way."""
    if after.release is None or any(isinstance(action, OpenRecord) for action in decision.actions):
        return decision
    superseded: tuple[Action, ...] = ()
    if view.status.phase in UNDER_WAY and _number(view.status):
        superseded = _close(view, after, notes, decision.reasons[0], Outcome.SUPERSEDED)
    done = after.phase not in UNDER_WAY
    cause = "initial" if done else _cause(view)
    spec = _spec(view, after, cause) if after.undo is None else _undoing(view, after, after.undo)
    ended = _ended(view, after, decision.reasons[0], Outcome.INITIALIZED) if done else None
    begun = () if superseded else (*_retried(view, cause), *_acted(view, view.status, after))
    opened = OpenRecord(spec, ended, view.target.revision if done and view.matches else "", begun)
    fresh = Notes() if done else Notes(revision=spec.revision, at=AT_WRITE)
    return _with(view, decision, fresh, (*superseded, opened, *decision.actions))


def _spec(view: View, after: CanaryStatus, cause: str) -> ReleaseSpec:
    release, ref = after.release or ReleaseStatus(), view.canary.spec.target_ref
    known = view.status.release
    origin = Origin(number=known.promoted, revision=view.status.last_promoted_spec) if known else None
    return ReleaseSpec(
        number=release.number,
        canary=view.canary.metadata.name,
        target=f"{ref.kind}/{names.target(view.canary)}",
        revision=view.target.revision,
        started_at=stamp(view.now),
        origin=origin,
        images=view.situation.images,
        cause=cause,
        plan=_plan(view),
        checks=tuple(map(_check, tuple(checks(view.analysis))[:PARTS_MAX])),
        hooks=tuple(
            PlannedHook(name=hook.name, type=hook.type, url=shown_url(hook.url))
            for hook in view.analysis.webhooks[:PARTS_MAX]
        ),
    )


def _undoing(view: View, after: CanaryStatus, undo: Undo) -> ReleaseSpec:
    """The spec of an undo, which judges nothing."""
    spec = _spec(view, after, f"undo of release {undo.origin}" if undo.origin else "undo of a failed promotion")
    images = after.release.images if after.release else ()
    changes = {"revision": undo.revision, "images": images, "plan": None, "checks": (), "hooks": ()}
    return spec.model_copy(update=changes)


def _cause(view: View) -> str:
    """`template`, the ConfigMaps and Secrets that changed, or `retry` if a person runs a failed revision again."""
    if view.status.again == view.pending:
        return "retry"
    if view.target.revision != view.status.last_applied_spec:
        return "template"
    old, new = view.status.tracked_configs or {}, view.target.configs or {}
    return f"configs {', '.join(_differing(old, new))}"[:CAUSE_MAX]


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {**old, **new} if old.get(name) != new.get(name))


def _plan(view: View) -> Plan:
    weighted = view.strategy == "canary"
    return Plan(
        strategy=view.strategy,
        provider=view.situation.provider,
        interval=show(view.situation.interval),
        threshold=defaults.threshold(view.canary),
        weights=_weights(view.analysis) if weighted else (),
        iterations=0 if weighted else view.iterations,
        promotion=_returns(view.analysis.step_weight_promotion) if weighted else (),
        skip=view.skip,
    )


def _weights(analysis: Analysis) -> tuple[int, ...]:
    """The weights of the canary, in order."""
    found, most = [0], defaults.max_weight(analysis)
    while found[-1] < most and (following := next_weight(analysis, found[-1])) != found[-1]:
        found.append(following)
    return tuple(found[1:])


def _returns(step: int) -> tuple[int, ...]:
    """The weights of the primary while traffic returns to it in steps."""
    return (*range(step, 100, step), 100) if step > 0 else ()


def _check(check: Check) -> PlannedCheck:
    metric, source = check.metric, check.need.source if check.need else None
    low, high = accepted(metric, source) if source else (None, None)
    return PlannedCheck(
        name=metric.name,
        source=source or "",
        query=metric.query[:QUERY_MAX] if source == "query" else "",
        window=metric.interval,
        min=low,
        max=high,
    )


# Rounds and waits ----------------------------------------------------------------------------------------------------


def _noted(view: View, decision: Decision, after: CanaryStatus) -> Notes:
    """The notes with what this decision adds."""
    notes, before = view.memory.notes, view.status
    if notes.at is None and before.phase in UNDER_WAY:
        last = before.last_action
        notes = replace(notes, rounds=_recalled(before), actions=(_action(view, last),) if last else ())
    if acted := _acted(view, before, after):
        notes = replace(notes, actions=(*notes.actions, *acted)[-ACTIONS_MAX:])
    if decision.judged is not None:
        end = _end(view, decision, after)
        notes = replace(notes, rounds=(*notes.rounds, _round(decision.judged, view.now, end)))
    waits = _waited(view, before, after)
    return replace(notes, waits=(*notes.waits, *waits)) if waits else notes


def _recalled(before: CanaryStatus) -> tuple[Judged, ...]:
    """The last round, which the status kept when the operator stopped."""
    if before.round is None or before.last_tick_time is None:
        return ()
    return (_round(before.round, before.last_tick_time, ""),)


def _round(judged: RoundStatus, at: float, end: str) -> Judged:
    return Judged(
        at=stamp(at),
        weight=judged.weight,
        iteration=judged.iteration,
        checks=judged.checks,
        hooks=judged.hooks,
        end=end,
    )


def _end(view: View, decision: Decision, after: CanaryStatus) -> str:
    """What followed from a round."""
    if after.phase is Phase.PROMOTING:
        return "promoted"
    if after.failed_checks > view.status.failed_checks:
        return "halted"
    if after.phase is Phase.WAITING_PROMOTION or decision.reasons[0].code == GATE_CLOSED:
        return "gate"
    moved = any(isinstance(action, SetRoute) for action in decision.actions)
    return "advanced" if moved or after.iterations > view.status.iterations else "held"


def _acted(view: View, before: CanaryStatus, after: CanaryStatus) -> tuple[Acted, ...]:
    """The gates that their deadlines open, and the action that this decision answers. None between releases."""
    if before.phase not in UNDER_WAY and after.phase not in UNDER_WAY:
        return ()
    known, gates = before.gates or {}, (after.gates or {}).items()
    opened = (name for name, gate in gates if gate.by == answers.DEADLINE_BY and known.get(name) != gate)
    told = tuple(_defaulted(view, name) for name in opened)
    last, old = after.last_action, before.last_action
    return told if last is None or (old is not None and old.uid == last.uid) else (*told, _action(view, last))


def _defaulted(view: View, gate: str) -> Acted:
    text = f"Gate {gate} opened at its deadline"
    by, done = answers.DEADLINE_BY, State.DONE.value
    return Acted(action=actions.Action.OPEN_GATE.value, by=by, at=stamp(view.now), result=done, text=text)


def _action(view: View, last: LastAction) -> Acted:
    """An action with its result. Only a pending one names the client that was used."""
    via = next((each.spec.via for each in view.situation.requests if each.metadata.uid == last.uid), "")
    return Acted(
        action=last.action,
        by=last.by,
        reason=last.reason,
        via=via,
        at=last.at,
        result=last.result,
        text=last.text[:TEXT_MAX],
    )


def _retried(view: View, cause: str) -> tuple[Acted, ...]:
    """The action that made a release of a failed revision possible."""
    last = view.status.last_action
    retried = cause == "retry" and last is not None and last.action == actions.Action.RETRY
    return (_action(view, last),) if last is not None and retried else ()


def _waited(view: View, before: CanaryStatus, after: CanaryStatus) -> tuple[Waited, ...]:
    """A wait that is over, or now is for something else."""
    old, new = (next((c for c in status.conditions if c.type == WAITING), None) for status in (before, after))
    if old is None or before.phase not in UNDER_WAY or (new is not None and new.reason == old.reason):
        return ()
    return (_wait(view, old.reason, old.message, old.last_transition_time),)


def _wait(view: View, code: str, text: str, since: float | None) -> Waited:
    begun = view.now if since is None else since
    return Waited(code=code, text=text[:TEXT_MAX], since=stamp(begun), until=stamp(view.now))


def _noting(view: View, decision: Decision, after: CanaryStatus, notes: Notes) -> Decision:
    """Write the notes, once a minute, or when the release is about another revision."""
    begun = view.status.phase is Phase.WAITING and after.phase is Phase.PROGRESSING
    other = begun and notes.revision != view.target.revision
    fresh = notes.rounds != view.memory.notes.rounds or notes.waits != view.memory.notes.waits
    if not other and not fresh:
        if notes.actions == view.memory.notes.actions:
            return decision
        kept = replace(notes, at=AT_WRITE) if notes.at is None else notes
        return _with(view, decision, kept, decision.actions)
    if notes.at is None:
        notes = replace(notes, at=AT_WRITE)
    elif view.now >= notes.at + WRITES_SECONDS:
        other = True
    if not other:
        return _with(view, decision, notes, decision.actions)
    spec = _spec(view, after, _cause(view)) if begun else None
    written = _rounds(view, _number(after), notes, spec)
    left = Notes(revision=view.target.revision if begun else notes.revision, at=AT_WRITE)
    return _with(view, decision, left, (written, *decision.actions))


def _rounds(view: View, number: int, notes: Notes, spec: ReleaseSpec | None = None) -> NoteRounds:
    pause = GAP_INTERVALS * view.situation.interval
    return NoteRounds(number, notes.rounds, notes.waits, pause, spec, notes.actions)


# Closing -------------------------------------------------------------------------------------------------------------


def _closed(view: View, decision: Decision, after: CanaryStatus, notes: Notes) -> Decision:
    """A release ends."""
    outcome = _outcome(view, after)
    actions = _close(view, after, notes, decision.reasons[0], outcome)
    return _with(view, decision, Notes(), (*decision.actions[:-1], *actions, decision.actions[-1]))


def _outcome(view: View, after: CanaryStatus) -> Outcome:
    if after.phase is Phase.SUCCEEDED:
        return Outcome.PROMOTED
    if after.phase is Phase.INITIALIZING:
        return Outcome.LOST
    if view.status.undo is not None and not view.status.undo.failed:
        return Outcome.UNDONE
    withdrawn = view.status.phase is Phase.WAITING and view.status.rollback is None
    return Outcome.CANCELLED if after.phase is Phase.INITIALIZED or withdrawn else Outcome.ROLLED_BACK


def _close(view: View, after: CanaryStatus, notes: Notes, reason: Reason, outcome: Outcome) -> tuple[Action, ...]:
    """The end of the release under way, and of the records that are no longer kept."""
    number, status = _number(view.status), view.status
    promoted = outcome is Outcome.PROMOTED and view.target.revision == status.last_applied_spec
    closed = CloseRecord(
        _rounds(view, number, notes),
        _ended(view, after, reason, outcome),
        view.target.revision if promoted else "",
    )
    dropped = _dropped(view, after, number)
    return (closed, DropRecords(dropped)) if dropped else (closed,)


def _ended(view: View, after: CanaryStatus, reason: Reason, outcome: Outcome) -> ReleaseRecord:
    weight = 100 if view.rescued else max(view.route.canary, view.status.canary_weight)
    return ReleaseRecord(
        outcome=outcome,
        finished_at=stamp(view.now),
        weight=weight,
        failed_checks=view.status.failed_checks,
        reason=_why(after, reason),
    )


def _why(after: CanaryStatus, reason: Reason) -> Ending:
    """The reason, with what halted a failed release."""
    fault = "" if reason.fault is None else reason.fault.value
    halted = next((c.message for c in after.conditions if c.type == HALTED), "")
    text = f"{reason.text.rstrip('. ')}. {halted}" if halted else reason.text
    return Ending(code=reason.code, text=text[:TEXT_MAX], todo=reason.todo, fault=fault)


def _dropped(view: View, after: CanaryStatus, number: int) -> tuple[int, ...]:
    """The records that are no longer kept. Those of the promoted release and of the one before it are."""
    old, new = view.status.release or ReleaseStatus(), after.release or ReleaseStatus()
    oldest = number - view.situation.history.keep
    replaced = {old.previous} if old.previous != new.previous and old.previous <= oldest else set()
    found = ({oldest} | replaced) - {new.promoted, new.previous}
    return tuple(sorted(each for each in found if each > 0))
