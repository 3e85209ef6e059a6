"""The controller: enqueue the canaries that a watch event concerns.

`operator.run` starts it once this replica leads. It makes no decisions.
"""

from __future__ import annotations

import asyncio

from pyflagger.kube.cache import ObjectChange
from pyflagger.kube.configs import Configs
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Key, Ref, Resource
from pyflagger.operator.act.announcer import Announcer
from pyflagger.operator.observe.rivals import Rivals
from pyflagger.operator.observe.situation import Observer, Seen
from pyflagger.operator.observe.store import Store
from pyflagger.operator.observe.watchers import Watchers
from pyflagger.operator.process.telemetry import Telemetry
from pyflagger.operator.reconcile.reconciler import Reconciler

SPREAD_SECONDS = 0.5
"""Reconciliations after a start are spread over this time, so that not all canaries run their checks at once."""


class Controller:
    """The controller of all canaries in the watched namespaces."""

    def __init__(
        self,
        store: Store,
        configs: Configs[Key],
        watchers: Watchers,
        rivals: Rivals,
        observer: Observer,
        reconciler: Reconciler[Seen],
        telemetry: Telemetry,
        announcer: Announcer,
    ) -> None:
        self._store, self._configs, self._watchers, self._rivals, self._observer = (
            store,
            configs,
            watchers,
            rivals,
            observer,
        )
        self._reconciler, self._telemetry, self._announcer = reconciler, telemetry, announcer
        self._keys: set[Key] = set()
        self._acting = False
        self._task: asyncio.Task[None] | None = None
        store.subscribe(self._changed)
        store.cache.on_sync(self._synced)
        configs.subscribe(self._config_changed)

    def start(self) -> None:
        """Start to reconcile. Known canaries are enqueued one after the other."""
        self._acting = True
        self._task = asyncio.get_running_loop().create_task(self._reconciler.queue.run())
        for number, key in enumerate(sorted(self._keys)):
            self._reconciler.queue.add_after(key, SPREAD_SECONDS * number / len(self._keys))

    async def stop(self) -> None:
        """Stop reconciling. Traffic stays as it is."""
        self._acting = False
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._reconciler.stop()

    def poke(self, key: Key) -> None:
        """Reconcile a canary that has a new action."""
        if key in self._keys:
            self._add(key)

    def wedged(self) -> str | None:
        """For /healthz: an error if the workqueue has ended while it should run."""
        if self._task is not None and self._task.done() and self._acting:
            return "the workqueue has ended"
        return None

    def _add(self, key: Key) -> None:
        if self._acting:
            self._reconciler.queue.add(key)

    def _changed(self, change: ObjectChange, ours: bool) -> None:
        if change.resource == CANARIES:
            self._canary_changed(change, ours)
        elif not ours and self._store.cache.synced(change.resource):
            for key in self._watchers.of(change.ref):
                if not self._observer.changes_nothing(key, change):
                    self._add(key)

    def _canary_changed(self, change: ObjectChange, ours: bool) -> None:
        key = Key(change.ref.namespace, change.ref.name)
        if change.new is None:
            compiled = self._observer.last_compiled(key)
            if compiled:
                self._telemetry.forget(compiled.canary)
            if compiled and change.old and self._acting:
                self._announcer.deleted(compiled, change.old, self._store.get(compiled.target))
            self._keys.discard(key)
            self._observer.forget(key)
            self._reconciler.forget(key)
            others = self._rivals.drop(key)
        else:
            self._keys.add(key)
            others = self._rivals.put(key, change.new)
            if not ours:
                self._add(key)
        for other in sorted(others):
            self._add(other)
        if change.old is None or change.new is None:
            self._telemetry.count(key.namespace, 1 if change.old is None else -1)

    def _synced(self, resource: Resource) -> None:
        for key in self._observer.waiting_for(resource):
            self._add(key)

    def _config_changed(self, ref: Ref) -> None:
        for key in self._configs.wanted_by(ref):
            self._add(key)
