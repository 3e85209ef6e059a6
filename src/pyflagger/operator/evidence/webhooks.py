"""Calls of webhooks: gates and checks, whose response matters, and receivers of events, whose response does not.

`call` runs one gate or check with its retries. `EventHooks` sends events in order and never delays a canary: it has one
short queue per canary.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from pyflagger.api.canary import Canary, HookType, Webhook
from pyflagger.clock import Clock
from pyflagger.core.situation import Passed, Refused
from pyflagger.objects import Key
from pyflagger.operator.evidence.hook_token import Identity, NoToken
from pyflagger.operator.process.queues import Queues
from pyflagger.wire import Http, HttpAnswer, HttpFailure, HttpRequest, hidden, secrets_of, shown_url

BACKOFF_FIRST, BACKOFF_MAX = 1.0, 30.0
RETRY_AFTER_MAX = 60.0
"""The maximum number of seconds to wait for a Retry-After header."""

EXCERPT_MAX = 1024
QUEUE_MAX = 64
"""The maximum number of queued events per canary. The oldest are dropped first."""

HEARD_SECONDS_MAX = 1.0

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
        self._queues = Queues(self._deliver, lambda key, event: self._dropped.update([key]), queue_max)
        self._dropped: Counter[Key] = Counter()

    def tell(self, canary: Canary, *, phase: str, checksum: str, text: str, kind: str) -> None:
        """Queue one event (`kind`: Normal or Warning) for every receiver, and return immediately."""
        hooks = tuple(_receivers(canary)) or self._fallback
        if not hooks:
            return
        told = {"eventMessage": text, "eventType": kind, "timestamp": str(int(self._clock.now() * 1000))}
        key = Key(canary.metadata.namespace, canary.metadata.name)
        for hook in hooks:
            metadata = {**hook.metadata, **told}
            self._queues.put(key, (hook, HookRequest(key.name, key.namespace, phase, checksum, metadata)))

    async def heard(self, key: Key, seconds: float = HEARD_SECONDS_MAX) -> None:
        """Wait up to `seconds` for the queued events of a canary to be delivered."""
        await self._queues.idle(key, seconds)

    async def close(self, seconds: float = 5.0) -> None:
        """Wait up to `seconds` for all queued events, then drop the rest."""
        await self._queues.close(seconds)

    async def _deliver(self, key: Key, event: tuple[Webhook, HookRequest]) -> None:
        hook, request = event
        result = await call(self._http, self._clock, hook, request, self._identity)
        if isinstance(result, Refused):
            self._log.warning("event hook failed", canary=str(key), hook=hook.name, error=result.text)
        if count := self._dropped.pop(key, 0):
            self._log.warning("event hook is slow, events were dropped", canary=str(key), dropped=count)


def _receivers(canary: Canary) -> Iterable[Webhook]:
    webhooks = canary.spec.analysis.webhooks if canary.spec.analysis else ()
    return (hook for hook in webhooks if hook.type is HookType.EVENT)
