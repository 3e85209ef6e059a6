"""Actions (CanaryAction): which are pending for each canary, and their results.

One watch follows all actions. Without the definition, or without the right to watch, flagger takes no actions until the
next start: one line in the log says so, and no request follows. A result that cannot be written switches actions off in
its namespace. A release never waits for any of this. Used by `observe` and `executor`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pyflagger.api import actions
from pyflagger.api.actions import CanaryAction
from pyflagger.clock import Clock
from pyflagger.core.decision import MarkAction
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.errors import Forbidden, Invalid, NotFound
from pyflagger.kube.reflector import Reflector
from pyflagger.kube.resources import ACTIONS
from pyflagger.objects import Key, Obj, Patch
from pyflagger.operator.act.disclosure import Disclosure
from pyflagger.operator.act.publisher import Publisher
from pyflagger.operator.process.telemetry import Telemetry

KEPT = 10
"""The finished actions of a canary that stay."""

FEATURE = "actions"
OFF = "No actions are taken until the next start of flagger"
OFF_IN = "No more actions are taken in namespace {} until the next start of flagger"
WATCH_ADVICE = {
    NotFound: "Apply the definitions of this version: kubectl apply -k kustomize/crds",
    Forbidden: "Grant flagger's service account get, list, watch and delete on canaryactions.flagger.app.",
}
MARK_ADVICE = "Grant flagger's service account patch on canaryactions/status of flagger.app."

Order = tuple[str, str]
"""The time of creation, and the name."""


class Clerk:
    """The actions of all canaries. `poke` is called for each canary that gets a pending one."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        namespace: str,
        publisher: Publisher,
        telemetry: Telemetry,
        log: Any,
        disclosure: Disclosure,
    ) -> None:
        self._client, self._publisher, self._telemetry, self._log = client, publisher, telemetry, log
        self._reflector = Reflector(client, clock, ACTIONS, namespace, self._changed, on_sync=self._synced)
        self._task: asyncio.Task[None] | None = None
        self._pending: dict[Key, dict[str, CanaryAction]] = {}
        self._finished: dict[Key, dict[str, Order]] = {}
        self._off: set[str] = set()
        self.poke: Callable[[Key], None] = lambda _: None
        self._disclosure = disclosure
        disclosure.feature(FEATURE, "off: -actions=false")

    def start(self) -> None:
        """Watch actions."""
        self._disclosure.feature(FEATURE, "on")
        self._task = asyncio.get_running_loop().create_task(self._reflector.run(), name="watch canaryactions")

    async def stop(self) -> None:
        """Stop to watch."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def pending(self, key: Key) -> tuple[CanaryAction, ...]:
        """The pending actions of a canary, oldest first; in the order of the watch within a second.

        None without a status that keeps their results.
        """
        if not self._publisher.on or key.namespace in self._off or key not in self._pending:
            return ()
        return tuple(sorted(self._pending[key].values(), key=lambda action: action.metadata.creation_timestamp))

    def forget(self, key: Key) -> None:
        """A canary is deleted. The API server deletes its actions."""
        self._pending.pop(key, None)
        self._finished.pop(key, None)

    async def mark(self, key: Key, action: MarkAction, release: int) -> int:
        """Write the result of an action, log and count it, and delete the oldest ones that are no longer kept."""
        name, result = action.action.metadata.name, action.result
        told = {"state": result.result, "code": result.code, "text": result.text, "at": result.at}
        status = {**told, "operator": self._publisher.identity, **({"release": release} if release else {})}
        try:
            await self._client.patch(Patch(ACTIONS.ref(key.namespace, name), {"status": status}, "", "status"))
        except (Forbidden, Invalid) as error:
            self._switch_off(key.namespace, error)
            return 0
        except NotFound:
            self._drop(key, name)
            return 0
        self._drop(key, name)
        self._finished.setdefault(key, {})[name] = _order(action.action)
        self._tell(key, action)
        return 1 + await self._tidy(key)

    def _tell(self, key: Key, action: MarkAction) -> None:
        spec, result = action.action.spec, action.result
        self._telemetry.acted(result.action, result.result)
        self._log.info(
            "action",
            audit=True,
            canary=f"{key.name}.{key.namespace}",
            name=action.action.metadata.name,
            uid=result.uid,
            action=result.action,
            by=spec.by,
            via=spec.via,
            reason=spec.reason,
            revision=spec.revision,
            result=result.result,
            code=result.code,
            text=result.text,
            at=result.at,
        )

    async def _tidy(self, key: Key) -> int:
        known = self._finished[key]
        old = sorted(known, key=known.__getitem__)[:-KEPT]
        for name in old:
            known.pop(name)
            try:
                await self._client.delete(ACTIONS.ref(key.namespace, name))
            except ApiError as error:
                self._log.warning(f"cannot delete an old action: {error.problem.text}", todo=WATCH_ADVICE[Forbidden])
        return len(old)

    def _drop(self, key: Key, name: str) -> None:
        """No longer pending. The watch may be late."""
        self._pending.get(key, {}).pop(name, None)

    def _switch_off(self, namespace: str, error: ApiError) -> None:
        self._log.warning(f"{OFF_IN.format(namespace)}: {error.problem.text}", todo=MARK_ADVICE)
        self._off.add(namespace)

    def _synced(self) -> None:
        refusal = self._reflector.refusal
        if refusal is None:
            return
        text, todo = refusal.problem.text, WATCH_ADVICE[type(refusal)]
        self._log.warning(f"{OFF}: {text}", todo=todo)
        self._disclosure.feature(FEATURE, f"off: {text}. {todo}")
        if self._task:
            self._task.cancel()

    def _changed(self, at: tuple[str, str], old: Obj | None, new: Obj | None) -> None:
        action, name = self._parsed(new) if new else None, at[1]
        key = Key(at[0], action.spec.canary if action else "")
        if action and actions.is_pending(action) and name in self._finished.get(key, {}):
            return
        self._leave(at, old)
        if action and actions.is_pending(action):
            self._pending.setdefault(key, {})[name] = action
            self.poke(key)
        elif action:
            self._finished.setdefault(key, {})[name] = _order(action)

    def _leave(self, at: tuple[str, str], old: Obj | None) -> None:
        canary = str((old or {}).get("spec", {}).get("canary", ""))
        for held in (self._pending, self._finished):
            known: dict[str, Any] = held.get(Key(at[0], canary), {})
            known.pop(at[1], None)

    def _parsed(self, obj: Obj) -> CanaryAction | None:
        try:
            return actions.parsed(obj)
        except ValueError as error:
            meta = obj["metadata"]
            self._log.warning(f"cannot read action {meta.get('name')}.{meta.get('namespace')}: {error}")
            return None


def _order(action: CanaryAction) -> Order:
    return action.metadata.creation_timestamp, action.metadata.name
