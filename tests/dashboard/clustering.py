"""A dashboard in a cluster on virtual time, whose API server knows users and their rights."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import orjson

from dashboard.browsing import Answer, Browser
from pyflagger.dashboard.credentials import Proxied
from pyflagger.dashboard.guard import public
from pyflagger.dashboard.incluster import Settings, entered
from pyflagger.dashboard.people import Ways
from pyflagger.dashboard.server import Server
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, TransportError
from pyflagger.operator.options import Options
from pyflagger_sandbox.apiserver.transport import InProcess
from seeing.test_single import Scene

URL, HOST = "https://flagger.example.com", "flagger.example.com"
ACCOUNT = "system:serviceaccount:flagger-system:flagger-dashboard"
PATH = re.compile(r"/apis?(?:/[a-z0-9.]+)?/v[a-z0-9]+(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?(?:/.*)?")

Rule = tuple[str, str, str]
"""Verb, resource and namespace that a user may. A star is any."""

OWN: set[Rule] = {(verb, "canaries", "*") for verb in ("get", "list", "watch")}
VIEW: set[Rule] = {(verb, "*", "test") for verb in ("get", "list", "watch")}
ACT: set[Rule] = VIEW | {("create", "canaryactions", "test")}
ALL: set[Rule] = {("*", "*", "*")}


class Cluster:
    """The users of an API server: by token, and what each may. `asked`: user, verb, resource and namespace of calls."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.users = {"t-ann": "ann", "t-view": "viv", "t-all": "root", "t-none": "nobody"}
        self.rules: dict[str, set[Rule]] = {"ann": ACT, "viv": VIEW, "root": ALL, ACCOUNT: OWN}
        self.away = self.old = False
        self.asked: list[tuple[str, str, str, str]] = []

    def may(self, user: str, verb: str, resource: str, namespace: str) -> bool:
        """Whether a rule allows it."""
        return any(
            all(part in ("*", wanted) for part, wanted in zip(rule, (verb, resource, namespace), strict=True))
            for rule in self.rules.get(user, set())
        )


class Way(InProcess):
    """A connection. `account`: the user of calls without credentials, empty if there is none."""

    def __init__(self, cluster: Cluster, account: str = "") -> None:
        super().__init__(cluster.scene.stage.server, "dashboard")
        self._cluster, self._account = cluster, account

    async def call(self, request: ApiRequest) -> ApiAnswer:
        found = self._refused(request) or self._reviewed(request)
        return found or await super().call(request)

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        refusal = self._refused(request)
        return _ended(refusal) if refusal else super().stream(request)

    def _user(self, request: ApiRequest) -> str | None:
        """Who the API server takes the caller for."""
        given = dict(request.headers)
        if self._account:
            assert "Authorization" not in given, "two users at once"
            return given.get("Impersonate-User", self._account)
        return self._cluster.users.get(given.get("Authorization", "").removeprefix("Bearer "))

    def _refused(self, request: ApiRequest) -> ApiAnswer | None:
        if self._cluster.away:
            raise TransportError("connection refused")
        user = self._user(request)
        if user is None:
            return ApiAnswer(401, {}, b'{"message": "Unauthorized", "code": 401}')
        verb, resource, namespace = asked(request)
        self._cluster.asked.append((user, verb, resource, namespace))
        if resource.startswith("self") or self._cluster.may(user, verb, resource, namespace):
            return None
        text = f'{resource} is forbidden: User "{user}" cannot {verb}'
        return ApiAnswer(403, {}, orjson.dumps({"reason": "Forbidden", "message": text}))

    def _reviewed(self, request: ApiRequest) -> ApiAnswer | None:
        """The answer to a review."""
        _, resource, _ = asked(request)
        if not resource.endswith("reviews"):
            return None
        if self._cluster.old and resource == "selfsubjectreviews":
            return ApiAnswer(404, {}, b'{"message": "not found"}')
        spec = orjson.loads(request.body or b"{}").get("spec", {})
        user = spec.get("user") or self._user(request) or ""
        wanted = spec.get("resourceAttributes", {})
        allowed = bool(wanted) and self._cluster.may(
            user, wanted["verb"], wanted["resource"], wanted["namespace"] or "*everywhere"
        )
        status = {"allowed": allowed, "userInfo": {"username": user, "groups": ["system:authenticated"]}}
        return ApiAnswer(201, {}, orjson.dumps({"status": status}))


def asked(request: ApiRequest) -> tuple[str, str, str]:
    """The verb, the resource and the namespace of a call."""
    found = PATH.fullmatch(request.path)
    namespace, resource, name = found.groups() if found else ("", request.path, "")
    watched = request.query.get("watch") == "true"
    verb = {"POST": "create"}.get(request.method) or ("watch" if watched else "get" if name else "list")
    return verb, resource, namespace or "*everywhere"


@asynccontextmanager
async def _ended(answer: ApiAnswer) -> AsyncIterator[ApiStream]:
    async def none() -> AsyncIterator[bytes]:
        lines: tuple[bytes, ...] = ()
        for line in lines:
            yield line

    yield ApiStream(answer.status, {}, none(), answer.body)


class Open(NamedTuple):
    """A dashboard in a cluster. `browser` has no session yet."""

    cluster: Cluster
    server: Server
    browser: Browser

    async def get(self, path: str, token: str = "", **headers: str) -> Answer:
        """The answer to a program that sends a token."""
        return await self.browser.get(path, **bearing(token), **headers)

    async def login(self, token: str, following: str = "/") -> Answer:
        """Log in."""
        return await self.browser.post("/login", {"bearer": token, "next": following})

    def another(self) -> Browser:
        """A browser of somebody else."""
        return Browser(self.server, HOST, URL)


def bearing(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}


@asynccontextmanager
async def in_cluster(
    scene: Scene, trusted: Proxied | None = None, *, read_only: bool = False, old: bool = False, **users: Any
) -> AsyncIterator[Open]:
    """A dashboard in the cluster of a scene. `users`: rules of users, by name. `old`: of before Kubernetes 1.28."""
    cluster, clock = Cluster(scene), scene.stage.clock
    cluster.old = old
    cluster.rules |= users
    own, nobody = Way(cluster, ACCOUNT), Way(cluster)
    settings = Settings(public(URL), trusted, "", 0, read_only=read_only)
    async with entered(Ways(own, nobody, nobody), clock, settings, Options(mesh_provider="")) as server:
        yield Open(cluster, server, Browser(server, HOST, URL))
