"""Delivers alerts: one queue for each receiver, a few attempts for each alert, then it drops the alert.

A receiver that is slow or broken delays only its own alerts, never a canary or another receiver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pyflagger.alerts.base import Alert, AlertError, Exchange, Mailer, unanswered
from pyflagger.alerts.wording import ADVICE, worded
from pyflagger.clock import Clock
from pyflagger.kube.errors import NotLeader
from pyflagger.operator.alerting.receivers import Reached, Receiver, Receivers
from pyflagger.operator.alerting.smtp import deliver_mail
from pyflagger.operator.evidence.webhooks import seconds_to_wait
from pyflagger.operator.process.queues import Queues
from pyflagger.plugins import PluginFailed, answered
from pyflagger.wire import Http, HttpAnswer, HttpFailure, HttpRequest, hidden, mail_secrets, secrets_of, shown_url

ATTEMPTS_MAX = 3
BACKOFF_FIRST = 1.0
"""Seconds before the second attempt. The pause doubles with each attempt."""

RETRY_AFTER_MAX = 30.0
"""The maximum number of seconds to wait for a Retry-After header."""

REQUESTS_MAX = 8
"""The maximum number of requests for one alert. A notifier that needs more is broken."""

QUEUE_MAX = 256
"""The maximum number of queued alerts of a receiver. The oldest are dropped first."""

DRAIN_SECONDS_MAX = 5.0
TEXT_MAX = 500


@dataclass(frozen=True, slots=True)
class Delivered:
    """The end of a delivery. `outcome`: `sent`, or why the alert was dropped. The text contains no secret.

    The text of `sent` is the problem of a template, if any: the receiver got the standard text.
    """

    outcome: str
    attempts: int
    text: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert for one receiver. `done` gets the result."""

    receiver: Receiver
    alert: Alert
    done: Callable[[Delivered], None]


FULL = Delivered("queue-full", 0, f"more than {QUEUE_MAX} alerts wait for this receiver", "Check its other alerts.")


class Dispatcher:
    """Delivers alerts while this replica leads. `report` gets each result. `fence` raises NotLeader."""

    def __init__(
        self,
        http: Http,
        clock: Clock,
        receivers: Receivers,
        report: Callable[[Delivery, Delivered], None],
        log: Any,
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self._http, self._clock, self._receivers, self._report, self._log = http, clock, receivers, report, log
        self._fence = fence
        self._queues = Queues(self._handle, lambda title, delivery: self._end(delivery, FULL), QUEUE_MAX)

    def enqueue(self, delivery: Delivery) -> None:
        """Queue one alert and return immediately. A full queue drops its oldest alert."""
        self._queues.put(delivery.receiver.title, delivery)

    async def close(self, seconds: float = DRAIN_SECONDS_MAX) -> None:
        """Wait up to `seconds` for all queued alerts. The rest stays in the statuses, for the next leader."""
        await self._queues.close(seconds)

    async def _handle(self, title: str, delivery: Delivery) -> None:
        try:
            self._end(delivery, await self._deliver(delivery))
        except NotLeader:
            self._queues.clear(title)

    def _end(self, delivery: Delivery, result: Delivered) -> None:
        self._report(delivery, result)
        delivery.done(result)

    async def _deliver(self, delivery: Delivery) -> Delivered:
        """Deliver one alert. Raises only NotLeader."""
        try:
            return await deliver(
                self._http, self._clock, self._receivers, delivery.receiver, delivery.alert, fence=self._fence
            )
        except NotLeader:
            raise
        except Exception as error:
            # The text of the error may contain a secret.
            name = type(error).__name__
            self._log.error("an alert failed", receiver=delivery.receiver.title, error=name)
            return Delivered("failed", 1, name, "This is a bug in flagger: report it.")


async def deliver(
    http: Http,
    clock: Clock,
    receivers: Receivers,
    receiver: Receiver,
    alert: Alert,
    *,
    attempts_max: int = ATTEMPTS_MAX,
    fence: Callable[[], None] = lambda: None,
) -> Delivered:
    """Send an alert until the receiver has accepted it, with pauses that double, or as long as it asks for."""
    attempts = 0
    while True:
        fence()
        attempts += 1
        try:
            reached = await receivers.reach(receiver)
            words, problem = worded(alert, reached.template)
            await _attempt(http, reached, words)
            return Delivered("sent", attempts, problem[:TEXT_MAX], ADVICE if problem else "")
        except AlertError as error:
            if not error.retriable or attempts >= attempts_max:
                return Delivered(error.outcome, attempts, error.text[:TEXT_MAX], error.todo)
            asked = seconds_to_wait(error.retry_after, clock.now())
            pause = BACKOFF_FIRST * 2.0 ** (attempts - 1) if asked is None else min(RETRY_AFTER_MAX, max(0.0, asked))
        await clock.sleep(pause + clock.jitter(pause / 4))


async def _attempt(http: Http, reached: Reached, alert: Alert) -> None:
    """Run one exchange to its end. Raises AlertError, with a text without secrets."""
    secrets = reached.secrets
    if isinstance(reached.notifier, Mailer):
        return await _mailed(reached.notifier, alert, secrets)
    exchange: Exchange[None] = reached.notifier.send(alert)
    try:
        step = partial(next, exchange)
        for _ in range(REQUESTS_MAX):
            request = await answered(partial(_next, step))
            if request is None:
                return None
            secrets |= secrets_of(request, query=True) | {shown_url(request.url).partition("://")[2].partition("/")[2]}
            step = await _answer(http, replace(request, proxy=reached.proxy), exchange)
    except AlertError as error:
        raise AlertError(error.outcome, _safe(error.text, secrets), error.todo, error.retry_after) from None
    except PluginFailed as failed:
        raise AlertError("failed", _safe(failed.problem.text, secrets), failed.problem.todo) from None
    finally:
        exchange.close()
    raise AlertError("rejected", f"more than {REQUESTS_MAX} requests for one alert", "Fix the plugin of this type.")


async def _mailed(mailer: Mailer, alert: Alert, secrets: frozenset[str]) -> None:
    """Send one message. Raises AlertError, with a text without secrets."""
    request = mailer.mail(alert)
    secrets |= mail_secrets(request)
    try:
        mailer.check(await deliver_mail(request))
    except (HttpFailure, AlertError) as error:
        known = error if isinstance(error, AlertError) else unanswered(error)
        raise AlertError(known.outcome, _safe(known.text, secrets), known.todo) from None


async def _answer(http: Http, request: HttpRequest, exchange: Exchange[None]) -> partial[Any]:
    """Send a request. Returns the step that its answer makes possible."""
    try:
        answer: HttpAnswer = await http.send(request)
    except HttpFailure as failure:
        return partial(exchange.throw, failure)
    return partial(exchange.send, answer)


def _next(step: Callable[[], HttpRequest]) -> HttpRequest | None:
    """The next request of an exchange, or None at its end."""
    try:
        return step()
    except StopIteration:
        return None


def _safe(text: str, secrets: frozenset[str]) -> str:
    return hidden(text, (secret for secret in secrets if secret))
