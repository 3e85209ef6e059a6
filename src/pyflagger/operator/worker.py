"""One look at one canary: observe, decide, gather or apply, until nothing is left to do; then an alarm.

Called by the scheduler, never twice at once for a canary. Evidence is gathered beside the look, so a new revision or a
deletion is acted on while a hook is still thinking. The last line of defence: whatever goes wrong here is told, retried
with backoff, and never touches another canary.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.core.decide import decide
from pyflagger.core.decision import Action, Alert, Count, Decision, Ensure, Remember, Say
from pyflagger.core.situation import Need, Result, Situation
from pyflagger.core.transitions import BLOCKED
from pyflagger.kube.client import ApiError, Conflict, Forbidden, NotLeader
from pyflagger.operator.desk import Desk, Key
from pyflagger.operator.observe import NotYet
from pyflagger.operator.render import Moved
from pyflagger.operator.scheduler import Scheduler
from pyflagger.plugins import PluginFailed

STEPS_MAX = 24
"""Decisions in one look. A release needs about five; more means that an action does not do what it should."""

STILL_MAX = 3
"""How often a decision may be carried out without anything to show for it: a write may be one that was made already."""

BACKOFF_FIRST, BACKOFF_MAX = 0.5, 30.0


class Stuck(Exception):
    """A decision was carried out and nothing came of it: a bug of ours, told as `problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class Observed(Protocol):
    """What `observe` returns: the situation, and whatever `apply` needs to carry a decision out."""

    @property
    def situation(self) -> Situation:
        """The facts."""


Seen = TypeVar("Seen", bound=Observed)


@dataclass(frozen=True, slots=True)
class Limbs(Generic[Seen]):
    """The worker's senses and hands, so that its loop can be tested without a cluster."""

    observe: Callable[[Key, Desk], Seen | None]
    gather: Callable[[Seen, Need], Awaitable[Result]]
    apply: Callable[[Seen, Desk, Action], Awaitable[int]]
    """Carries an action out; the number of writes to the cluster that it took."""

    complain: Callable[[Key, Problem], None]
    judged: Callable[[Seen, float], None]
    decided: Callable[[Key, Decision], None]
    late: Callable[[float], None]


class Worker(Generic[Seen]):
    """Looks at canaries. `log` is bound to the canary by the caller of `look`."""

    def __init__(self, limbs: Limbs[Seen], clock: Clock, log: Any) -> None:
        self._limbs, self._clock, self._log = limbs, clock, log
        self._desks: dict[Key, Desk] = {}
        self.scheduler: Scheduler[Key] = Scheduler(clock, self.look)

    def forget(self, key: Key) -> None:
        """The canary is gone."""
        self.scheduler.silence(key)
        desk = self._desks.pop(key, None)
        if desk:
            desk.stop_gathering()

    async def stop(self) -> None:
        """Leave everything as it is; wait for what is under way to end."""
        await self.scheduler.stop()
        tasks = [desk.gathering for desk in self._desks.values() if desk.gathering]
        for desk in self._desks.values():
            desk.stop_gathering()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self, key: Key) -> None:
        """Look at one canary and do what is to be done now."""
        desk = self._desks.setdefault(key, Desk())
        if desk.due is not None and self._clock.now() >= desk.due:
            desk.owed, desk.due = desk.due, None
        refused, stuck = desk.refused, desk.stuck
        try:
            decision = await self._steps(key, desk)
        except NotLeader:
            return
        except NotYet:
            return
        except (Conflict, Moved):
            self._retry(key, desk)
        except Forbidden as error:
            self._refused(key, desk, error.problem, is_news=desk.refused != refused)
        except Stuck as error:
            desk.stuck = error.problem
            self._refused(key, desk, error.problem, is_news=stuck is None or stuck.text != error.problem.text)
        except (ApiError, PluginFailed) as error:
            self._failed(key, desk, error.problem)
        except Exception as error:
            self._log.exception("a look at the canary failed", canary=str(key))
            self._failed(key, desk, _ours(error))
        else:
            if decision is not None and not decision.needs:
                desk.failures = 0
                self._moves(key, desk)
            self._set_alarm(key, desk, decision)

    def _moves(self, key: Key, desk: Desk) -> None:
        """A look came to its end: whatever had no effect before is over, and the next look says so."""
        if desk.stuck is not None:
            desk.stuck = None
            self.scheduler.poke(key)

    async def _steps(self, key: Key, desk: Desk) -> Decision | None:
        still, before, writes = 0, None, 0
        for _ in range(STEPS_MAX):
            self.scheduler.seen(key)
            seen = self._limbs.observe(key, desk)
            if seen is None:
                self.forget(key)
                return None
            if desk.generation != seen.situation.canary.metadata.generation:
                desk.turn_to(seen.situation.canary.metadata.generation)
                continue
            decision = decide(seen.situation)
            self._limbs.decided(key, decision)
            if decision.needs:
                self._gather(key, desk, seen, decision)
                return decision
            desk.stop_gathering()
            shown = replace(seen.situation, now=0.0)
            still = still + 1 if shown == before else 0
            if still == STILL_MAX:
                raise Stuck(_without_effect(key, decision, writes))
            writes = await self._apply(seen, desk, decision)
            if not decision.actions:
                return decision
            before = shown
        raise Stuck(_endless(key, decision))

    async def _apply(self, seen: Seen, desk: Desk, decision: Decision) -> int:
        """Carry a decision out; the number of writes."""
        writes = 0
        if desk.began is not None:
            self._limbs.judged(seen, self._clock.monotonic() - desk.began)
            desk.began = None
        if desk.owed is not None:
            self._limbs.late(self._clock.now() - desk.owed)
            desk.owed = None
        for action in decision.actions:
            try:
                writes += await self._limbs.apply(seen, desk, action)
            except Forbidden as error:
                desk.refuse(action, error.problem)
                raise
            desk.allow(action)
        desk.evidence.clear()
        return writes

    def _gather(self, key: Key, desk: Desk, seen: Seen, decision: Decision) -> None:
        if desk.asking == decision.needs[0]:
            return
        desk.stop_gathering()
        if desk.began is None:
            desk.began = self._clock.monotonic()
        desk.gathering = asyncio.get_running_loop().create_task(self._ask(key, desk, seen, decision.needs))

    async def _ask(self, key: Key, desk: Desk, seen: Seen, needs: Sequence[Need]) -> None:
        """Gather one need after the other, as long as the answers so far leave the decision wanting more."""
        while needs:
            desk.asking = needs[0]
            try:
                desk.evidence[needs[0]] = await self._limbs.gather(seen, needs[0])
            except Exception as error:
                self._log.exception("a check failed", canary=str(key))
                desk.asking = desk.gathering = None
                self._failed(key, desk, _ours(error))
                return
            # After the last of them the look that follows decides.
            needs = decide(replace(seen.situation, evidence=dict(desk.evidence))).needs if needs[1:] else ()
        desk.asking = desk.gathering = None
        self.scheduler.poke(key)

    def _set_alarm(self, key: Key, desk: Desk, decision: Decision | None) -> None:
        if decision is None:
            return
        if decision.wake is None or desk.gathering:
            desk.due = None
            self.scheduler.silence(key)
            return
        desk.due = decision.wake
        self.scheduler.alarm(key, decision.wake - self._clock.now())

    def _refused(self, key: Key, desk: Desk, problem: Problem, *, is_news: bool) -> None:
        """News is told by the decision that follows at once; then it is tried again like anything that failed."""
        if is_news:
            desk.evidence.clear()
            self.scheduler.poke(key)
        elif problem.text in desk.said.get(BLOCKED, ""):
            self._retry(key, desk)
        else:
            self._failed(key, desk, problem)

    def _failed(self, key: Key, desk: Desk, problem: Problem) -> None:
        self._limbs.complain(key, problem)
        self._retry(key, desk)

    def _retry(self, key: Key, desk: Desk) -> None:
        desk.evidence.clear()
        delay = min(BACKOFF_MAX, BACKOFF_FIRST * 2.0 ** min(desk.failures, 10))
        desk.failures += 1
        self.scheduler.alarm(key, delay + self._clock.jitter(delay / 4))


BUG = "This is a bug of flagger: report it with the log. It is tried again, ever more seldom; other canaries go on."


def _without_effect(key: Key, decision: Decision, writes: int) -> Problem:
    """Names what was tried, and whether it ever got to the API server."""
    cause = "no write was rendered for it" if writes == 0 else "the API server took each write and left all as it was"
    text = f"flagger tried to {_named(decision)} for canary {key} {STILL_MAX} times and nothing changed: {cause}"
    return Problem(Fault.US, text, BUG)


def _endless(key: Key, decision: Decision) -> Problem:
    text = f"flagger came to no end for canary {key} in {STEPS_MAX} decisions, the last one to {_named(decision)}"
    return Problem(Fault.US, text, BUG)


def _named(decision: Decision) -> str:
    """The actions of a decision by what they are about, those that only tell of it aside."""
    telling = (Say, Alert, Count, Remember)
    named = [action for action in decision.actions if not isinstance(action, telling)] or decision.actions
    return ", ".join(_action(action) for action in named)


def _action(action: Action) -> str:
    """An action in words: `ensure primary-configs`, `write status`."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(action).__name__).lower()
    return f"{words} {action.part}" if isinstance(action, Ensure) else words


def _ours(error: Exception) -> Problem:
    text = f"{type(error).__name__}: {error}"
    return Problem(Fault.US, text[:500], "This is a bug of flagger: the log has the details. It is tried again.")
