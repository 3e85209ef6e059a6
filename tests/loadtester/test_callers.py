"""Who the load tester lets in: tokens, Kubernetes identities by TokenReview, and nobody on a guess."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest

from pyflagger.clock import LoopClock, SystemClock
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, TransportError
from pyflagger.loadtester import Options, serve, serving
from pyflagger.loadtester.callers import REMEMBERED_SECONDS, Caller, CallerRefused, Callers
from pyflagger.operator.process.http import AiohttpHttp

OPERATOR = "system:serviceaccount:flagger-system:flagger"
USERS = {"op": OPERATOR, "mine": "system:serviceaccount:test:ci", "human": "alice", "odd": "system:serviceaccount:x"}
OPEN = Options(kubernetes_auth=True, allowed_accounts=("flagger-system/flagger",))


class Reviewer:
    """An API server that reviews tokens; `audiences` is what it says they are meant for."""

    def __init__(
        self, *, audiences: tuple[str, ...] | None = ("flagger-loadtester",), away: bool = False, closed: bool = False
    ) -> None:
        self.audiences, self.away, self.closed = audiences, away, closed
        self.asked: list[Any] = []

    async def call(self, request: ApiRequest) -> ApiAnswer:
        if self.away:
            raise TransportError("gone")
        spec = json.loads(request.body or b"")["spec"]
        if self.closed:
            return ApiAnswer(403, {}, json.dumps({"message": f"you cannot create tokenreviews: {spec}"}).encode())
        self.asked.append(spec)
        user = USERS.get(spec["token"])
        status = {"authenticated": bool(user), "user": {"username": user}, "audiences": self.audiences}
        status |= {} if user else {"error": f"invalid bearer token {spec['token']}"}
        return ApiAnswer(201, {}, json.dumps({"status": status}).encode())

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        raise AssertionError

    async def close(self) -> None:
        return None


def bearer(token: str) -> dict[str, str]:
    """What a caller brings."""
    return {"Authorization": f"Bearer {token}"}


def callers(options: Options, reviewer: Reviewer | None) -> Callers:
    """With an API server behind them, or none."""
    clock = LoopClock()
    return Callers(options, clock, Client(reviewer, clock) if reviewer else None)


async def answer(door: Callers, headers: Mapping[str, str]) -> Caller | str:
    """The caller, or status and text of the refusal."""
    try:
        return await door.who(headers)
    except CallerRefused as refused:
        return f"{refused.status} {refused}"


BASIC = {"Authorization": "Basic " + b64encode(b"anybody:secret").decode()}


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("options", "headers", "want"),
    [
        (Options(), {}, Caller()),
        (Options(token="secret"), {}, "401 Unauthorized: send a token"),
        (Options(token="secret"), bearer("secret"), Caller()),
        (Options(token="secret"), bearer("secre"), "401 Unauthorized: the token is not this load tester's"),
        (Options(token="secret"), BASIC, Caller()),
        (Options(token="secret"), {"Authorization": "secret"}, "401 Unauthorized: send a token"),
        (OPEN, {}, "401 Unauthorized: send a token"),
        (OPEN, bearer("op"), Caller()),
        (OPEN, bearer("nobody"), "401 Unauthorized: the API server rejects this token for the audience"),
        (OPEN, bearer("mine"), "403 Forbidden: test/ci is not one of -allowed-accounts"),
        (OPEN, bearer("human"), "403 Forbidden: the caller is not a service account"),
        (OPEN, bearer("odd"), "403 Forbidden: the caller is not a service account"),
        (Options(kubernetes_auth=True, own_namespace=True), bearer("mine"), Caller("test")),
        (
            Options(kubernetes_auth=True, own_namespace=True),
            bearer("human"),
            "403 Forbidden: the caller is not a service account",
        ),
        (Options(kubernetes_auth=True, token="secret"), bearer("secret"), Caller()),
    ],
)
async def test_who_is_let_in(options: Options, headers: Mapping[str, str], want: Caller | str) -> None:
    """Each way to call, and who is meant by it; the same the second time, when the answer is remembered."""
    reviewer = Reviewer() if options.kubernetes_auth else None
    door = callers(options, reviewer)
    for _ in range(2):
        said = await answer(door, headers)
        assert said == want if isinstance(want, Caller) else str(said).startswith(want)
    assert all(spec["audiences"] == ["flagger-loadtester"] for spec in (reviewer.asked if reviewer else []))


@pytest.mark.looptime
@pytest.mark.parametrize("audiences", [None, (), ("https://kubernetes.default.svc",)])
async def test_a_token_for_somebody_else(audiences: tuple[str, ...] | None) -> None:
    """A token that was made for another audience opens nothing, whatever the API server thinks of it."""
    assert "it is for another audience" in str(await answer(callers(OPEN, Reviewer(audiences=audiences)), bearer("op")))


@pytest.mark.looptime
@pytest.mark.parametrize("closed", [False, True])
async def test_nobody_is_let_in_on_a_guess(closed: bool) -> None:
    """While the API server is away or refuses to review, nobody is known; it says which, without the token."""
    reviewer = Reviewer(away=not closed, closed=closed)
    door = callers(OPEN, reviewer)
    with pytest.raises(CallerRefused) as caught:
        await door.who(bearer("op-4f1c"))
    assert caught.value.status == 503
    assert ("may not create tokenreviews" in str(caught.value)) == closed
    assert "op-4f1c" not in f"{caught.value} {caught.value.cause}"
    reviewer.away = reviewer.closed = False
    assert await door.who(bearer("op")) == Caller(), "a failure is not remembered"


@pytest.mark.looptime
async def test_the_cause_is_for_the_log() -> None:
    """What the API server said of a token, without the token."""
    with pytest.raises(CallerRefused) as caught:
        await callers(OPEN, Reviewer()).who(bearer("planted"))
    assert caught.value.cause == "invalid bearer token ***" and "invalid" not in str(caught.value)


@pytest.mark.looptime
async def test_answers_are_remembered_for_a_while() -> None:
    """The API server is asked once in a while for each token, so that a revoked one is out soon."""
    reviewer = Reviewer()
    clock = LoopClock()
    known = Callers(OPEN, clock, Client(reviewer, clock))
    for _ in range(3):
        assert await known.who(bearer("op"))
    assert len(reviewer.asked) == 1
    await clock.sleep(REMEMBERED_SECONDS)
    await known.who(bearer("op"))
    assert len(reviewer.asked) == 2


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(f"{event} {fields}")

    error = info


async def test_over_http() -> None:
    """An account acts for its own namespace and sees no lists; a page in a browser does nothing; no log has a token."""
    options = Options(port=0, host="127.0.0.1", kubernetes_auth=True, own_namespace=True, token="planted")
    log, clock, reviewer = Log(), SystemClock(), Reviewer()
    environment = {"PATH": "/usr/bin:/bin", "LOADTESTER_TOKEN": "planted"}
    client = Client(reviewer, clock)
    async with (
        serving(options, clock, log, environment, AiohttpHttp(), client=client) as url,
        aiohttp.ClientSession() as session,
    ):

        async def ask(path: str, headers: dict[str, str], namespace: str = "test", **more: Any) -> tuple[int, str]:
            payload = {"name": "podinfo", "namespace": namespace, **more}
            async with session.post(url + path, json=payload, headers=headers) as answer:
                return answer.status, await answer.text()

        assert (await ask("/gate/open", {}))[0] == 401
        assert (await ask("/gate/open", bearer("mine")))[0] == 202
        status, text = await ask("/gate/open", bearer("mine"), "other")
        assert (status, text) == (403, "Forbidden: test/ci may act for canaries of namespace test only")
        assert (await ask("/gate/open", bearer("planted") | {"Origin": "http://evil.example"}))[0] == 403
        async with session.get(f"{url}/tasks", headers=bearer("mine")) as answer:
            assert answer.status == 403
        task = {"type": "sh", "cmd": "env", "returnCmdOutput": "true"}
        status, text = await ask("/", bearer("planted"), metadata=task)
        assert status == 200 and "PATH=" in text and "planted" not in text
        reviewer.away = True
        assert (await ask("/gate/open", bearer("nobody")))[0] == 503
    assert "planted" not in "\n".join(log.lines)


async def test_an_open_service_says_so() -> None:
    """Who runs it without any check is told once, when it starts."""
    log = Log()
    stop = asyncio.Event()
    stop.set()
    await serve(Options(port=0, host="127.0.0.1"), SystemClock(), {}, AiohttpHttp(), stop, log)
    assert [line for line in log.lines if "every client that can reach this port" in line]
