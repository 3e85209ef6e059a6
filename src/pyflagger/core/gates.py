"""Gates: hooks that hold a release until they approve it.

A closed gate and a gate that fails both hold the release, and flagger asks them again every interval. A closed gate
waits for a user: the Promoted condition names it, since when it is closed, and how to open it. A gate that fails waits
for a repair: a Warning has its answer, and the condition Halted has the reason Hook. Called by `start` and `strategy`.
"""

from __future__ import annotations

from pyflagger.api.canary import Canary, Phase, Webhook
from pyflagger.core import reasons
from pyflagger.core.actions import once
from pyflagger.core.conditions import Waits
from pyflagger.core.decision import Action, Reason, WriteStatus
from pyflagger.core.evidence import Hooks
from pyflagger.core.view import View
from pyflagger.core.writing import write
from pyflagger.wire import shown_url

CHECK, HALT, OPEN = "/gate/check", "/gate/halt", "/gate/open"
"""Paths of the load tester: a gate with a state, a gate that is always closed, and the path that opens the first."""


def fault(view: View, gate: Hooks) -> Reason | None:
    """The problem of a gate that holds the release; None if it is only closed."""
    if gate.stopped is None or not gate.erred:
        return None
    hook, error = gate.stopped
    return reasons.gate_erred(view.canary, hook.name, error)


def told(view: View, gate: Hooks, phase: Phase, checksum: str = "") -> tuple[Action, ...]:
    """The Warning about a gate that fails, once for each of its answers."""
    reason = fault(view, gate)
    return once(view, reason, warn=True, phase=phase, checksum=checksum) if reason else ()


def waits(view: View, gate: Hooks, hook: Webhook) -> Waits:
    """The gate's state, and how to open it."""
    state = "gave no usable answer" if gate.erred else "is closed"
    steered = hook.asks_nobody or hook.name in (view.status.gates or {})
    return Waits(f"Gate {hook.name} {state}", _by_action(view.canary, hook) if steered else _way(view.canary, hook))


def stays(view: View, gate: Hooks, hook: Webhook) -> tuple[WriteStatus, ...]:
    """The status of a release that keeps waiting; none if the status does not change."""
    written = write(view, halted=fault(view, gate), waits=waits(view, gate, hook))
    return (written,) if written.status != view.status else ()


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
