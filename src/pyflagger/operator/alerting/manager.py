"""All of alerting in one object: the receivers, the outbox, the dispatcher, and the write that ends an alert."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pyflagger.alerts.base import About, AlertError
from pyflagger.alerts.compose import about, link_of
from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.clock import Clock
from pyflagger.core import decision
from pyflagger.kube.client import ApiError, Client, Conflict, NotFound
from pyflagger.kube.errors import NotLeader
from pyflagger.kube.events import Events
from pyflagger.kube.resources import ALERT_PROVIDERS, CANARIES
from pyflagger.objects import Key, Obj, Patch, Ref
from pyflagger.operator.alerting.dispatcher import Delivered, Delivery, Dispatcher
from pyflagger.operator.alerting.outbox import Outbox
from pyflagger.operator.alerting.receivers import ReadSecret, Receivers, flag_problems
from pyflagger.operator.observe.store import Store
from pyflagger.operator.options import Options
from pyflagger.operator.process.telemetry import Telemetry
from pyflagger.wire import Http

MARKS_MAX = 8
"""How often flagger tries to store that alerts are sent. After that, a restart sends them again."""

MARK_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Reports:
    """Where the end of an alert is reported."""

    events: Events
    telemetry: Telemetry
    log: Any


class AlertManager:
    """Sends the alerts of all canaries. `fence` raises NotLeader."""

    def __init__(
        self,
        options: Options,
        client: Client,
        store: Store,
        http: Http,
        clock: Clock,
        secret: ReadSecret,
        reports: Reports,
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self._store, self._clock = client, store, clock
        self._reports, self._options = reports, options
        self._receivers = Receivers(options, self._provider, secret)
        self._dispatcher = Dispatcher(http, clock, self._receivers, self._report, reports.log, fence)
        self.outbox = Outbox(
            self._receivers, self._dispatcher.enqueue, self._delivered, clock, options.cluster_name, self._about
        )
        self._marks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Log the problems of the flags."""
        for text in await flag_problems(self._options):
            self._reports.log.warning(text)

    def stage(self, canary: Canary, alert: decision.Alert) -> None:
        """Keep an alert until the decision is carried out."""
        self.outbox.stage(canary, alert)

    def _provider(self, ref: Ref) -> Obj | None:
        """An AlertProvider. Raises AlertError while they are not listed."""
        if not self._store.cache.synced(ALERT_PROVIDERS):
            todo = "Check that flagger may list AlertProviders."
            raise AlertError("failed", "the AlertProviders are not listed yet", todo)
        return self._store.get(ref)

    def _about(self, canary: Canary) -> About:
        ref, namespace = canary.spec.target_ref, canary.metadata.namespace
        target, primary = (
            self._store.get(Ref(ref.api_version, ref.kind, namespace, name))
            for name in (ref.name, names.primary(canary))
        )
        live: Obj | None = self._store.get(CANARIES.ref(namespace, canary.metadata.name))
        link = link_of(self._options.dashboard_url, namespace, canary.metadata.name)
        return replace(about(live or {}, target, primary), link=link)

    async def close(self) -> None:
        """Wait a few seconds for queued alerts. The rest stays in the statuses, for the next leader."""
        await self._dispatcher.close()
        await asyncio.gather(*self._marks, return_exceptions=True)

    def _report(self, delivery: Delivery, result: Delivered) -> None:
        """Count and log the end of a delivery. What went wrong is also an Event on its AlertProvider."""
        receiver, alert = delivery.receiver, delivery.alert
        self._reports.telemetry.alerted(self._receivers.kind(receiver), result.outcome)
        facts = {"canary": alert.author, "receiver": receiver.title, "attempts": result.attempts}
        if result.outcome == "sent" and not result.text:
            self._reports.log.info("alert sent", **facts)
            return
        what = "alert sent with its standard text" if result.outcome == "sent" else "alert dropped"
        self._reports.log.warning(what, **facts, outcome=result.outcome, error=result.text, todo=result.todo)
        raw = self._store.get(receiver.provider) if receiver.provider else None
        if raw is not None:
            self._reports.events.record(raw, "Warning", wrong(delivery, result))

    def _delivered(self, key: Key) -> None:
        task = asyncio.get_running_loop().create_task(self._mark(key))
        self._marks.add(task)
        task.add_done_callback(self._marks.discard)

    async def _mark(self, key: Key) -> None:
        """Store that the alerts of a canary are sent. Its own status writes may do so first."""
        for _ in range(MARKS_MAX):
            try:
                patch = self._patch(key)
                if patch is not None:
                    self._store.learn(await self._client.patch(patch))
                return
            except Conflict:
                await self._clock.sleep(MARK_PAUSE)
            except (NotFound, NotLeader):
                return
            except ApiError as error:
                self._reports.log.warning("failed to store that an alert is sent", canary=str(key), error=str(error))
                await self._clock.sleep(MARK_PAUSE)

    def _patch(self, key: Key) -> Patch | None:
        live: Obj | None = self._store.get(CANARIES.ref(*key))
        if live is None:
            return None
        before = (live.get("status") or {}).get("conditions") or []
        after = self.outbox.conditions(key, before)
        if after == before:
            return None
        version = live["metadata"].get("resourceVersion", "")
        return Patch(CANARIES.ref(*key), {"status": {"conditions": after}}, version, "status")


def wrong(delivery: Delivery, result: Delivered) -> str:
    """The text of an alert that flagger dropped, or sent with its standard text because of its template."""
    count = f"{result.attempts} attempt{'' if result.attempts == 1 else 's'}"
    what = "sent with its standard text" if result.outcome == "sent" else f"dropped after {count}"
    return f"Alert of {delivery.alert.author} {what}: {result.text}. {result.todo}".strip()
