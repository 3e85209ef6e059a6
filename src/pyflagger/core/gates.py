"""Gates: hooks that hold a release until somebody agrees; one that is closed, and one that cannot be asked.

Both hold the release and are asked again every interval. A closed gate waits for people: the Promoted condition names
it, since when it is closed and how it opens. A gate that errs waits for a repair: a Warning says what it answered, and
the condition Halted that it is the hook. Called by `start` and `strategy`.
"""

from __future__ import annotations

from pyflagger.api.canary import Canary, Phase, Webhook
from pyflagger.core import reasons
from pyflagger.core.case import Case
from pyflagger.core.conditions import Waits
from pyflagger.core.decision import Action, Reason, WriteStatus
from pyflagger.core.evidence import Hooks
from pyflagger.wire import shown_url

CHECK, HALT, OPEN = "/gate/check", "/gate/halt", "/gate/open"
"""Paths of the load tester: a gate that is opened and closed, one that is always closed, and how to open the first."""


def fault(case: Case, gate: Hooks) -> Reason | None:
    """What is wrong with a gate that stopped us; None when it is just closed."""
    if gate.stopped is None or not gate.erred:
        return None
    hook, error = gate.stopped
    return reasons.gate_erred(case.canary, hook.name, error)


def told(case: Case, gate: Hooks, phase: Phase, checksum: str = "") -> tuple[Action, ...]:
    """The Warning about a gate that errs, once for each of its answers."""
    reason = fault(case, gate)
    return case.once(reason, warn=True, phase=phase, checksum=checksum) if reason else ()


def waits(case: Case, gate: Hooks, hook: Webhook) -> Waits:
    """Which gate it is, and how it opens."""
    state = "has given no usable answer" if gate.erred else "is closed"
    return Waits(f"Gate {hook.name} {state}", _way(case.canary, hook))


def stays(case: Case, gate: Hooks, hook: Webhook) -> tuple[WriteStatus, ...]:
    """The status of a release that goes on waiting, if it says something else by now."""
    write = case.write(halted=fault(case, gate), waits=waits(case, gate, hook))
    return (write,) if write.status != case.status else ()


def _way(canary: Canary, hook: Webhook) -> str:
    url = shown_url(hook.url)
    if url.endswith(CHECK):
        body = f'{{"name": "{canary.metadata.name}", "namespace": "{canary.metadata.namespace}"}}'
        return f"To open it: curl -d '{body}' {url.removesuffix(CHECK)}{OPEN}"
    if url.endswith(HALT):
        return f"{url} never opens: to go on, let the webhook call {CHECK} or /gate/approve."
    return f"It opens when {url} answers 200."
