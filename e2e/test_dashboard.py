"""The dashboard of a cluster before the real API server: who sees and does what, and when a right ends.

It runs under the account of kustomize/dashboard. Its users are service accounts with tokens of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import aiohttp
import pytest

from e2e.apps import whole
from e2e.environment import Environment
from e2e.stage import manifests
from pyflagger.clock import SystemClock
from pyflagger.dashboard.credentials import Proxied
from pyflagger.dashboard.guard import loopback
from pyflagger.dashboard.incluster import Settings, running
from pyflagger.dashboard.people import Ways
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.reach import Endpoint, find
from pyflagger.operator.options import Options
from pyflagger_sandbox.network.ingress import free_port

FAST = ("-min-interval", "1s")
REVOKED_SECONDS_MAX = 60.0
USERS = ("view", "act", "other", "none", "")
"""Accounts that see the namespace, that act there, that act in another one, that have no role, and nobody."""

ONE = "/api/v1/namespaces/{ns}/canaries/shop"
PAGES = ("/", "/whoami", "/api/v1/whoami", "/api/v1/canaries", "/api/v1/openapi.json", "/api/v1/stream/fleet")
OF_A_CANARY = (
    "/c/{ns}/shop", "/c/{ns}/shop/objects/Canary/shop", "/c/{ns}/shop/releases/1",
    "/c/{ns}/shop/compare?from=1&to=1", "/c/{ns}/shop/act/pause", ONE, ONE + "/explain", ONE + "/events",
    ONE + "/actions", ONE + "/releases", ONE + "/releases/1", "/api/v1/stream/canaries/{ns}/shop",
)  # fmt: skip
ANYBODY = ("/login", "/healthz")
ACT = ONE + "/actions?dryRun=All"
PAUSE = {"action": "pause", "reason": "a test"}


class Asking(NamedTuple):
    """A dashboard, and a browser without cookies that asks it."""

    url: str
    browser: aiohttp.ClientSession
    tokens: Mapping[str, str]

    async def status(self, user: str, path: str, method: str = "GET", **more: Any) -> int:
        """The status of an answer to a user."""
        token = self.tokens.get(user)
        headers = ({"Authorization": f"Bearer {token}"} if token else {}) | more.pop("headers", {})
        async with self.browser.request(method, self.url + path, headers=headers, **more) as answer:
            return answer.status


@pytest.fixture
def tokens(env: Environment) -> Iterator[dict[str, str]]:
    """A canary that is initialized, accounts with their roles, and a token of each."""
    roles = [obj for obj in manifests("operator") if obj["metadata"]["name"] in ("flagger-view", "flagger-act")]
    env.stage.apply(*roles)
    env.operator(*FAST)
    env.apply(*whole("shop"))
    env.wait("shop", "Initialized")
    elsewhere = f"{env.namespace}-other"
    env.stage.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})
    for user in filter(None, USERS):
        env.kubectl("create", "serviceaccount", user)
    bind(env, "view", "view", env.namespace)
    bind(env, "act", "edit", env.namespace)
    bind(env, "other", "edit", elsewhere)
    yield {user: env.stage.token(env.namespace, user) for user in USERS if user}
    env.stage.kubectl("delete", "namespace", elsewhere, "--wait=false")


def bind(env: Environment, user: str, role: str, namespace: str) -> None:
    """Give an account a role in a namespace."""
    words = ("create", "rolebinding", user, f"--clusterrole={role}", f"--serviceaccount={env.namespace}:{user}")
    env.stage.kubectl("-n", namespace, *words)


async def nobody() -> Mapping[str, str]:
    """No credentials."""
    return {}


@asynccontextmanager
async def dashboard(
    env: Environment, tokens: Mapping[str, str], trusted: Proxied | None = None
) -> AsyncIterator[Asking]:
    """A dashboard under its own account."""
    clock, port = SystemClock(), free_port()
    path = await asyncio.to_thread(env.stage.install, "dashboard", env.namespace, "flagger-dashboard")
    own: Endpoint = await find(str(path), "", clock)
    users = replace(own, headers=nobody)
    async with AsyncExitStack() as stack:
        ways = Ways(AiohttpTransport(own), AiohttpTransport(users), AiohttpTransport(users))
        for way in ways:
            stack.push_async_callback(way.close)
        settings = Settings(loopback(port), trusted, "", port, "127.0.0.1")
        await stack.enter_async_context(running(ways, clock, settings, Options(mesh_provider="")))
        browser = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        yield Asking(f"http://127.0.0.1:{port}", browser, tokens)


def shown(table: Mapping[str, Mapping[str, int]]) -> str:
    """A matrix as text: a row a path, a column a user."""
    rows = [f"{path:<60}{'  '.join(str(row[user]).rjust(5) for user in USERS)}" for path, row in table.items()]
    return "\n".join([f"{'':<60}{'  '.join((user or '-').rjust(5) for user in USERS)}", *rows])


def test_four_users_by_every_path(env: Environment, tokens: dict[str, str], figure: Callable[[str], None]) -> None:
    """What a user may not see is not there; who may not act is refused; without a token there is the login alone."""

    async def asked() -> dict[str, dict[str, int]]:
        async with dashboard(env, tokens) as found:
            await ready(found, ONE.format(ns=env.namespace))
            paths = [path.format(ns=env.namespace) for path in (*PAGES, *OF_A_CANARY, *ANYBODY)]
            table = {path: {user: await found.status(user, path) for user in USERS} for path in paths}
            act = ACT.format(ns=env.namespace)
            table[act] = {user: await found.status(user, act, "POST", json=PAUSE) for user in USERS}
            return table

    wanted = {path: {**dict.fromkeys(USERS, 200), "": 401} for path in PAGES}
    wanted |= {path: {"view": 200, "act": 200, "other": 404, "none": 404, "": 401} for path in OF_A_CANARY}
    wanted |= {path: dict.fromkeys(USERS, 200) for path in ANYBODY}
    wanted |= {ACT: {"view": 403, "act": 201, "other": 404, "none": 404, "": 403}}  # Without an Origin, too.
    table = asyncio.run(asked())
    assert shown(table) == shown({path.format(ns=env.namespace): row for path, row in wanted.items()})
    figure(f"dashboard: {len(table)} paths by {len(USERS)} users, as in the table")


def test_who_is_kept_out(env: Environment, tokens: dict[str, str]) -> None:
    """Foreign origins and hosts, forged headers, other methods, tokens for other services."""
    elsewhere = env.stage.token(env.namespace, "act", "somewhere-else")

    async def asked() -> list[int]:
        async with dashboard(env, {**tokens, "elsewhere": elsewhere}) as found:
            act, json = ACT.format(ns=env.namespace), {"json": PAUSE}
            await ready(found, ONE.format(ns=env.namespace))
            return [
                await found.status("act", "/", headers={"Host": "evil.example"}),
                await found.status("act", act, "POST", headers={"Origin": "https://evil.example"}, **json),
                await found.status("act", "/", headers={"X-Forwarded-User": "admin"}),
                await found.status("act", "/", headers={"Impersonate-User": "admin"}),
                await found.status("elsewhere", "/"),
                await found.status("act", act, "PUT", **json),
                await found.status("act", act, "POST", data="action=pause"),
            ]

    assert asyncio.run(asked()) == [421, 403, 400, 400, 401, 405, 415]


def test_a_right_that_is_revoked(env: Environment, tokens: dict[str, str], figure: Callable[[str], None]) -> None:
    """Within a minute the canary is gone from an open page, from the fleet and from documents; a token, too."""

    async def asked() -> tuple[float, float]:
        async with dashboard(env, tokens) as found:
            await ready(found, ONE.format(ns=env.namespace))
            headers = {"Authorization": f"Bearer {tokens['view']}"}
            stream = await found.browser.get(
                f"{found.url}/api/v1/stream/canaries/{env.namespace}/shop", headers=headers
            )
            await asyncio.to_thread(env.kubectl, "delete", "rolebinding", "view")
            began = time.monotonic()
            async with asyncio.timeout(REVOKED_SECONDS_MAX):
                async for line in stream.content:
                    if b"Gone" in line:
                        break
            seen = time.monotonic() - began
            assert await found.status("view", ONE.format(ns=env.namespace)) == 404
            await asyncio.to_thread(env.kubectl, "delete", "serviceaccount", "act")
            began = time.monotonic()
            while await found.status("act", "/") != 401:
                assert time.monotonic() - began < REVOKED_SECONDS_MAX
                await asyncio.sleep(1)
            return seen, time.monotonic() - began

    right, token = asyncio.run(asked())
    figure(f"dashboard: a right that was revoked ended after {right:.0f} s, a token after {token:.0f} s")


async def ready(found: Asking, path: str) -> None:
    """Until the API server applies the roles."""
    for _ in range(100):
        if await found.status("view", path) == 200:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("the roles are not aggregated")
