"""Hooks: what they are told, which answers pass, when they are tried again; events in order, without waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyflagger.api.canary import Canary, Webhook
from pyflagger.api.parse import parse_canary
from pyflagger.clock import LoopClock
from pyflagger.core.situation import Passed, Refused
from pyflagger.objects import Key
from pyflagger.operator.evidence.webhooks import EventHooks, HookRequest, call
from pyflagger.wire import FailureKind, HttpAnswer, HttpFailure, HttpRequest

pytestmark = pytest.mark.looptime

URL = "http://me:hunter2@gate.test/check?token=hunter2"
ASKED = HookRequest("cart", "shop", "Progressing", "abc", {"b": "2", "a": "1"})

Reply = HttpAnswer | HttpFailure | Callable[[], Awaitable[HttpAnswer]]


class Hooks:
    """A server of hooks: gives answers in turn, the last repeated, and writes down what and when it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies) or [HttpAnswer(200)]
        self.clock = LoopClock()
        self.requests: list[HttpRequest] = []
        self.times: list[float] = []

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        self.times.append(round(self.clock.monotonic(), 3))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, HttpFailure):
            raise reply
        return reply if isinstance(reply, HttpAnswer) else await reply()

    async def call(self, **hook: Any) -> Passed | Refused:
        """Call a hook here."""
        return await call(self, self.clock, Webhook(name="gate", url=URL, **hook), ASKED)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """Everything that was told."""
        return [json.loads(request.body or b"") for request in self.requests]


def test_the_body() -> None:
    """Five keys in the order that receivers know; empty metadata is left out."""
    want = b'{"name":"cart","namespace":"shop","phase":"Progressing","checksum":"abc","metadata":{"a":"1","b":"2"}}'
    assert ASKED.body() == want
    assert HookRequest("cart", "shop", "", "").body() == b'{"name":"cart","namespace":"shop","phase":"","checksum":""}'


async def test_the_request() -> None:
    """A POST of JSON with the hook's own time and TLS setting."""
    hooks = Hooks()
    assert await hooks.call(timeout="3s", disable_tls=True) == Passed()
    assert await hooks.call() == Passed()
    first, second = hooks.requests
    assert (first.method, first.url, first.body) == ("POST", URL, ASKED.body())
    assert ("Content-Type", "application/json") in first.headers
    assert (first.timeout, first.verify) == (3.0, False)
    assert (second.timeout, second.verify) == (10.0, True)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 206, 299])
async def test_any_2xx_passes(status: int) -> None:
    """Whatever is in the body."""
    hooks = Hooks(HttpAnswer(status, b"no"))
    assert await hooks.call(retries=3) == Passed()
    assert len(hooks.requests) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (HttpAnswer(404, b"scripted refusal\n"), "Status 404 Not Found: scripted refusal"),
        (HttpAnswer(403), "Status 403 Forbidden"),
        (HttpAnswer(302, b"x"), "Status 302 Found: x"),
        (HttpAnswer(501, b"x"), "Status 501 Not Implemented: x"),
        (HttpAnswer(199, b"x"), "Status 199: x"),
        (HttpFailure("tls", "certificate"), "certificate"),
        (HttpFailure("malformed", "the URL is invalid"), "the URL is invalid"),
        (HttpFailure("redirects", "circles"), "circles"),
        (HttpFailure("too-large", "big"), "big"),
    ],
)
async def test_refusals_are_not_repeated(answer: Reply, text: str) -> None:
    """An answer that would be the same again is final, with status and body in the text."""
    hooks = Hooks(answer)
    closed = isinstance(answer, HttpAnswer) and answer.status == 403
    assert await hooks.call(retries=3) == Refused(text, erred=not closed)
    assert len(hooks.requests) == 1


@pytest.mark.parametrize(
    ("answer", "tail"),
    [
        (HttpAnswer(500, b"broken"), "Status 500 Internal Server Error: broken"),
        (HttpAnswer(429), "Status 429 Too Many Requests"),
        (HttpAnswer(503), "Status 503 Service Unavailable"),
        (HttpFailure("connect", "refused"), "refused"),
        (HttpFailure("timeout", "no answer within 10s"), "no answer within 10s"),
    ],
)
async def test_giving_up(answer: Reply, tail: str) -> None:
    """Attempts, status and body are in the text; login and query of the URL are not."""
    hooks = Hooks(answer)
    text = "POST http://gate.test/check giving up after"
    assert await hooks.call() == Refused(f"{text} 1 attempt(s): {tail}", True)
    assert len(hooks.requests) == 1
    assert await hooks.call(retries=2) == Refused(f"{text} 3 attempt(s): {tail}", True)
    assert len(hooks.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 409, 418, 423, 451])
async def test_a_hook_that_says_no(status: int) -> None:
    """Client errors are refusals, as the load tester's closed gate gives them."""
    assert await Hooks(HttpAnswer(status)).call() == Refused(HttpAnswer(status).summary())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<!DOCTYPE html><html><head><title> 502 Bad\nGateway </title>", "an HTML page, '502 Bad\\nGateway'"),
        (b"<HTML><body>x" + b"y" * 9000, "an HTML page"),
        (b"<htmlish>", "<htmlish>"),
    ],
)
async def test_a_page_is_not_repeated_whole(body: bytes, text: str) -> None:
    """Events and conditions have room for a title, not for a page."""
    told = await Hooks(HttpAnswer(501, body)).call()
    assert told == Refused(f"Status 501 Not Implemented: {text}", erred=True)


async def test_retries_back_off() -> None:
    """1, 2, 4, 8, 16, then 30 seconds, and never more."""
    hooks = Hooks(HttpAnswer(502))
    await hooks.call(retries=7)
    assert hooks.times == [0, 1, 3, 7, 15, 31, 61, 91]


async def test_a_retry_may_pass() -> None:
    """The first good answer ends it."""
    hooks = Hooks(HttpFailure("connect", "x"), HttpAnswer(500), HttpAnswer(200))
    assert await hooks.call(retries=5) == Passed()
    assert hooks.times == [0, 1, 3]


@pytest.mark.parametrize(
    ("status", "header", "pause"),
    [
        (429, "7", 7),
        (503, "7", 7),
        (503, "0", 0),
        (503, "99999999999999999999", 60),
        (503, "Tue, 14 Nov 2023 22:13:45 GMT", 25),
        (503, "Tue, 14 Nov 2023 22:13:00 GMT", 0),
        (503, "Tue, 14 Nov 2033 22:13:00 GMT", 60),
        (503, "soon", 1),
        (503, "-3", 1),
        (503, "²", 1),
        (500, "7", 1),
    ],
)
async def test_retry_after(status: int, header: str, pause: float) -> None:
    """What a hook asks for is kept, within bounds; nonsense is ignored."""
    hooks = Hooks(HttpAnswer(status, headers={"retry-after": header}), HttpAnswer(200))
    await hooks.call(retries=1)
    assert hooks.times == [0, pytest.approx(pause, abs=0.01)]


async def test_a_timeout_that_is_none() -> None:
    """It refuses, and is not sent."""
    hooks = Hooks()
    outcome = await hooks.call(timeout="soon")
    assert isinstance(outcome, Refused)
    assert "soon" in outcome.text
    assert not hooks.requests


@given(st.binary(max_size=300), st.integers(100, 599), st.text(max_size=10))
@settings(max_examples=100, deadline=None)
def test_any_answer_is_judged(body: bytes, status: int, after: str) -> None:
    """No answer raises, and no text is without bound."""

    async def once() -> Passed | Refused:
        hooks = Hooks(HttpAnswer(status, body * 100, {"retry-after": after}))
        return await hooks.call()

    outcome = asyncio.run(once())
    assert isinstance(outcome, Passed) == (200 <= status < 300)
    assert not isinstance(outcome, Refused) or len(outcome.text) < 1200


# Events -------------------------------------------------------------------------------------------------------------


class Log:
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, dict[str, Any]]] = []

    def warning(self, text: str, **fields: Any) -> None:
        self.warnings.append((text, fields))


def canary(name: str = "cart", *receivers: str, metadata: dict[str, str] | None = None) -> Canary:
    """A canary whose event hooks are at these URLs; it also has a gate."""
    hooks = [{"type": "event", "name": url, "url": url, "metadata": metadata or {}} for url in receivers]
    gate = {"type": "confirm-rollout", "name": "gate", "url": "http://gate"}
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "service": {"port": 80},
                "analysis": {"interval": "1m", "threshold": 1, "stepWeight": 10, "webhooks": [gate, *hooks]},
            },
        }
    )


def tell(events: EventHooks, made: Canary, text: str) -> None:
    """Tell of one event."""
    events.tell(made, phase="Progressing", checksum="abc", text=text, kind="Normal")


async def idle() -> None:
    """Let everything that can run, run."""
    await asyncio.sleep(0)
    await asyncio.sleep(600)


async def test_what_receivers_are_told() -> None:
    """The hook body with the event in its metadata; reserved keys win over the hook's own."""
    hooks, log = Hooks(), Log()
    events = EventHooks(hooks, hooks.clock, log)
    made = canary("cart", "http://a", metadata={"room": "ops", "eventType": "mine"})
    events.tell(made, phase="Progressing", checksum="abc", text="Halt!", kind="Warning")
    await idle()
    assert hooks.bodies == [
        {
            "name": "cart",
            "namespace": "shop",
            "phase": "Progressing",
            "checksum": "abc",
            "metadata": {
                "eventMessage": "Halt!",
                "eventType": "Warning",
                "room": "ops",
                "timestamp": str(int(LoopClock().now() * 1000) - int(LoopClock().monotonic() * 1000)),
            },
        }
    ]
    assert not log.warnings


async def test_who_is_told() -> None:
    """All event hooks of the canary; the global one only where there is none; gates never."""
    hooks = Hooks()
    events = EventHooks(hooks, hooks.clock, Log(), fallback="http://global")
    tell(events, canary("cart", "http://a", "http://b"), "one")
    tell(events, canary("mail"), "two")
    await idle()
    assert sorted(request.url for request in hooks.requests) == ["http://a", "http://b", "http://global"]
    silent = EventHooks(hooks, hooks.clock, Log())
    tell(silent, canary("mail"), "three")
    await idle()
    assert len(hooks.requests) == 3


async def test_order_is_kept_and_nobody_waits() -> None:
    """`tell` returns at once; events of a canary arrive one after the other, each with the time it happened."""

    async def slow() -> HttpAnswer:
        await asyncio.sleep(5)
        return HttpAnswer(200)

    hooks = Hooks(slow)
    events = EventHooks(hooks, hooks.clock, Log())
    made = canary("cart", "http://a")
    for text in ("one", "two", "three"):
        tell(events, made, text)
    assert not hooks.requests
    await idle()
    assert [body["metadata"]["eventMessage"] for body in hooks.bodies] == ["one", "two", "three"]
    assert len({body["metadata"]["timestamp"] for body in hooks.bodies}) == 1
    assert hooks.times == [0, 5, 10]


@pytest.mark.parametrize(("takes", "waited"), [(0, 0), (0.4, 0.4), (60, 1)])
async def test_a_moment_to_be_heard(takes: float, waited: float) -> None:
    """Who asks waits until all is told, a second at most; for a canary of which nothing is told, not at all."""

    async def slow() -> HttpAnswer:
        await asyncio.sleep(takes)
        return HttpAnswer(200)

    hooks = Hooks(slow)
    events = EventHooks(hooks, hooks.clock, Log())
    tell(events, canary("cart", "http://a"), "one")
    began = hooks.clock.monotonic()
    await events.heard(Key("shop", "mail"))
    assert hooks.clock.monotonic() == began
    await events.heard(Key("shop", "cart"))
    assert hooks.clock.monotonic() - began == pytest.approx(waited)
    assert len(hooks.requests) == 1
    await events.close(100)
    await events.heard(Key("shop", "cart"))


async def test_a_slow_receiver_holds_up_its_own_canary_only() -> None:
    """Others are told meanwhile."""
    never = asyncio.Event()

    async def reply() -> HttpAnswer:
        if hooks.requests[-1].url == "http://stuck":
            await never.wait()
        return HttpAnswer(200)

    hooks = Hooks(reply)
    events = EventHooks(hooks, hooks.clock, Log())
    tell(events, canary("cart", "http://stuck"), "one")
    tell(events, canary("mail", "http://b"), "two")
    await idle()
    assert [request.url for request in hooks.requests] == ["http://stuck", "http://b"]
    await events.close(1)


async def test_a_full_queue_drops_the_oldest_and_says_so() -> None:
    """The newest are kept; how many went is told once it moves again."""
    gate = asyncio.Event()

    async def reply() -> HttpAnswer:
        await gate.wait()
        return HttpAnswer(200)

    hooks, log = Hooks(reply), Log()
    events = EventHooks(hooks, hooks.clock, log, queue_max=3)
    made = canary("cart", "http://a")
    tell(events, made, "first")
    await asyncio.sleep(1)
    for number in range(5):
        tell(events, made, str(number))
    gate.set()
    await idle()
    assert [body["metadata"]["eventMessage"] for body in hooks.bodies] == ["first", "2", "3", "4"]
    assert log.warnings == [("event hook is slow, events were dropped", {"canary": "cart.shop", "dropped": 2})]


@pytest.mark.parametrize("reply", [HttpAnswer(500, b"no"), HttpFailure("connect", "refused")])
async def test_a_failing_receiver_is_logged(reply: Reply) -> None:
    """And the next event is told all the same."""
    hooks, log = Hooks(reply, HttpAnswer(200)), Log()
    events = EventHooks(hooks, hooks.clock, log)
    for text in ("one", "two"):
        tell(events, canary("cart", "http://a"), text)
    await idle()
    assert len(hooks.requests) == 2
    assert [text for text, _ in log.warnings] == ["event hook failed"]


async def test_later_events_after_a_pause() -> None:
    """A queue that has run dry starts again."""
    hooks = Hooks()
    events = EventHooks(hooks, hooks.clock, Log())
    for text in ("one", "two"):
        tell(events, canary("cart", "http://a"), text)
        await idle()
    assert len(hooks.requests) == 2


async def test_closing_waits_a_little() -> None:
    """What can be told in time is told; what hangs is dropped, and nothing is left running."""
    never = asyncio.Event()

    async def reply() -> HttpAnswer:
        if hooks.requests[-1].url == "http://stuck":
            await never.wait()
        await asyncio.sleep(1)
        return HttpAnswer(200)

    hooks = Hooks(reply)
    events = EventHooks(hooks, hooks.clock, Log())
    tell(events, canary("cart", "http://stuck"), "one")
    tell(events, canary("mail", "http://b"), "two")
    tell(events, canary("mail", "http://b"), "three")
    began = hooks.clock.monotonic()
    await events.close(5)
    assert hooks.clock.monotonic() - began == pytest.approx(5)
    assert [request.url for request in hooks.requests].count("http://b") == 2
    assert len(asyncio.all_tasks()) == 1
    await events.close(5)


@pytest.mark.parametrize("kind", ["timeout", "connect"])
async def test_cancelling_ends_a_call(kind: FailureKind) -> None:
    """A check that nobody wants any more stops between attempts."""
    hooks = Hooks(HttpFailure(kind, "x"))
    task = asyncio.get_running_loop().create_task(hooks.call(retries=100))
    await asyncio.sleep(2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(100)
    assert task.cancelled()
    assert len(hooks.requests) == 2
