"""Plays a script: starts a cluster and an operator on virtual time, makes the steps, and waits for the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.clock import LoopClock
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.errors import ApiError
from pyflagger.kube.resources import CANARIES, DAEMON_SETS, DEPLOYMENTS, resource_named
from pyflagger.objects import Key, Obj
from pyflagger.operator.options import Options
from pyflagger_sandbox.rehearsal import casting, gateways
from pyflagger_sandbox.rehearsal.answers import Answers, Cast, images_of
from pyflagger_sandbox.rehearsal.casting import Cluster
from pyflagger_sandbox.rehearsal.script import Part, Pods, Step, When
from pyflagger_sandbox.rehearsal.stage import Stage
from pyflagger_sandbox.rehearsal.timeline import ENDED, Journal, Track

MERGE, JSON = "application/merge-patch+json", "application/json"
READY = When(phase=("Initialized", "Succeeded"))
EVENTS = "http://events.rehearsal.invalid"


@dataclass(frozen=True, slots=True)
class Play:
    """A cluster and what happens on it. `parts` and `casts` by canary."""

    cluster: Cluster
    options: Options
    parts: Mapping[Key, Part]
    casts: Mapping[Key, Cast]
    pods: Pods
    seed: int
    limit: float


@dataclass(frozen=True, slots=True)
class Played:
    """What happened to one canary. `ended`: whether its release ended within the limit."""

    track: Track
    ended: bool
    duration: float


async def play(asked: Play) -> dict[Key, Played]:
    """Play to the end of every canary. Needs an event loop on virtual time (`virtual.run`)."""
    clock = LoopClock(seed=asked.seed)
    journal = Journal(clock.now, tuple(asked.parts))
    answers = Answers(clock, journal, asked.casts, asked.options.mesh_provider)
    stage = Stage(
        answers.answer, asked.options, seed=asked.seed, clock=clock, spectator=answers, broken=_broken(asked.pods)
    )
    stage.pods_take = asked.pods.ready
    others = gateways.controllers(asked.cluster.definitions)
    await stage.start(operator=False, definitions=asked.cluster.definitions, controllers=others)
    cache = Cache(stage.client, clock)
    try:
        await _fill(stage, asked.cluster)
        watched = Watched(journal, asked)
        cache.subscribe(watched.changed)
        for kind in (CANARIES, DEPLOYMENTS, DAEMON_SETS):
            await cache.wait(kind)
        await stage.start_operator()
        actors = [Actor(stage, journal, key, asked).perform() for key in asked.parts]
        found = await asyncio.gather(*actors)
    finally:
        await cache.stop()
        await stage.stop()
    return dict(zip(asked.parts, found, strict=True))


def _broken(pods: Pods) -> Any:
    """Whether an image never gets ready. A pattern that begins with `primary:` is about the pods of primaries."""

    def broken(pod: Obj, image: str) -> bool:
        primary = "-primary-" in pod["metadata"]["name"]
        patterns = [each.removeprefix("primary:") for each in pods.broken if primary or not each.startswith("primary:")]
        return any(fnmatchcase(image, pattern) for pattern in patterns)

    return broken


async def _fill(stage: Stage, cluster: Cluster) -> None:
    """Create the namespaces and the objects."""
    for name in dict.fromkeys(obj["metadata"]["namespace"] for obj in cluster.objects):
        if name != casting.PLACE:
            await stage.client.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    for obj in cluster.objects:
        try:
            await stage.client.call("POST", casting.resource(obj).path(obj["metadata"]["namespace"]), obj)
        except ApiError as error:
            raise casting.Miscast(f"{casting.title(obj)}: the API server refuses it: {error}") from None


class Watched:
    """Keeps the journal and the images of both sides up to date."""

    def __init__(self, journal: Journal, asked: Play) -> None:
        self._journal, self._casts = journal, asked.casts
        self._sides: dict[tuple[str, str, str], tuple[Key, str]] = {}
        for key, canary in asked.cluster.canaries.items():
            kind = canary.spec.target_ref.kind
            self._sides[kind, key.namespace, names.target(canary)] = (key, "canary")
            self._sides[kind, key.namespace, names.primary(canary)] = (key, "primary")

    def changed(self, change: ObjectChange) -> None:
        """One change of an object."""
        ref = change.ref
        key = Key(ref.namespace, ref.name)
        if change.resource == CANARIES:
            if key in self._casts:
                self._journal.status(key, change.new)
            return
        owner, side = self._sides.get((change.resource.kind, ref.namespace, ref.name), (None, ""))
        if owner is not None and owner in self._casts and change.new is not None:
            containers = change.new["spec"]["template"]["spec"]["containers"]
            cast = self._casts[owner]
            cast.images[side] = images_of(containers)
            cast.released = cast.images["canary"] if side == "canary" else cast.released


class Actor:
    """Makes the steps of one canary."""

    def __init__(self, stage: Stage, journal: Journal, key: Key, asked: Play) -> None:
        self._stage, self._journal, self._key = stage, journal, key
        self._part, self._cast, self._limit = asked.parts[key], asked.casts[key], asked.limit
        self._canary: Canary = asked.cluster.canaries[key]
        self._track = journal.tracks[key]

    async def perform(self) -> Played:
        """Make the steps, and wait for the end."""
        began = self._stage.clock.now()
        try:
            async with asyncio.timeout(self._limit):
                for step in self._part.steps:
                    await self._time(step)
                    await self._make(step)
                await self._until(self._part.until)
                await self._stage.clock.sleep(self._part.settle)
        except TimeoutError:
            since = self._track.began if self._track.began is not None else began
            return Played(self._track, False, round(self._stage.clock.now() - since, 3))
        return Played(self._track, True, self._track.stopped or 0.0)

    async def _time(self, step: Step) -> None:
        """Wait until a step's time. The first one waits until the canary is initialized."""
        first = self._track.began is None
        when = step.when or (READY if first else None)
        while when is not None and not self._track.holds(when):
            await self._journal.changed()
        if first:
            await self._stage.clock.sleep(step.after + (step.at or 0.0))
            self._track.began = self._stage.clock.now()
            return
        await self._stage.clock.sleep(step.after + max(0.0, (step.at or 0.0) - self._journal.since(self._key)))

    async def _until(self, when: When | None) -> None:
        """Wait for the end: what the script says, else a phase that ends a release which ran."""
        track = self._track
        while not (track.holds(when) if when else track.running and track.phase in ENDED):
            await self._journal.changed()

    # Steps ------------------------------------------------------------------------------------------------------------

    async def _make(self, step: Step) -> None:
        self._cast.series.update(step.series)
        self._cast.hooks.update(step.hooks)
        for name in step.series:
            self._cast.asked = {which: nth for which, nth in self._cast.asked.items() if not which.startswith(name)}
            self._say(f"series {name}")
        for name in step.hooks:
            self._journal.tracks[self._key].called.pop(name, None)
            self._say(f"hook {name}")
        if step.release or step.patch or step.delete or step.apply:
            self._track.running = False
        if step.release:
            await self._release(step.release, step.container)
        if step.patch:
            kind, _, name = step.patch.object.partition("/")
            self._say(f"patch {step.patch.object}")
            await self._call("PATCH", kind, name, step.patch.merge)
        if step.delete:
            kind, _, name = step.delete.partition("/")
            self._say(f"delete {step.delete}")
            await self._call("DELETE", kind, name)
        if step.apply:
            obj = {**step.apply, "metadata": {**step.apply["metadata"], "namespace": self._key.namespace}}
            self._say(f"apply {obj['kind']}/{obj['metadata']['name']}")
            await self._stage.client.call("POST", casting.resource(obj).path(self._key.namespace), obj)

    def _say(self, text: str) -> None:
        self._journal.note(self._key, "step", text)

    async def _release(self, image: str, container: str) -> None:
        """What `kubectl set image` does, for the named container or the first."""
        ref = self._canary.spec.target_ref
        target = await self._call("GET", ref.kind, ref.name)
        pod = target["spec"]["template"]["spec"]
        chosen = container or pod["containers"][0]["name"]
        containers = [{**each, "image": image} if each["name"] == chosen else each for each in pod["containers"]]
        self._say(f"release {image}")
        await self._call("PATCH", ref.kind, ref.name, {"spec": {"template": {"spec": {"containers": containers}}}})

    async def _call(self, method: str, kind: str, name: str, body: Obj | None = None) -> Obj:
        path = resource_named(kind).path(self._key.namespace, name)
        form = MERGE if method == "PATCH" else JSON
        found: Obj = await self._stage.client.call(method, path, body, form)
        return found
