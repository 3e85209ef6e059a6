"""Knows the canaries: turns what the watch cache sees into looks at those it concerns.

Started by `operator.run` once this replica leads; decides nothing.
"""

from __future__ import annotations

import asyncio

from pyflagger.kube.cache import Change
from pyflagger.kube.configs import Configs
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Ref, Resource
from pyflagger.operator.desk import Key
from pyflagger.operator.farewell import Farewell
from pyflagger.operator.interest import Interests
from pyflagger.operator.observe import Eyes, Seen
from pyflagger.operator.rivals import Rivals
from pyflagger.operator.telemetry import Telemetry
from pyflagger.operator.worker import Worker
from pyflagger.operator.world import World

SPREAD_SECONDS = 0.5
"""Looks after a start are spread over this time, so that a thousand canaries do not judge in the same instant."""


class Controller:
    """All canaries of the watched namespaces."""

    def __init__(
        self,
        world: World,
        configs: Configs[Key],
        interests: Interests,
        rivals: Rivals,
        eyes: Eyes,
        worker: Worker[Seen],
        telemetry: Telemetry,
        farewell: Farewell,
    ) -> None:
        self._world, self._configs, self._interests, self._rivals, self._eyes = world, configs, interests, rivals, eyes
        self._worker, self._telemetry, self._farewell = worker, telemetry, farewell
        self._keys: set[Key] = set()
        self._acting = False
        self._task: asyncio.Task[None] | None = None
        world.subscribe(self._changed)
        world.cache.on_sync(self._synced)
        configs.subscribe(self._config_changed)

    def start(self) -> None:
        """Begin to look at canaries; those that are known already one after the other."""
        self._acting = True
        self._task = asyncio.get_running_loop().create_task(self._worker.scheduler.run())
        for number, key in enumerate(sorted(self._keys)):
            self._worker.scheduler.alarm(key, SPREAD_SECONDS * number / len(self._keys))

    async def stop(self) -> None:
        """Look at nothing any more; traffic stays as it is."""
        self._acting = False
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._worker.stop()

    def wedged(self) -> str | None:
        """For /healthz: whether the scheduler has ended while it should run."""
        if self._task is not None and self._task.done() and self._acting:
            return "the scheduler has ended"
        return None

    def _poke(self, key: Key) -> None:
        if self._acting:
            self._worker.scheduler.poke(key)

    def _changed(self, change: Change, ours: bool) -> None:
        if change.resource == CANARIES:
            self._canary_changed(change, ours)
        elif not ours and self._world.cache.synced(change.resource):
            for key in self._interests.of(change.ref):
                if not self._eyes.unmoved(key, change):
                    self._poke(key)

    def _canary_changed(self, change: Change, ours: bool) -> None:
        key = Key(change.ref.namespace, change.ref.name)
        if change.new is None:
            plan = self._eyes.last_plan(key)
            if plan:
                self._telemetry.forget(plan.canary)
            if plan and change.old and self._acting:
                self._farewell.tell(plan, change.old)
            self._keys.discard(key)
            self._eyes.forget(key)
            self._worker.forget(key)
            others = self._rivals.drop(key)
        else:
            self._keys.add(key)
            others = self._rivals.put(key, change.new)
            if not ours:
                self._poke(key)
        for other in sorted(others):
            self._poke(other)
        if change.old is None or change.new is None:
            self._telemetry.count(key.namespace, 1 if change.old is None else -1)

    def _synced(self, resource: Resource) -> None:
        for key in self._eyes.waiting_for(resource):
            self._poke(key)

    def _config_changed(self, ref: Ref) -> None:
        for key in self._configs.wanted_by(ref):
            self._poke(key)
