"""Gates: hooks that hold a release until they approve it.

A closed gate and a gate that fails both hold the release, and flagger asks them again every interval. A closed gate
waits for a user: the Promoted condition names it, since when it is closed, and how to open it. A gate that fails waits
for a repair: a Warning has its answer, and the condition Halted has the reason Hook.

A gate may have a deadline, which counts from the first time that it holds a revision. Its start is in the status, so it
survives a restart. A gate that still holds after it opens, or flagger aborts the release. The decision of a person
replaces the deadline. Called by `start` and `strategy`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pyflagger.api.canary import Canary, Phase, Webhook
from pyflagger.api.durations import epoch_or_none, second, stamp
from pyflagger.api.steered import Gate
from pyflagger.core import answers, reasons, rollback
from pyflagger.core.actions import once, say
from pyflagger.core.conditions import Waits
from pyflagger.core.decision import Action, Alert, Decision, Reason, WriteStatus
from pyflagger.core.evidence import Hooks
from pyflagger.core.view import View
from pyflagger.core.writing import write
from pyflagger.wire import shown_url

Advance = Callable[[View, tuple[Action, ...]], Decision]
"""Goes on with a release, with the events so far."""

CHECK, HALT, OPEN = "/gate/check", "/gate/halt", "/gate/open"
"""Paths of the load tester: a gate with a state, a gate that is always closed, and the path that opens the first."""


def fault(view: View, gate: Hooks) -> Reason | None:
    """The problem of a gate that holds the release; None if it is only closed."""
    if gate.stopped is None or not gate.erred:
        return None
    hook, error = gate.stopped
    return reasons.gate_erred(view.canary, hook.name, error)


def told(view: View, gate: Hooks, hook: Webhook, phase: Phase, checksum: str = "") -> tuple[Action, ...]:
    """The Warning about a gate that fails, once for each of its answers, and that its deadline comes, once."""
    reason = fault(view, gate)
    failing = once(view, reason, warn=True, phase=phase, checksum=checksum) if reason else ()
    return (*failing, *_announced(view, hook, phase, checksum))


def stands(view: View, gate: Hooks, hook: Webhook) -> dict[str, Any]:
    """What a status says of a release that a gate holds: arguments of `write`."""
    return {"halted": fault(view, gate), "waits": _waits(view, gate, hook), **_counted(view, hook)}


def stays(view: View, gate: Hooks, hook: Webhook) -> tuple[WriteStatus, ...]:
    """The status of a release that keeps waiting; none if the status does not change."""
    written = write(view, **stands(view, gate, hook))
    return (written,) if written.status != view.status else ()


def _waits(view: View, gate: Hooks, hook: Webhook) -> Waits:
    """The gate's state, its deadline, and how to open it."""
    state = "gave no usable answer" if gate.erred else "is closed"
    steered = hook.asks_nobody or _known(view, hook).state
    way = _by_action(view.canary, hook) if steered else _way(view.canary, hook)
    return Waits(f"Gate {hook.name} {state}", f"{_then(view, hook)}{way}")


# Deadlines ----------------------------------------------------------------------------------------------------------

WARNING_SECONDS = 3600.0
"""How long before its deadline flagger warns of a gate."""


def over(view: View, hook: Webhook) -> bool:
    """Whether the deadline of a gate that holds the release is over."""
    at = _deadline(view, hook)
    return at is not None and view.now >= at


def defaults(view: View, hook: Webhook, said: tuple[Action, ...], again: Advance) -> Decision:
    """The default of a gate whose deadline is over: abort, or open it for this revision and ask the others `again`."""
    if not hook.opens_at_deadline:
        return rollback.aborted(view, answers.gate_aborts(view.canary, hook), *said)
    reason = answers.gate_opened(view.canary, hook)
    status = view.status.but(gates=_gates(view, hook, state="open", by=answers.DEADLINE_BY))
    told = say(view, reason, warn=True, checksum=view.pending), Alert("warn", reason.text)
    decision = again(view.having(status), (*said, *told))
    if decision.needs or any(isinstance(action, WriteStatus) for action in decision.actions):
        return decision
    return replace(decision, actions=(*decision.actions, WriteStatus(status)))


def _known(view: View, hook: Webhook) -> Gate:
    """What the status has of a gate for the current revision."""
    found = (view.status.gates or {}).get(hook.name)
    return found if found is not None and found.revision == view.pending else Gate(revision=view.pending)


def _begun(view: View, hook: Webhook) -> float:
    """When a gate first held this revision, in whole seconds."""
    begun = epoch_or_none(_known(view, hook).since)
    return second(view.now) if begun is None else begun


def _deadline(view: View, hook: Webhook) -> float | None:
    """When a gate that holds the release gets its default.

    None without a deadline, after the decision of a person, and with a definition that does not keep its start: that
    one drops the release, too.
    """
    seconds = hook.deadline_seconds
    if seconds is None or _known(view, hook).state or view.status.release is None:
        return None
    return _begun(view, hook) + seconds


def _counted(view: View, hook: Webhook) -> dict[str, Any]:
    """The change of a status that stores when a deadline begins."""
    if _deadline(view, hook) is None:
        return {}
    return {"gates": _gates(view, hook)}


def _gates(view: View, hook: Webhook, **changes: Any) -> dict[str, Gate]:
    """The gates of a status, with the start of the deadline of this one, and `changes` of it."""
    known = replace(_known(view, hook), since=stamp(_begun(view, hook)), **changes)
    return {**(view.status.gates or {}), hook.name: known}


def _then(view: View, hook: Webhook) -> str:
    """What happens at the deadline, in words."""
    at = _deadline(view, hook)
    if at is not None:
        return f"{answers.gate_then(hook, stamp(at))}. "
    older = hook.deadline_seconds is not None and view.status.release is None
    return "Its deadline has no effect: the Canary definition is older. " if older else ""


def _announced(view: View, hook: Webhook, phase: Phase, checksum: str) -> tuple[Action, ...]:
    """The Warning and the alert an hour before the deadline, if the gate held the release before."""
    at = _deadline(view, hook)
    if at is None or not _begun(view, hook) < at - WARNING_SECONDS <= view.now:
        return ()
    reason = answers.gate_ends(view.canary, hook, stamp(at))
    said = once(view, reason, warn=True, phase=phase, checksum=checksum, item=hook.name)
    return (*said, Alert("warn", reason.text)) if said and not hook.mute_alert else said


# Ways to open -------------------------------------------------------------------------------------------------------


def _by_action(canary: Canary, hook: Webhook) -> str:
    return f"To open it: flagger gate open {canary.metadata.name} {hook.name} -n {canary.metadata.namespace}"


def _way(canary: Canary, hook: Webhook) -> str:
    url = shown_url(hook.url)
    if url.endswith(CHECK):
        body = f'{{"name": "{canary.metadata.name}", "namespace": "{canary.metadata.namespace}"}}'
        return f"To open it: curl -d '{body}' {url.removesuffix(CHECK)}{OPEN}"
    if url.endswith(HALT):
        return f"{url} never opens. To continue, let the webhook call {CHECK} or /gate/approve."
    return f"It opens when {url} answers 200."
