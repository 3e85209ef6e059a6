"""The alerts of each canary until they are delivered, in memory and in its status.

The status write of a decision stores its alerts in the condition `Alerted`, which is then False. flagger sends them
after that write, and sets the condition to True when each receiver has its alert or flagger has dropped it. So a crash
before the write sends nothing, and the decision is made again. After the write, the next leader finds the condition and
sends what is left. If flagger dies between the delivery and the second write, the receiver gets the alert again, with
the same `id`: no client can know which of the two was lost.

A canary without receivers has no such condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pyflagger.alerts.base import About, Alert
from pyflagger.alerts.compose import fields_of
from pyflagger.alerts.record import AlertRecord, read, record, written
from pyflagger.api.canary import Canary, Condition
from pyflagger.api.durations import second
from pyflagger.clock import Clock
from pyflagger.core import decision
from pyflagger.objects import Key
from pyflagger.operator.alerting.dispatcher import Delivered, Delivery
from pyflagger.operator.alerting.receivers import Receivers

ALERTED = "Alerted"
SENDING, SENT, DROPPED = "Sending", "Sent", "Dropped"


@dataclass(slots=True)
class _Pending:
    """The alerts of one canary. `sending`: the number of receivers that each still has to reach."""

    staged: list[AlertRecord] = field(default_factory=list)
    sending: dict[AlertRecord, int] = field(default_factory=dict)
    last: AlertRecord | None = None
    dropped: AlertRecord | None = None
    """The last alert that not every receiver got."""

    @property
    def waiting(self) -> tuple[AlertRecord, ...]:
        """What is not delivered yet."""
        return (*self.sending, *self.staged)

    def knows(self, new: AlertRecord) -> bool:
        """Whether an equal alert of the same second waits."""
        return new in self.staged or new in self.sending


class Outbox:
    """Keeps alerts and passes them to `enqueue`. `delivered` is called when all alerts of a canary have ended.

    `about` returns what templates may say about a canary at the time of the call.
    """

    def __init__(
        self,
        receivers: Receivers,
        enqueue: Callable[[Delivery], None],
        delivered: Callable[[Key], None],
        clock: Clock,
        cluster: str,
        about: Callable[[Canary], About] = lambda canary: About(),
    ) -> None:
        self._receivers, self._enqueue, self._delivered = receivers, enqueue, delivered
        self._clock, self._cluster, self._about = clock, cluster, about
        self._pending: dict[Key, _Pending] = {}
        self._known: set[Key] = set()
        self._stored: dict[Key, AlertRecord] = {}
        """The last alert that an earlier process has sent. The first alert of this one may repeat it."""

    def restore(self, canary: Canary) -> None:
        """Send what an earlier process has left in the status. Does something once for each canary."""
        key = _key(canary)
        if key in self._known:
            return
        self._known.add(key)
        condition = next((one for one in canary.status.conditions if one.type == ALERTED), None)
        records = read(condition.message) if condition else ()
        if not records or condition is None:
            return
        if condition.status == "False":
            self._pending[key] = _Pending(staged=list(records))
            self.send(canary)
        self._stored[key] = records[-1]

    def forget(self, key: Key) -> None:
        """Forget a deleted canary. What is queued is still delivered."""
        self._known.discard(key)
        self._pending.pop(key, None)
        self._stored.pop(key, None)

    def stage(self, canary: Canary, alert: decision.Alert) -> None:
        """Keep an alert until `send`. Does nothing for a canary without a receiver for it."""
        key, new = (
            _key(canary),
            record(self._clock.now(), alert.severity, alert.text, details=alert.with_fields),
        )
        before = self._stored.pop(key, None)
        if before is not None and new.repeats(before) and before.time >= (canary.status.last_transition_time or 0.0):
            return
        pending = self._pending.setdefault(key, _Pending())
        if any(each.wants(new.severity) for each in self._receivers.of(canary)) and not pending.knows(new):
            pending.staged.append(new)

    def send(self, canary: Canary) -> None:
        """Queue the staged alerts. The caller has written the status."""
        key = _key(canary)
        pending = self._pending.get(key)
        if pending is None or not pending.staged:
            return
        staged, pending.staged = pending.staged, []
        for each in staged:
            receivers = [one for one in self._receivers.of(canary) if one.wants(each.severity)]
            pending.last = each
            if receivers:
                pending.sending[each] = len(receivers)
            alert = self._alert(canary, each)
            for receiver in receivers:
                self._enqueue(Delivery(receiver, alert, partial(self._ended, key, pending, each)))
        if not pending.waiting:
            self._delivered(key)

    def _alert(self, canary: Canary, each: AlertRecord) -> Alert:
        meta = canary.metadata
        return Alert(
            severity=each.severity,
            text=each.text,
            name=meta.name,
            namespace=meta.namespace,
            id=each.id(meta.uid),
            time=each.time,
            fields=fields_of(canary, self._cluster, details=each.details),
            cluster=self._cluster,
            about=self._about(canary),
        )

    def _ended(self, key: Key, pending: _Pending, each: AlertRecord, result: Delivered) -> None:
        """One receiver has its alert, or never gets it."""
        pending.sending[each] -= 1
        pending.last = each
        if result.outcome != "sent":
            pending.dropped = each
        if pending.sending[each] == 0:
            del pending.sending[each]
            if not pending.waiting and self._pending.get(key) is pending:
                self._delivered(key)

    def conditions(self, key: Key, conditions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The conditions of a status in JSON, with the `Alerted` of now. Without alerts, it stays as it is."""
        pending = self._pending.get(key)
        new = self._condition(pending) if pending else None
        if new is None:
            return list(conditions)
        old = next((one for one in conditions if _is_ours(one)), None)
        wire = new.to_wire()
        if old is not None and all(old.get(name) == wire[name] for name in ("status", "reason", "message")):
            return list(conditions)
        if old is not None and old.get("status") == new.status and "lastTransitionTime" in old:
            wire["lastTransitionTime"] = old["lastTransitionTime"]
        return [*(one for one in conditions if not _is_ours(one)), wire]

    def _condition(self, pending: _Pending) -> Condition | None:
        now = second(self._clock.now())
        waiting = pending.waiting
        if not waiting and pending.last is None:
            return None
        last = () if pending.last is None else (pending.last,)
        status, reason = (
            ("False", SENDING) if waiting else ("True", DROPPED if pending.dropped == pending.last else SENT)
        )
        return Condition(
            type=ALERTED,
            status=status,
            reason=reason,
            message=written(waiting or last),
            last_update_time=now,
            last_transition_time=now,
        )


def _is_ours(condition: Any) -> bool:
    return isinstance(condition, Mapping) and condition.get("type") == ALERTED


def _key(canary: Canary) -> Key:
    return Key(canary.metadata.namespace, canary.metadata.name)
