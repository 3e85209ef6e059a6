"""Walks over the evidence of one stage: the open needs, the need that stopped it, and the passed ones.

A stage is an ordered list of needs and a rule that stops it. Called by every phase with hooks or metric checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pyflagger.api.canary import HookType, Phase, Webhook
from pyflagger.api.published import TEXT_MAX, HookResult
from pyflagger.core import reasons
from pyflagger.core.actions import say
from pyflagger.core.decision import Decision, Say
from pyflagger.core.situation import CallHook, Need, Passed, Refused, Result
from pyflagger.core.view import View

GATES = (HookType.CONFIRM_ROLLOUT, HookType.CONFIRM_TRAFFIC_INCREASE, HookType.CONFIRM_PROMOTION)
"""The types of hooks that hold a release until they approve it."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The progress of a stage. `stopped`: the need that stopped it. `asked`: the earlier needs, with their results."""

    missing: tuple[Need, ...] = ()
    stopped: tuple[Need, Result] | None = None
    asked: tuple[Need, ...] = ()

    @property
    def ask(self) -> Decision:
        """The decision to ask for the remaining needs."""
        return Decision(needs=self.missing, reasons=(reasons.ASKING,))


def walk(
    view: View,
    needs: Iterable[Need],
    stops: Callable[[Result], bool],
    known: Mapping[Need, Result] = MappingProxyType({}),
) -> Walk:
    """Walk through a stage up to the first need without evidence. `known`: results that need no evidence."""
    every = tuple(needs)
    evidence = {**view.situation.evidence, **known}
    for at, need in enumerate(every):
        if need not in evidence:
            return Walk(missing=every[at:], asked=every[:at])
        if stops(evidence[need]):
            return Walk(stopped=(need, evidence[need]), asked=every[:at])
    return Walk(asked=every)


@dataclass(frozen=True, slots=True)
class Hooks:
    """The progress of a stage of hooks. `stopped`: the hook that stopped it, with its error, if any.

    `erred`: that hook gave no usable answer.
    """

    ask: Decision | None = None
    stopped: tuple[Webhook, str] | None = None
    asked: tuple[Webhook, ...] = ()
    erred: bool = False

    @property
    def published(self) -> tuple[HookResult, ...]:
        """The results for the status, in order."""
        good = tuple(HookResult(name=hook.name, verdict="pass") for hook in self.asked)
        if self.stopped is None:
            return good
        hook, error = self.stopped
        return (*good, HookResult(name=hook.name, verdict="refused", text=error[:TEXT_MAX]))

    def passed(self, view: View, kind: str, *, phase: Phase | None = None, checksum: str = "") -> tuple[Say, ...]:
        """The events of the hooks that did not stop it."""
        told = (reasons.hook_passed(kind, hook.name) for hook in self.asked)
        return tuple(say(view, reason, phase=phase, checksum=checksum) for reason in told)


def refuses(result: Result) -> bool:
    """The rule for all hooks except rollback hooks: the first refusal stops."""
    return not isinstance(result, Passed)


def agrees(result: Result) -> bool:
    """The rule for rollback hooks: the first one that passes stops."""
    return isinstance(result, Passed)


def steered(view: View, hook: Webhook) -> Result | None:
    """The answer of a gate that people open or close; None if its URL is asked."""
    if hook.type not in GATES:
        return None
    gate = (view.status.gates or {}).get(hook.name)
    if gate is not None and gate.state and gate.revision == view.pending:
        return Refused(f"closed by {gate.by}") if gate.state == "closed" else Passed()
    if view.full:
        return Passed()
    return Refused("closed until an action opens it") if hook.asks_nobody else None


def call(
    view: View,
    kind: HookType,
    phase: Phase,
    *,
    checksum: str = "",
    stops: Callable[[Result], bool] = refuses,
) -> Hooks:
    """Walk through the canary's hooks of one type. `phase` and `checksum` go into their payload."""
    by_need: dict[Need, Webhook] = {
        CallHook(at, phase.value, checksum or view.running): hook for at, hook in view.hooks(kind)
    }
    known = {need: answer for need, hook in by_need.items() if (answer := steered(view, hook)) is not None}
    found = walk(view, by_need, stops, known)
    if found.missing:
        return Hooks(ask=found.ask)
    asked = tuple(by_need[need] for need in found.asked)
    if found.stopped is None:
        return Hooks(asked=asked)
    need, result = found.stopped
    refused = result if isinstance(result, Refused) else Refused("")
    return Hooks(stopped=(by_need[need], refused.text), asked=asked, erred=refused.erred)
