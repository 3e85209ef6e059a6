"""Carry out the actions of a decision: render each through `workloads` and `routing`, and write through `kube`.

`operator.reconcile` calls this with the result of `observe`. Every action renders from the latest live objects, so that
the writes of one decision build on each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.api.records import Outcome
from pyflagger.core.decision import (
    Action,
    Alert,
    CloseRecord,
    Count,
    DropRecords,
    Ensure,
    MarkAction,
    NoteRounds,
    OpenRecord,
    Part,
    PauseAutoscaler,
    Promote,
    ReleaseFinalizer,
    Revert,
    Say,
    ScaleTarget,
    SetRoute,
    WriteStatus,
)
from pyflagger.core.situation import Recorded
from pyflagger.kube.client import ApiError, Client, NotFound
from pyflagger.kube.configs import Configs
from pyflagger.objects import Create, Delete, Key, Obj, Patch, Write, merge_diff, ref_of
from pyflagger.operator.act.announcer import Announcer
from pyflagger.operator.act.clerk import Clerk
from pyflagger.operator.act.publisher import Publisher
from pyflagger.operator.act.records import Archivist
from pyflagger.operator.act.render import Moved, Renderer
from pyflagger.operator.alerting.manager import AlertManager
from pyflagger.operator.evidence.recorded import Source, load
from pyflagger.operator.observe.compiled import Settings
from pyflagger.operator.observe.foreign import CONFIGS, refusal
from pyflagger.operator.observe.situation import Seen
from pyflagger.operator.observe.store import Store
from pyflagger.operator.process.telemetry import Telemetry


class Blocked(ApiError):
    """An action cannot be rendered. The problem has the reason."""


class Executor:
    """Makes all changes to the cluster for a canary."""

    def __init__(
        self,
        client: Client,
        store: Store,
        configs: Configs[Key],
        render: Renderer,
        announcer: Announcer,
        telemetry: Telemetry,
        alerts: AlertManager,
        publisher: Publisher,
        records: Archivist,
        settings: Settings,
        clerk: Clerk,
    ) -> None:
        self._alerts, self._publisher, self._records, self._clerk = alerts, publisher, records, clerk
        self._settings = settings
        self._client, self._store, self._configs = client, store, configs
        self._render, self._announcer, self._telemetry = render, announcer, telemetry
        self._table: Mapping[type[Any], Callable[[Seen, Any], Awaitable[int | None]]] = {
            Ensure: self._ensure,
            Promote: self._promote,
            SetRoute: self._set_route,
            ScaleTarget: self._scale,
            PauseAutoscaler: self._pause,
            Revert: self._revert,
            ReleaseFinalizer: self._release,
            Say: self._say,
            Alert: self._alert,
            Count: self._count,
            OpenRecord: self._open_record,
            NoteRounds: self._note_rounds,
            CloseRecord: self._close_record,
            DropRecords: self._drop_records,
            MarkAction: self._mark_action,
            WriteStatus: self._write_status,
        }

    async def apply(self, seen: Seen, action: Action) -> int:
        """Carry out one action and count the writes.

        Raises kube.client.ApiError, or Conflict or Moved if an object has changed since the observation.
        """
        return await self._table[type(action)](seen, action) or 0

    def forget(self, key: Key) -> None:
        """Forget a deleted canary."""
        self._records.forget(key)
        self._clerk.forget(key)

    async def _write(self, seen: Seen, writes: tuple[Write, ...] | Problem) -> int:
        """Send writes and count them. Each needs permission for its object and this Canary. Raises Blocked."""
        if isinstance(writes, Problem):
            raise Blocked(writes)
        for write in writes:
            if not isinstance(write, Create) and (refused := refusal(seen.compiled, write, self._store.get(write.ref))):
                raise Blocked(refused)
            self._take_in(write, await self._client.apply(write))
        return len(writes)

    def _take_in(self, write: Write, answer: Obj | None) -> None:
        """Record a write that the cache does not show yet."""
        if isinstance(write, Delete):
            self._store.unlearn(write.ref)
            self._configs.unlearn(write.ref)
        elif answer is not None:
            ref = ref_of(answer)
            if ref.kind in CONFIGS:
                self._configs.learn(answer, ref)
            else:
                self._store.learn(answer)

    async def _ensure(self, seen: Seen, action: Ensure) -> int:
        if action.part is Part.FINALIZER:
            return await self._write(
                seen, (_finalizer_patch(self._live(seen), seen.compiled.canary.spec.revert_on_deletion),)
            )
        await self._announced(seen)
        return await self._write(seen, self._render.part(seen, action.part))

    async def _announced(self, seen: Seen) -> None:
        """Write the Event before the first change to an object of the user."""
        if seen.situation.generated.taken:
            await self._announcer.written(seen.raw)

    async def _promote(self, seen: Seen, action: Promote) -> int:
        # Receivers of events get the event of the promotion before the primary changes.
        await self._announcer.heard(seen.compiled.canary)
        return await self._write(
            seen, self._render.promotion(seen, action.revision, await self._recorded(seen, action))
        )

    async def _recorded(self, seen: Seen, action: Promote) -> Source | None:
        """The template in the record of a release. Raises Moved if it is gone."""
        if not action.release:
            return None
        found = await load(self._client, self._store, seen.compiled, self._settings, action.release)
        if isinstance(found, Recorded):
            raise Moved
        return found

    async def _set_route(self, seen: Seen, action: SetRoute) -> int:
        await self._announced(seen)
        return await self._write(seen, self._render.route(seen, action))

    async def _scale(self, seen: Seen, action: ScaleTarget) -> int:
        return await self._write(seen, self._render.scale(seen, action.replicas))

    async def _pause(self, seen: Seen, action: PauseAutoscaler) -> int:
        return await self._write(seen, self._render.pause(seen, action.paused))

    async def _revert(self, seen: Seen, action: Revert) -> int:
        return await self._write(seen, self._render.revert(seen, action.thing))

    async def _release(self, seen: Seen, __: ReleaseFinalizer) -> int:
        try:
            return await self._write(seen, (_finalizer_patch(self._live(seen), wanted=False),))
        except NotFound:
            return 0

    async def _say(self, seen: Seen, action: Say) -> None:
        self._announcer.tell(seen.compiled.canary, seen.raw, action)

    async def _alert(self, seen: Seen, action: Alert) -> None:
        self._announcer.alert(seen.compiled.canary, action)
        self._alerts.stage(seen.compiled.canary, action)

    async def _count(self, seen: Seen, action: Count) -> None:
        self._telemetry.finished(seen.compiled.canary, action.outcome, action.analysis)

    async def _open_record(self, seen: Seen, action: OpenRecord) -> int:
        template = self._render.template(seen, action.template) if action.ended else {}
        spec = self._render.release(seen, action.spec)
        return await self._records.open(seen.compiled.canary, action, spec, template)

    async def _note_rounds(self, seen: Seen, action: NoteRounds) -> int:
        spec = self._render.release(seen, action.spec) if action.spec else None
        return await self._records.note(seen.compiled.canary, action, spec)

    async def _close_record(self, seen: Seen, action: CloseRecord) -> int:
        template = self._render.template(seen, action.template) if action.ended.outcome == Outcome.PROMOTED else {}
        return await self._records.close(seen.compiled.canary, action, template)

    async def _drop_records(self, seen: Seen, action: DropRecords) -> int:
        return await self._records.drop(seen.compiled.canary, action)

    async def _mark_action(self, seen: Seen, action: MarkAction) -> int:
        canary = seen.compiled.canary
        number = canary.status.release.number if canary.status.release else 0
        return await self._clerk.mark(_key(canary), action, number)

    async def _write_status(self, seen: Seen, action: WriteStatus) -> int:
        canary = seen.compiled.canary
        self._telemetry.phase(canary, action.status.phase)
        live = self._live(seen)
        wanted = self._publisher.fill(action.status.to_wire(), live)
        alerted = self._alerts.outbox.conditions(_key(canary), wanted.get("conditions", ()))
        wanted |= {"conditions": alerted} if alerted else {}
        missing = {key: value for key, value in wanted.items() if key not in (live.get("status") or {})}
        replaced = {unread.field: wanted.get(unread.field) for unread in canary.status.unread}
        body = {**missing, **replaced, **merge_diff(canary.status.to_wire(), wanted)}
        if not body:
            return 0
        version = live["metadata"].get("resourceVersion", "")
        done = await self._write(seen, (Patch(ref_of(live), {"status": body}, version, "status"),))
        self._publisher.answered(body, self._live(seen))
        return done

    def _live(self, seen: Seen) -> Obj:
        live = self._store.get(ref_of(seen.raw))
        if live is None:
            raise Moved
        return live


def _key(canary: Canary) -> Key:
    return Key(canary.metadata.namespace, canary.metadata.name)


def _finalizer_patch(live: Obj, wanted: bool) -> Patch:
    """Add or remove flagger's finalizer and keep all others."""
    others = [name for name in live["metadata"].get("finalizers") or () if name != names.FINALIZER]
    finalizers = [*others, names.FINALIZER] if wanted else others
    body = {"metadata": {"finalizers": finalizers or None}}
    return Patch(ref_of(live), body, live["metadata"].get("resourceVersion", ""))
