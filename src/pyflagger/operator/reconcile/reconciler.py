"""One reconciliation of one canary: observe, decide, gather or apply, until nothing is left to do. Then set a wake-up.

The workqueue never runs two reconciliations of a canary at once. Evidence is gathered in the background, so flagger
reacts to a new revision or a deletion while a webhook is still running. All errors end here: flagger reports them,
retries with backoff, and they never affect another canary.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.core.conditions import BLOCKED, STANDS_SECONDS
from pyflagger.core.decide import decide
from pyflagger.core.decision import Action, Alert, Count, Decision, Ensure, Say, WriteStatus
from pyflagger.core.memory import Subject
from pyflagger.core.situation import Need, Result, Situation
from pyflagger.kube.client import ApiError, Conflict, NotLeader
from pyflagger.kube.errors import Forbidden, Invalid
from pyflagger.objects import Key
from pyflagger.operator.act.render import Moved
from pyflagger.operator.observe.situation import NotYet
from pyflagger.operator.reconcile.ports import Ports, Seen
from pyflagger.operator.reconcile.workqueue import Workqueue
from pyflagger.operator.state import State
from pyflagger.plugins import PluginFailed, retried

STEPS_MAX = 24
"""The maximum number of decisions in one reconciliation. A release needs about five. More mean an action fails."""

STILL_MAX = 3
"""How often a decision may be repeated without effect. A write may have no effect because it was made before."""

REJECTED = "Correct the field in the Canary, or in the object that flagger copies it from."

BACKOFF_FIRST, BACKOFF_MAX = 0.5, 30.0


class Stuck(Exception):
    """A decision had no effect, which is a bug in flagger. `problem` describes it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class Reconciler(Generic[Seen]):
    """Reconciles canaries. The caller of `reconcile` binds `log` to the canary."""

    def __init__(self, ports: Ports[Seen], clock: Clock, log: Any) -> None:
        self._ports, self._clock, self._log = ports, clock, log
        self._states: dict[Key, State] = {}
        self.queue: Workqueue[Key] = Workqueue(clock, self.reconcile)

    def forget(self, key: Key) -> None:
        """Forget a canary that is deleted."""
        self.queue.cancel(key)
        state = self._states.pop(key, None)
        if state:
            state.stop_gathering()

    async def stop(self) -> None:
        """Cancel running work and wait for it to end."""
        await self.queue.stop()
        tasks = [state.gathering for state in self._states.values() if state.gathering]
        for state in self._states.values():
            state.stop_gathering()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def reconcile(self, key: Key) -> None:
        """Reconcile one canary."""
        state = self._states.setdefault(key, State())
        if state.due is not None and self._clock.now() >= state.due:
            state.owed, state.due = state.due, None
        refused, stuck = state.refused, state.stuck
        try:
            decision = await retried(lambda: self._steps(key, state))
        except NotLeader:
            return
        except NotYet:
            return
        except (Conflict, Moved):
            self._retry(key, state)
        except (Forbidden, Invalid) as error:
            self._refused(key, state, error.problem, is_news=state.refused != refused)
        except Stuck as error:
            state.stuck = error.problem
            self._refused(key, state, error.problem, is_news=stuck is None or stuck.text != error.problem.text)
        except (ApiError, PluginFailed) as error:
            self._failed(key, state, error.problem)
        except Exception as error:
            self._log.exception("reconciliation failed", canary=str(key))
            self._failed(key, state, _ours(error))
        else:
            if decision is not None and not decision.needs:
                state.failures = 0
                self._moves(key, state)
            self._set_alarm(key, state, decision)

    def _moves(self, key: Key, state: State) -> None:
        """A reconciliation ended normally: clear earlier actions without effect, and reconcile again to report it."""
        if state.stuck is not None:
            state.stuck = None
            self.queue.add(key)

    async def _steps(self, key: Key, state: State) -> Decision | None:
        still, before, writes, same = 0, None, 0, None
        for _ in range(STEPS_MAX):
            if same is None:
                self.queue.seen(key)
                seen = self._ports.observe(key, state)
            if seen is None:
                self.forget(key)
                return None
            situation = same or seen.situation
            if state.generation != situation.canary.metadata.generation:
                state.turn_to(situation.canary.metadata.generation)
                continue
            decision = decide(situation)
            self._ports.decided(key, decision)
            if decision.needs:
                self._gather(key, state, seen, situation, decision)
                await self._meanwhile(seen, decision)
                return decision
            state.stop_gathering()
            still = still + 1 if situation == before else 0
            if still == STILL_MAX:
                raise Stuck(_without_effect(key, decision, writes))
            writes = await self._apply(seen, state, decision)
            if not decision.actions and (decision.memory is None or decision.wake is not None):
                return decision  # A decision that only changes memory has no effect before its wake-up.
            before, same = situation, None if decision.writes else self._remembered(situation, state)
        raise Stuck(_endless(key, decision))

    def _remembered(self, situation: Situation, state: State) -> Situation:
        """The situation after a decision that wrote nothing. A change in the meantime reconciles the canary again."""
        return replace(situation, now=self._clock.now(), memory=state.memory, evidence={})

    async def _apply(self, seen: Seen, state: State, decision: Decision) -> int:
        """Carry out a decision and count the writes. Keep its memory before the status write, or if an action fails."""
        if state.began is not None:
            self._ports.judged(seen, self._clock.monotonic() - state.began)
            state.began = None
        if state.owed is not None:
            self._ports.late(self._clock.now() - state.owed)
            state.owed = None
        writes, done = 0, 0
        before_status = sum(not isinstance(action, WriteStatus) for action in decision.actions)
        try:
            for action in decision.actions[:before_status]:
                writes += await self._act(seen, state, action)
                done += 1
        finally:
            state.remember(decision, done, self._clock.now())
        for action in decision.actions[done:]:
            writes += await self._act(seen, state, action)
        state.finished(decision)
        self._ports.applied(seen)
        state.evidence.clear()
        return writes

    async def _act(self, seen: Seen, state: State, action: Action) -> int:
        """Carry out one action and count the writes."""
        try:
            writes = await self._ports.apply(seen, action)
        except (Forbidden, Invalid) as error:
            if isinstance(error, Invalid):
                error.problem = replace(error.problem, todo=REJECTED)
            state.refuse(action, error.problem)
            raise
        state.allow(action)
        return writes

    def _gather(self, key: Key, state: State, seen: Seen, situation: Situation, decision: Decision) -> None:
        if state.asking == decision.together:
            return
        state.stop_gathering()
        if state.began is None:
            state.began = self._clock.monotonic()
        state.ask(decision.together, self._clock.now())
        state.gathering = asyncio.get_running_loop().create_task(self._ask(key, state, seen, situation, decision))

    async def _ask(self, key: Key, state: State, seen: Seen, situation: Situation, decision: Decision) -> None:
        """Gather needs, one after the other or together, while the decision on the results so far still has needs."""
        while decision.needs:
            state.ask(decision.together, self._clock.now())
            try:
                state.evidence.update(await self._together(seen, decision.together))
            except Exception as error:
                self._log.exception("a check failed", canary=str(key))
                state.answered()
                self._failed(key, state, _ours(error))
                return
            if len(decision.needs) == len(decision.together):
                break  # After the last need, the next reconciliation decides.
            decision = decide(replace(situation, evidence=dict(state.evidence)))
        state.answered()
        self.queue.cancel(key)
        self.queue.add(key)

    async def _meanwhile(self, seen: Seen, decision: Decision) -> None:
        """Write that a check has no answer yet. If that fails, the release goes on, and a later decision repeats it."""
        if decision.meanwhile is None:
            return
        try:
            await self._ports.apply(seen, decision.meanwhile)
        except (ApiError, Moved) as error:
            self._log.debug("status not written", error=str(error))

    async def _together(self, seen: Seen, needs: Sequence[Need]) -> dict[Need, Result]:
        """The results of needs, gathered at the same time. The first error cancels the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {need: group.create_task(self._ports.gather(seen, need)) for need in needs}
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return {need: task.result() for need, task in tasks.items()}

    def _set_alarm(self, key: Key, state: State, decision: Decision | None) -> None:
        if decision is None:
            return
        if decision.wake is None or state.gathering:
            state.due = None
            self._await_answer(key, state)
            return
        state.due = decision.wake
        self.queue.add_after(key, decision.wake - self._clock.now())

    def _await_answer(self, key: Key, state: State) -> None:
        """Reconcile again when a check has had no answer for so long that the status says so."""
        left = 0.0 if state.asked_at is None else state.asked_at + STANDS_SECONDS - self._clock.now()
        if left > 0:
            self.queue.add_after(key, left)
        else:
            self.queue.cancel(key)

    def _refused(self, key: Key, state: State, problem: Problem, *, is_news: bool) -> None:
        """The next decision reports a new refusal. After that, flagger retries it as any other failure."""
        if is_news:
            state.evidence.clear()
            self.queue.add(key)
        elif Subject(BLOCKED, problem.text) in state.memory.told:
            self._retry(key, state)
        else:
            self._failed(key, state, problem)

    def _failed(self, key: Key, state: State, problem: Problem) -> None:
        self._ports.failed(key, problem)
        self._retry(key, state)

    def _retry(self, key: Key, state: State) -> None:
        state.evidence.clear()
        delay = min(BACKOFF_MAX, BACKOFF_FIRST * 2.0 ** min(state.failures, 10))
        state.failures += 1
        self.queue.add_after(key, delay + self._clock.jitter(delay / 4))


BUG = (
    "This is a bug in flagger: report it with the log. "
    "flagger retries with increasing backoff, and other canaries continue."
)


def _without_effect(key: Key, decision: Decision, writes: int) -> Problem:
    """Describe the action, and whether it reached the API server."""
    cause = "it rendered no write" if writes == 0 else "the API server accepted each write and changed nothing"
    text = f"flagger tried to {_named(decision)} for canary {key} {STILL_MAX} times and nothing changed: {cause}"
    return Problem(Fault.US, text, BUG)


def _endless(key: Key, decision: Decision) -> Problem:
    text = f"flagger did not finish canary {key} in {STEPS_MAX} decisions, the last one to {_named(decision)}"
    return Problem(Fault.US, text, BUG)


def _named(decision: Decision) -> str:
    """The names of a decision's actions, without those that only report."""
    telling = (Say, Alert, Count)
    named = [action for action in decision.actions if not isinstance(action, telling)] or decision.actions
    return ", ".join(_action(action) for action in named)


def _action(action: Action) -> str:
    """The name of an action: `ensure primary-configs`, `write status`."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(action).__name__).lower()
    return f"{words} {action.part}" if isinstance(action, Ensure) else words


def _ours(error: Exception) -> Problem:
    text = f"{type(error).__name__}: {error}"
    return Problem(Fault.US, text[:500], "This is a bug in flagger: the log has the details. flagger retries.")
