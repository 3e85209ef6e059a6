"""What `flagger migrate` reads: the operator's Deployments and every Canary, as this operator would see them.

Nothing is written unless the caller asks the client for it. The caches and the observer are the operator's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pyflagger.clock import Clock
from pyflagger.kube.cache import Cache
from pyflagger.kube.client import Client
from pyflagger.kube.configs import Configs
from pyflagger.kube.protocol import Transport
from pyflagger.kube.resources import ALERT_PROVIDERS, CANARIES, METRIC_TEMPLATES
from pyflagger.objects import Key, Obj
from pyflagger.operator.observe.compiled import settings_of
from pyflagger.operator.observe.rivals import Rivals
from pyflagger.operator.observe.situation import NotYet, Observer, Seen
from pyflagger.operator.observe.store import Store
from pyflagger.operator.observe.watchers import Watchers
from pyflagger.operator.options import Options
from pyflagger.operator.state import State

DEPLOYMENTS = "/apis/apps/v1/deployments"
FLAGGER, LOADTESTER = "flagger", "loadtester"
LOOK_SECONDS, PATIENCE_SECONDS = 0.1, 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a cluster holds. `seen`: each Canary, None where its objects could not be read in time."""

    seen: Mapping[Key, Seen | None]
    manifests: tuple[Obj, ...]
    """The objects of flagger's kinds."""
    unread: tuple[str, ...]
    """Kinds that could not be read, and why."""


async def operators(client: Client) -> tuple[Obj, ...]:
    """The Deployments that run the operator, in any namespace. Raises ApiError."""
    listed = await client.call("GET", DEPLOYMENTS)
    return tuple(obj for obj in listed.get("items", ()) if container(obj) is not None)


def container(deployment: Obj) -> Mapping[str, Any] | None:
    """The operator's container in a Deployment, None in a Deployment of something else."""
    containers = deployment["spec"]["template"]["spec"].get("containers", ())
    return next((one for one in containers if _operates(one)), None)


def _operates(one: Mapping[str, Any]) -> bool:
    """By the image's or the container's name, or by the command. Load testers run other words of the same image."""
    words = [*(one.get("command") or ()), *(one.get("args") or ())]
    image = str(one.get("image", "")).rpartition("/")[2]
    if LOADTESTER in image or any(LOADTESTER in word for word in words):
        return False
    return FLAGGER in image or one.get("name") == FLAGGER or any(word.endswith("/flagger") for word in words)


class _Eye:
    """Caches and an observer without a controller."""

    def __init__(self, client: Client, clock: Clock, options: Options) -> None:
        settings = settings_of(options)
        self.cache = Cache(client, clock, options.namespace)
        self.configs: Configs[Key] = Configs(self.cache, client, clock)
        self.rivals, store = Rivals(settings), Store(self.cache, clock)
        self._observer = Observer(store, self.configs, Watchers(), self.rivals, settings, clock, self.cache.follow)
        self._tracks = options.enable_config_tracking

    def start(self) -> None:
        """Watch flagger's kinds, and ConfigMaps and Secrets."""
        for resource in (CANARIES, METRIC_TEMPLATES, ALERT_PROVIDERS):
            self.cache.watch(resource)
        if self._tracks:
            self.configs.start()

    async def stop(self) -> None:
        """Stop all watches."""
        await self.configs.stop()
        await self.cache.stop()

    def look(self, key: Key) -> Seen | None:
        """A Canary as the operator sees it, None while its objects are not read."""
        try:
            return self._observer.observe(key, State())
        except NotYet:
            return None


@asynccontextmanager
async def _open(client: Client, clock: Clock, options: Options) -> AsyncIterator[_Eye]:
    eye = _Eye(client, clock, options)
    eye.start()
    try:
        yield eye
    finally:
        await eye.stop()


async def canaries(client: Client, clock: Clock, options: Options) -> Found:
    """Every Canary that an operator with these options would act on."""
    async with _open(client, clock, options) as eye:
        end = clock.monotonic() + PATIENCE_SECONDS
        kinds = (CANARIES, METRIC_TEMPLATES, ALERT_PROVIDERS)
        while not all(eye.cache.follow(kind) for kind in kinds) and clock.monotonic() < end:
            await clock.sleep(LOOK_SECONDS)
        manifests = tuple(obj for kind in kinds for obj in eye.cache.list(kind))
        keys = [Key(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in eye.cache.list(CANARIES)]
        for key, obj in zip(keys, eye.cache.list(CANARIES), strict=True):
            eye.rivals.put(key, obj)
        seen = {key: eye.look(key) for key in keys}
        while None in seen.values() and clock.monotonic() < end:
            await clock.sleep(LOOK_SECONDS)
            seen |= {key: eye.look(key) for key, each in seen.items() if each is None}
        unread = tuple(str(error) for kind in kinds if (error := eye.cache.refusal(kind)) is not None)
        return Found(seen, manifests, unread)


def client_of(transport: Transport, clock: Clock, *, writes: bool) -> Client:
    """A client that cannot write unless `writes` is given."""
    return Client(transport, clock) if writes else Client(transport, clock, _never)


def _never() -> None:
    raise AssertionError("flagger migrate writes only with --write")
