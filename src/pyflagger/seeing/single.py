"""Reads one canary and its objects: what observe asks for, then ReplicaSets, pods and Events.

Called by the commands and pages of one canary. A part that the person may not read is `Missing`, and the rest is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, Forbidden, NotFound, not_served
from pyflagger.kube.resources import CANARIES, EVENTS, PODS, RELEASES, UnknownKind, resource_of
from pyflagger.objects import Key, Obj, Ref, Resource, part, ref_of
from pyflagger.operator.observe.compiled import settings_of
from pyflagger.operator.options import Options
from pyflagger.seeing import raw
from pyflagger.seeing.fleet import ASSUMED
from pyflagger.seeing.look import Eyes, Look, looked
from pyflagger.seeing.model import Missing
from pyflagger.seeing.pods import is_ready
from pyflagger.seeing.read import Reader
from pyflagger.seeing.settings import home_of, published, told
from pyflagger.workloads.pods import label_selector

ROUNDS_MAX = 3
"""Observations until nothing more is asked for: the Canary, what it names, and what those name."""

PODS_MAX = 200
"""Pods of a workload. In a larger one the first are representative."""

STUCK_MAX = 3
"""Pods that are not ready and whose Events are read. The words of the first ones say why."""

EVENTS_MAX = 100
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")


@dataclass(frozen=True, slots=True)
class Shifted:
    """A clock that tells the server's time. `ahead`: how many seconds the server's clock is ahead of our own."""

    ahead: float
    own: Clock

    def now(self) -> float:
        """The server's time."""
        return self.own.now() + self.ahead

    def monotonic(self) -> float:
        """Our own."""
        return self.own.monotonic()

    async def sleep(self, seconds: float) -> None:
        """On our own clock."""
        await self.own.sleep(seconds)

    def jitter(self, seconds: float) -> float:
        """Ours."""
        return self.own.jitter(seconds)

    def unique(self) -> str:
        """Ours."""
        return self.own.unique()


async def look(
    client: Client, clock: Clock, key: Key, options: Options, *, history: bool = False, home: str = ""
) -> Look:
    """One look at a canary. An empty `mesh_provider` means the one that the operator published.

    `history`: read the records of its releases, too. `home`: the operator's namespace, if the status does not name it.

    Raises NotFound and other ApiErrors if the Canary itself cannot be read.
    """
    reader = Reader(client, clock)
    canary, now = await reader.get(CANARIES.ref(*key), CANARIES)
    settings = await published(reader, home or home_of(canary))
    eyes = eyes_of(client, Shifted(now - clock.now(), clock), canary, told(options, settings))
    missing: list[Missing] = []
    for _ in range(ROUNDS_MAX):
        eyes.observe()
        wanted = [*eyes.wanted()]
        if not wanted:
            break
        await asyncio.gather(*(_fetch(reader, eyes, ref, missing) for ref in wanted))
    found = looked(eyes, now)
    if found is None:
        raise NotFound(Problem(Fault.MANIFEST, f"canary {key} was deleted a moment ago"))
    records = await _records(reader, key, canary["metadata"]["uid"], missing) if history else ()
    return replace(await _around(reader, found, missing), records=records, settings=settings)


async def _records(reader: Reader, key: Key, uid: str, missing: list[Missing]) -> tuple[Obj, ...]:
    """The records of the releases. A cluster without their definition has none."""
    try:
        return (await reader.releases(key, uid)).objects
    except Forbidden as error:
        missing.append(missing_of("list", RELEASES, key.namespace, error))
    except NotFound:
        pass
    return ()


def eyes_of(client: Client, clock: Clock, canary: Obj, options: Options) -> Eyes:
    """Eyes that have read only the Canary."""
    ref = ref_of(canary)
    settings = settings_of(replace(_told(canary, options), enable_config_tracking=False))
    eyes = Eyes(Key(ref.namespace, ref.name), client, clock, settings)
    eyes.cache.put(CANARIES, CANARIES.ref(ref.namespace, ref.name), canary)
    return eyes


def _told(canary: Obj, options: Options) -> Options:
    """The options with what the operator says about itself in the status."""
    told = part(part(canary, "status"), "operator")
    return replace(
        options,
        mesh_provider=options.mesh_provider or raw.text(told, "provider") or ASSUMED.provider,
        min_interval=raw.seconds(told, "interval", options.min_interval),
    )


async def _fetch(reader: Reader, eyes: Eyes, ref: Ref, missing: list[Missing]) -> None:
    """Read an object for the eyes. A kind that may not be read, or does not exist, is refused."""
    try:
        resource = resource_of(ref)
    except UnknownKind:
        return
    try:
        eyes.cache.put(resource, ref, (await reader.get(ref, resource))[0])
    except NotFound as error:
        eyes.cache.put(resource, ref, None)
        if _no_kind(error):
            eyes.cache.refuse(resource, not_served(resource))
    except Forbidden as error:
        eyes.cache.put(resource, ref, None)
        eyes.cache.refuse(resource, error)
        missing.append(missing_of("get", resource, ref.namespace, error))


def _no_kind(error: NotFound) -> bool:
    """Whether the server does not know the path: then its answer names no object."""
    return "could not find the requested resource" in error.problem.text or "404 page not found" in error.problem.text


def missing_of(verb: str, resource: Resource, namespace: str, error: ApiError) -> Missing:
    """A part that a refusal hides."""
    return Missing(resource.kind, verb, resource.full_name, namespace, error.problem.text)


async def _around(reader: Reader, found: Look, missing: list[Missing]) -> Look:
    """The look with ReplicaSets, pods and Events."""
    compiled = found.compiled
    workloads = [obj for ref in {compiled.target, compiled.primary} if (obj := found.get(ref)) is not None]
    selectors = sorted({selector for obj in workloads if (selector := label_selector(obj))})
    namespace = compiled.target.namespace

    async def listed(resource: Resource, selector: str = "", fields: str = "", most: int = 0) -> tuple[Obj, ...]:
        try:
            return (await reader.list(resource, namespace, selector, fields, most)).objects
        except (Forbidden, NotFound) as error:
            missing.append(missing_of("list", resource, namespace, error))
            return ()

    sets, pods = await asyncio.gather(
        _all(listed(REPLICA_SETS, selector) for selector in selectors),
        _all(listed(PODS, selector, most=PODS_MAX) for selector in selectors),
    )
    stuck = [pod for pod in pods if not is_ready(pod)][:STUCK_MAX]
    uids = [obj["metadata"]["uid"] for obj in (found.canary, *workloads, *stuck)]
    events = await _all(listed(EVENTS, fields=f"involvedObject.uid={uid}", most=EVENTS_MAX) for uid in uids)
    return replace(found, sets=sets, pods=pods, events=events, missing=tuple(dict.fromkeys(missing)))


async def _all(lists: Iterable[Any]) -> tuple[Obj, ...]:
    """The objects of several lists at the same time, each object once."""
    found = [obj for each in await asyncio.gather(*lists) for obj in each]
    return tuple({obj["metadata"]["uid"]: obj for obj in found}.values())
