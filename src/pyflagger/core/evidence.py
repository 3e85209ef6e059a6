"""Walking over the evidence of one stage: what is still to be asked, where it stopped, what passed.

A stage is a list of needs in order with a rule that stops it. Called by every phase that runs hooks or metric checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyflagger.api.canary import HookType, Phase, Webhook
from pyflagger.core import reasons
from pyflagger.core.actions import say
from pyflagger.core.decision import Decision, Say
from pyflagger.core.situation import CallHook, Need, Passed, Refused, Result
from pyflagger.core.view import View


@dataclass(frozen=True, slots=True)
class Walk:
    """How far a stage is. `stopped` is the need that stopped it, `asked` are those before it, with their results."""

    missing: tuple[Need, ...] = ()
    stopped: tuple[Need, Result] | None = None
    asked: tuple[Need, ...] = ()

    @property
    def ask(self) -> Decision:
        """The decision to ask for the rest."""
        return Decision(needs=self.missing, reasons=(reasons.ASKING,))


def walk(view: View, needs: Iterable[Need], stops: Callable[[Result], bool]) -> Walk:
    """Go through a stage as far as there is evidence."""
    every = tuple(needs)
    evidence = view.situation.evidence
    for at, need in enumerate(every):
        if need not in evidence:
            return Walk(missing=every[at:], asked=every[:at])
        if stops(evidence[need]):
            return Walk(stopped=(need, evidence[need]), asked=every[:at])
    return Walk(asked=every)


@dataclass(frozen=True, slots=True)
class Hooks:
    """How far a stage of hooks is. `stopped` is the hook that stopped it, with its error if it has one.

    `erred`: the hook that stopped it said neither yes nor no.
    """

    ask: Decision | None = None
    stopped: tuple[Webhook, str] | None = None
    asked: tuple[Webhook, ...] = ()
    erred: bool = False

    def passed(self, view: View, kind: str, *, phase: Phase | None = None, checksum: str = "") -> tuple[Say, ...]:
        """The events of the hooks that did not stop it."""
        told = (reasons.hook_passed(kind, hook.name) for hook in self.asked)
        return tuple(say(view, reason, phase=phase, checksum=checksum) for reason in told)


def refuses(result: Result) -> bool:
    """The rule of all hooks but those for rollback: the first refusal stops."""
    return not isinstance(result, Passed)


def agrees(result: Result) -> bool:
    """The rule of rollback hooks: the first that passes stops."""
    return isinstance(result, Passed)


def call(
    view: View,
    kind: HookType,
    phase: Phase,
    *,
    checksum: str = "",
    stops: Callable[[Result], bool] = refuses,
) -> Hooks:
    """Go through the canary's hooks of one type. `phase` and `checksum` are what they are told."""
    by_need: dict[Need, Webhook] = {
        CallHook(at, phase.value, checksum or view.running): hook for at, hook in view.hooks(kind)
    }
    found = walk(view, by_need, stops)
    if found.missing:
        return Hooks(ask=found.ask)
    asked = tuple(by_need[need] for need in found.asked)
    if found.stopped is None:
        return Hooks(asked=asked)
    need, result = found.stopped
    refused = result if isinstance(result, Refused) else Refused("")
    return Hooks(stopped=(by_need[need], refused.text), asked=asked, erred=refused.erred)
