"""Alerts are delivered in order for each receiver, tried a few times, then dropped with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from alerts.receiver import TOKEN, alert
from pyflagger.alerts.base import Alert, AlertError, Exchange
from pyflagger.alerts.slack import Slack
from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import LoopClock
from pyflagger.kube.errors import NotLeader
from pyflagger.operator.alerting import receivers as finding
from pyflagger.operator.alerting.dispatcher import ATTEMPTS_MAX, QUEUE_MAX, Delivered, Delivery, Dispatcher, deliver
from pyflagger.operator.alerting.receivers import Reached, Receiver, Receivers, provided
from pyflagger.operator.options import Options
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

ADDRESS = "https://user:pass-word@slack.example/services/T0001/B0001/secret-part?sig=signature"
pytestmark = pytest.mark.looptime


class Wire:
    """An `Http` with scripted answers by the text of the address; then it accepts everything."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[HttpRequest] = []
        self.times: list[float] = []
        self.hang: Callable[[HttpRequest], bool] = lambda request: False

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """One request."""
        self.sent.append(request)
        self.times.append(asyncio.get_running_loop().time())
        if self.hang(request):
            await asyncio.sleep(request.timeout)
            raise HttpFailure("timeout", f"POST {request.url}: no answer within {request.timeout:g}s")
        answer = self.answers.pop(0) if self.answers else HttpAnswer(200, b"ok")
        if isinstance(answer, Exception):
            raise answer
        return answer


class Log:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, text: str, **fields: Any) -> None:
        """An error of ours."""
        self.lines.append(text)


def found(specs: Mapping[str, Mapping[str, Any]] | None = None, secrets: Mapping[str, Any] | None = None) -> Receivers:
    """Receivers by the name of their AlertProvider."""
    given = specs or {"slack": {"type": "slack", "address": ADDRESS}}

    def provider(ref: Any) -> Any:
        spec = given.get(ref.name)
        return spec and {"metadata": {"name": ref.name, "namespace": ref.namespace}, "spec": dict(spec)}

    async def secret(namespace: str, name: str) -> Any:
        return (secrets or {}).get(name)

    return Receivers(Options(), provider, secret)


SLACK = provided("test", "slack")


async def sent(*answers: Any, receivers: Receivers | None = None) -> tuple[Delivered, Wire]:
    """The end of one alert for these answers."""
    wire = Wire(*answers)
    return await deliver(wire, LoopClock(), receivers or found(), SLACK, alert()), wire


async def test_an_alert_is_accepted() -> None:
    """The first time, or after an error that passes."""
    assert (await sent())[0] == Delivered("sent", 1)
    result, wire = await sent(HttpAnswer(500), HttpFailure("connect", "refused"))
    assert result == Delivered("sent", 3) and len(wire.sent) == 3
    first, second = wire.times[1] - wire.times[0], wire.times[2] - wire.times[1]
    assert 1.0 <= first <= 1.25 and 2.0 <= second <= 2.5


async def test_an_alert_is_given_up() -> None:
    """After three attempts, or at once where a second one would be no better."""
    result, wire = await sent(*[HttpAnswer(503)] * 9)
    assert (result.outcome, result.attempts, len(wire.sent)) == ("failed", ATTEMPTS_MAX, ATTEMPTS_MAX)
    result, wire = await sent(HttpAnswer(403))
    assert (result.outcome, result.attempts) == ("unauthorized", 1) and result.todo


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("3600", 30.0), ("", 1.0), ("soon", 1.0)])
async def test_the_time_that_a_receiver_asks_for(header: str, seconds: float) -> None:
    """It is waited for, up to a limit."""
    _, wire = await sent(HttpAnswer(429, b"", {"retry-after": header}))
    assert seconds <= wire.times[1] - wire.times[0] <= seconds * 1.25


SECRETS = ("pass-word", "secret-part", "signature", "/services", "B0001", TOKEN)


@pytest.mark.parametrize(
    "answer",
    [
        HttpAnswer(400, f"cannot read {ADDRESS} with {TOKEN}".encode()),
        HttpFailure("tls", f"POST {ADDRESS}: certificate"),
        HttpAnswer(200, b'{"ok":false,"error":"' + ADDRESS.encode() + b'"}'),
    ],
)
async def test_no_text_has_a_secret(answer: Any) -> None:
    """Whatever the receiver or the network says; the host is there."""
    secret = {"address": ADDRESS.encode(), "token": TOKEN.encode()}
    receivers = found({"slack": {"type": "slack", "secretRef": {"name": "s"}}}, {"s": secret})
    result, wire = await sent(answer, receivers=receivers)
    assert not [secret for secret in SECRETS if secret in result.text + result.todo]
    assert "slack.example" in result.text
    assert dict(wire.sent[0].headers)["Authorization"] == f"Bearer {TOKEN}"


def delivery(receiver: Receiver, text: str, done: Callable[[Delivered], None] = lambda result: None) -> Delivery:
    """One alert for a receiver."""
    return Delivery(receiver, alert(text=text), done)


def dispatcher(wire: Wire, receivers: Receivers, **more: Any) -> tuple[Dispatcher, list[tuple[str, str]], Log]:
    """A dispatcher, what it reports, and its log."""
    ends: list[tuple[str, str]] = []
    log = Log()
    made = Dispatcher(wire, LoopClock(), receivers, lambda d, r: ends.append((d.alert.text, r.outcome)), log, **more)
    return made, ends, log


TWO = {
    "slack": {"type": "slack", "address": "https://slow.example/x"},
    "other": {"type": "rocket", "address": "https://fast.example/x"},
}


async def test_a_receiver_that_hangs_delays_only_its_own() -> None:
    """Order is kept for each receiver."""
    wire = Wire()
    wire.hang = lambda request: "slow" in request.url
    made, ends, _ = dispatcher(wire, found(TWO))
    for text in ("one", "two"):
        made.enqueue(delivery(SLACK, f"slow {text}"))
        made.enqueue(delivery(provided("test", "other"), f"fast {text}"))
    await asyncio.sleep(1)
    assert ends == [("fast one", "sent"), ("fast two", "sent")]
    await asyncio.sleep(60)
    assert ends[2:] == [("slow one", "timeout"), ("slow two", "timeout")]


async def test_a_full_queue_drops_its_oldest() -> None:
    """Each alert ends once, whether it is sent or not."""
    wire, done = Wire(), []
    made, ends, _ = dispatcher(wire, found())
    for number in range(QUEUE_MAX + 3):
        made.enqueue(delivery(SLACK, f"{number}", lambda result: done.append(result.outcome)))
    await made.close()
    assert ends[:3] == [(f"{number}", "queue-full") for number in range(3)]
    assert [outcome for _, outcome in ends[3:]] == ["sent"] * QUEUE_MAX and len(done) == len(ends)


async def test_a_former_leader_sends_nothing() -> None:
    """What it drops is neither counted nor marked: the new leader sends it."""

    def fence() -> None:
        raise NotLeader(Problem(Fault.US, "lost"))

    wire = Wire()
    made, ends, _ = dispatcher(wire, found(), fence=fence)
    made.enqueue(delivery(SLACK, "one"))
    made.enqueue(delivery(SLACK, "two"))
    await made.close()
    assert not wire.sent and not ends


async def test_the_end_waits_a_few_seconds_only() -> None:
    """The rest is in the statuses."""
    wire = Wire()
    wire.hang = lambda request: True
    made, ends, _ = dispatcher(wire, found())
    made.enqueue(delivery(SLACK, "one"))
    begun = asyncio.get_running_loop().time()
    await made.close()
    assert asyncio.get_running_loop().time() - begun == 5.0 and not ends
    await made.close()


class Endless:
    """A notifier that never comes to an end."""

    def send(self, alert: Alert) -> Exchange[None]:
        """One request after the other."""
        while True:
            yield HttpRequest("POST", ADDRESS)


class Foolish:
    """A notifier with a bug."""

    def send(self, alert: Alert) -> Exchange[None]:
        """Neither an end nor an AlertError."""
        nothing: dict[str, Exchange[None]] = {}
        yield from nothing[TOKEN]


@pytest.mark.parametrize(("notifier", "outcome"), [(Endless(), "rejected"), (Foolish(), "failed")])
async def test_a_broken_notifier(notifier: Any, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends its own alert, not the queue."""
    receivers = found()
    reach = receivers.reach

    async def broken(receiver: Receiver) -> Reached:
        return Reached(notifier, "", frozenset()) if alone else await reach(receiver)

    monkeypatch.setattr(receivers, "reach", broken)
    alone, (made, ends, log) = True, dispatcher(Wire(), receivers)
    made.enqueue(delivery(SLACK, "one"))
    await asyncio.sleep(1)
    alone = False
    made.enqueue(delivery(SLACK, "two"))
    await made.close()
    assert ends == [("one", outcome), ("two", "sent")]
    assert bool(log.lines) == (outcome == "failed")


async def test_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the AlertProvider, for its requests only. Without a scheme, it is http."""
    for proxy, used in (("proxy.example:3128", "http://proxy.example:3128"), ("https://p", "https://p"), ("", "")):
        spec = {"type": "slack", "address": ADDRESS, "proxy": proxy}
        _, wire = await sent(receivers=found({"slack": spec}))
        assert wire.sent[0].proxy == used
    assert finding.secrets_in(Slack(finding.Settings(ADDRESS))._settings, "http://u:long-password@p")


def test_an_error_of_an_attempt_is_one_of_the_notifier() -> None:
    """What is retried is the notifier's to say."""
    assert AlertError("timeout", "x").retriable and not AlertError("rejected", "x").retriable
