"""States 43 to 49: a gate is closed, or a webhook fails, does not answer, or refuses the request."""

from __future__ import annotations

import asyncio
from typing import Any

from explain.corpus import Act, State
from explain.held import ask
from explain.shop import STANDS_SECONDS, Shop, promoted
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from stage import manifests
from stage.trouble import Answer, nothing

ROUND_SECONDS = manifests.INTERVAL + 2


def hook(kind: str, **more: Any) -> Obj:
    """A webhook `ask`."""
    return {"name": "ask", "type": kind, "url": "http://gate.test/ask", **more}


def answering(status: int, body: bytes = b"no") -> Answer:
    """Webhooks get this answer."""

    async def answer(request: HttpRequest) -> HttpAnswer | None:
        return HttpAnswer(status, body) if "gate.test" in request.url else None

    return answer


async def silent(request: HttpRequest) -> HttpAnswer | None:
    """Webhooks get no answer in time."""
    if "gate.test" not in request.url:
        return None
    await asyncio.sleep(request.timeout)
    raise HttpFailure("timeout", f"POST http://gate.test/ask: no answer within {request.timeout:g}s")


async def unknown(request: HttpRequest) -> HttpAnswer | None:
    """The host of the webhook does not exist."""
    if "gate.test" not in request.url:
        return None
    raise HttpFailure("connect", "POST http://gate.test/ask: cannot resolve gate.test: Name or service not known")


def before_start(answer: Answer) -> Act:
    """A gate is closed before the release begins."""

    async def made(shop: Shop) -> None:
        await shop.begin(analysis=manifests.analysis(webhooks=[hook("confirm-rollout")]))
        shop.answers = answer
        await shop.release("2")
        await shop.passes(STANDS_SECONDS)

    return made


def at_weight(kind: str, answer: Answer, seconds: float, **more: Any) -> Act:
    """A release whose webhook answers so from the first weight on."""

    async def made(shop: Shop) -> None:
        await shop.begin(analysis=manifests.analysis(webhooks=[hook(kind, **more)]))
        await shop.release_until("canaryWeight", manifests.STEP)
        shop.answers = answer
        await shop.passes(seconds)

    return made


async def answered(shop: Shop) -> None:
    """The webhook says yes."""
    shop.answers = nothing
    await promoted(shop)


async def of_people(shop: Shop) -> None:
    """A gate that only people open, before the promotion."""
    gate = hook("confirm-promotion", url="flagger://gate")
    await shop.begin(analysis=manifests.analysis(webhooks=[gate]))
    await shop.release("2")
    await shop.until("WaitingPromotion")
    await shop.passes(STANDS_SECONDS)


async def opened(shop: Shop) -> None:
    """Somebody opens it."""
    await ask(shop, "open-gate", gate="ask")
    await promoted(shop)


async def refused_and_closed(shop: Shop) -> None:
    """Somebody asks to promote another revision than the one that waits."""
    await of_people(shop)
    await ask(shop, "promote", revision="v1:0000000000")
    await shop.passes(3)


GATE = "flagger gate open shop ask -n test"
STATES = (
    State(43, before_start(answering(403)), "gate-closed", "gate ask is closed since", GATE, opened,
          "Waiting GateClosed", quick=True),
    State(44, at_weight("confirm-traffic-increase", answering(403), STANDS_SECONDS + 10), "gate-closed",
          "gate ask is closed since", GATE, opened, "waiting for traffic increase approval ask"),
    State(45, of_people, "gate-closed", "gate ask is closed since", GATE, opened, "Waiting GateClosed"),
    State(46, at_weight("rollout", answering(500, b"smoke test failed"), ROUND_SECONDS), "hook-failed",
          "smoke test failed", "webhook's url", answered, "smoke test failed"),
    State(47, at_weight("rollout", silent, 22, timeout="60s"), "hook-slow", "hook ask has not answered since",
          "flagger waits 1m0s", answered, "Waiting Asking"),
    State(48, at_weight("rollout", unknown, ROUND_SECONDS), "hook-away", "cannot resolve gate.test",
          "webhook's url", answered, "Name or service not known"),
    State(49, at_weight("rollout", answering(401, b"no token"), ROUND_SECONDS), "hook-denied", "no token",
          "credentials", answered, "no token"),
    State(57, refused_and_closed, "gate-closed", "promote by ann was refused: asked for revision", GATE, opened,
          "refused"),
)  # fmt: skip
MORE = (
    State(46, before_start(answering(500, b"out of memory")), "hook-failed", "out of memory", "webhook's url", answered,
          "gave no usable answer"),
    State(48, before_start(unknown), "hook-away", "cannot resolve gate.test", "webhook's url", answered,
          "gave no usable answer"),
)  # fmt: skip
"""The same of webhooks that hold a release as gates."""
