"""Calls of webhooks: gates and checks, whose response matters, and receivers of events, whose response does not.

`call` runs one gate or check with its retries. `EventHooks` sends events in order and never delays a canary: it has one
short queue per canary.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from pyflagger.api.canary import Canary, HookType, Webhook
from pyflagger.clock import Clock
from pyflagger.core.situation import Passed, Refused
from pyflagger.objects import Key
from pyflagger.operator.evidence.hook_token import Identity, NoToken
from pyflagger.wire import Http, HttpAnswer, HttpFailure, HttpRequest, hidden, secrets_of, shown_url

BACKOFF_FIRST, BACKOFF_MAX = 1.0, 30.0
RETRY_AFTER_MAX = 60.0
"""The maximum number of seconds to wait for a Retry-After header."""

EXCERPT_MAX = 1024
QUEUE_MAX = 64
HEARD_SECONDS_MAX = 1.0
"""The maximum number of queued events per canary. The oldest are dropped first."""

_NO_REFUSALS = frozenset({404, 405, 407, 408})
"""Client errors which mean that the URL is wrong, not that the webhook refuses."""

_RETRIED_FAILURES = frozenset({"timeout", "connect"})


@dataclass(frozen=True, slots=True)
class HookRequest:
    """The payload of a webhook."""

    name: str
    namespace: str
    phase: str
    checksum: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The payload as JSON, with keys in the reference's order and without empty metadata."""
        payload: dict[str, Any] = {
            "name": self.name,
            "namespace": self.namespace,
            "phase": self.phase,
            "checksum": self.checksum,
        }
        if self.metadata:
            payload["metadata"] = dict(sorted(self.metadata.items()))
        return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


async def call(
    http: Http, clock: Clock, hook: Webhook, request: HookRequest, identity: Identity | None = None
) -> Passed | Refused:
    """Call a webhook until it responds. Any 2xx passes. Never raises. Cancelling this ends the running attempt.

    This retries a failed connection, a timeout, 429, and 5xx except 501, up to `hook.retries` times. A webhook without
    certificate verification never gets the token.
    """
    try:
        ours = identity.headers(hook.url) if identity and not hook.disable_tls else ()
        message = HttpRequest(
            "POST",
            hook.url,
            (("Content-Type", "application/json"), *ours),
            request.body(),
            timeout=hook.timeout_seconds,
            verify=not hook.disable_tls,
        )
    except NoToken as error:
        return Refused(str(error), erred=True)
    except ValueError as error:
        return Refused(f"timeout of the hook: {error}", erred=True)
    outcome = await _answer(http, clock, hook, message)
    if isinstance(outcome, Passed):
        return outcome
    return Refused(hidden(outcome.text, secrets_of(message, query=True)), outcome.erred)


async def _answer(http: Http, clock: Clock, hook: Webhook, message: HttpRequest) -> Passed | Refused:
    attempt = 1
    while isinstance(outcome := await _attempt(http, message), _Again):
        if attempt > hook.retries:
            text = f"POST {shown_url(hook.url)} giving up after {attempt} attempt(s): {outcome.text}"
            return Refused(text, erred=True)
        await clock.sleep(_pause(attempt, outcome.answer, clock.now()))
        attempt += 1
    return outcome


@dataclass(frozen=True, slots=True)
class _Again:
    """The result of an attempt that may be retried."""

    text: str
    answer: HttpAnswer | None = None


async def _attempt(http: Http, message: HttpRequest) -> Passed | Refused | _Again:
    try:
        answer = await http.send(message)
    except HttpFailure as failure:
        text = f"{failure}"[:EXCERPT_MAX]
        return _Again(text) if failure.kind in _RETRIED_FAILURES else Refused(text, erred=True)
    if 200 <= answer.status < 300:
        return Passed()
    text = answer.summary(EXCERPT_MAX)
    retried = answer.status == 429 or (answer.status >= 500 and answer.status != 501)
    refuses = 400 <= answer.status < 500 and answer.status not in _NO_REFUSALS
    return _Again(text, answer) if retried else Refused(text, erred=not refuses)


def _pause(attempt: int, answer: HttpAnswer | None, now: float) -> float:
    """Seconds to wait: the value of Retry-After, else 1, 2, 4 … 30."""
    asked = None
    if answer is not None and answer.status in (429, 503):
        asked = seconds_to_wait(answer.headers.get("retry-after", ""), now)
    if asked is not None:
        return min(RETRY_AFTER_MAX, max(0.0, asked))
    return float(min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** min(attempt - 1, 10)))


def seconds_to_wait(header: str, now: float) -> float | None:
    """The seconds that a Retry-After header asks for; None if it is empty or invalid."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:6])
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None


# Events -------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Queue:
    """The queued events of one canary."""

    waiting: deque[tuple[Webhook, HookRequest]] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    dropped: int = 0


class EventHooks:
    """Sends events to receivers. `fallback` is the URL for canaries without an event webhook, or empty."""

    def __init__(
        self,
        http: Http,
        clock: Clock,
        log: Any,
        fallback: str = "",
        queue_max: int = QUEUE_MAX,
        identity: Identity | None = None,
    ) -> None:
        self._identity = identity
        self._http, self._clock, self._log = http, clock, log
        self._fallback: Sequence[Webhook] = (
            (Webhook(type=HookType.EVENT, name="events", url=fallback),) if fallback else ()
        )
        self._queue_max = queue_max
        self._queues: dict[Key, _Queue] = {}

    def tell(self, canary: Canary, *, phase: str, checksum: str, text: str, kind: str) -> None:
        """Queue one event (`kind`: Normal or Warning) for every receiver, and return immediately."""
        hooks = tuple(_receivers(canary)) or self._fallback
        if not hooks:
            return
        told = {"eventMessage": text, "eventType": kind, "timestamp": str(int(self._clock.now() * 1000))}
        key = Key(canary.metadata.namespace, canary.metadata.name)
        queue = self._queues.setdefault(key, _Queue())
        for hook in hooks:
            metadata = {**hook.metadata, **told}
            queue.waiting.append((hook, HookRequest(key.name, key.namespace, phase, checksum, metadata)))
        while len(queue.waiting) > self._queue_max:
            queue.waiting.popleft()
            queue.dropped += 1
        if queue.task is None:
            queue.task = asyncio.get_running_loop().create_task(self._drain(key, queue))

    async def heard(self, key: Key, seconds: float = HEARD_SECONDS_MAX) -> None:
        """Wait up to `seconds` for the queued events of a canary to be delivered."""
        queue = self._queues.get(key)
        if queue is not None and queue.task is not None:
            await asyncio.wait([queue.task], timeout=seconds)

    async def close(self, seconds: float = 5.0) -> None:
        """Wait up to `seconds` for all queued events, then drop the rest."""
        tasks = [queue.task for queue in self._queues.values() if queue.task is not None]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._queues.clear()

    async def _drain(self, key: Key, queue: _Queue) -> None:
        try:
            while queue.waiting:
                hook, request = queue.waiting.popleft()
                await self._deliver(key, hook, request)
                if queue.dropped:
                    self._log.warning("event hook is slow, events were dropped", canary=str(key), dropped=queue.dropped)
                    queue.dropped = 0
        finally:
            queue.task = None
            if self._queues.get(key) is queue:
                del self._queues[key]

    async def _deliver(self, key: Key, hook: Webhook, request: HookRequest) -> None:
        result = await call(self._http, self._clock, hook, request, self._identity)
        if isinstance(result, Refused):
            self._log.warning("event hook failed", canary=str(key), hook=hook.name, error=result.text)


def _receivers(canary: Canary) -> Iterable[Webhook]:
    webhooks = canary.spec.analysis.webhooks if canary.spec.analysis else ()
    return (hook for hook in webhooks if hook.type is HookType.EVENT)
