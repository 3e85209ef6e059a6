"""Two canaries on one stage: a calm one, and one that something is wrong with.

Whatever is wrong with the second: it is told, no traffic of it moves, and the calm one's release is no later for it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyflagger.api.defaults import HEARD_SECONDS, SETTLE_SECONDS
from pyflagger.kube.resources import EVENTS
from pyflagger.objects import Obj
from pyflagger.operator.run import Operator
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.manifests import INTERVAL, MAX, STEP, canary, deployment, image, ingress, settings
from stage.stage import Stage, healthy, vector

IDEAL_SECONDS = INTERVAL * MAX / STEP
PROMPT_SECONDS = IDEAL_SECONDS + SETTLE_SECONDS + HEARD_SECONDS + 3

ADVISING = "create correct delete install label look mend name send set use write cannot make put try check wrap"
ADVICE = rf"(?i)\b({'|'.join(ADVISING.split())}|must be|scrapes?|aggregate)\b"
"""A message that says what to do has one of these."""

Answer = Callable[[HttpRequest], Awaitable[HttpAnswer | None]]


async def nothing(request: HttpRequest) -> HttpAnswer | None:
    """Nothing special: the usual answer."""
    return None


@dataclass
class Pair:
    """`sick` answers requests of the sick canary (its namespace is in them), None for the usual answer."""

    sick: Answer = nothing
    options: dict[str, Any] = field(default_factory=dict)
    pods_take: float = 0.0
    """Seconds until a pod is ready."""

    async def begin(
        self,
        *,
        released: bool = True,
        spoilt: Obj | None = None,
        without: tuple[str, ...] = (),
        definitions: Sequence[Obj] = (),
    ) -> None:
        """Start with more kinds; `spoilt` replaces the sick Canary, `without` leaves out kinds of its objects."""
        self.stage = Stage(self._answer, **self.options)
        self.stage.pods_take = self.pods_take
        await self.stage.start(definitions=definitions)
        for name in ("calm", "sick"):
            await self.stage.namespace(name)
            own = (settings(name), deployment(name), ingress(name))
            chosen = spoilt if name == "sick" and spoilt else canary(name)
            for obj in (*own, chosen):
                if name == "calm" or obj["kind"] not in without:
                    await self.stage.create(obj, name)
        if released:
            await self.phase("calm", "Initialized")

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if "sick" in request.url or b"sick" in (request.body or b""):
            special = await self.sick(request)
            if special is not None:
                return special
        return await healthy(request)

    # What is done -----------------------------------------------------------------------------------------------------

    async def release(self, *names: str, version: str = "2") -> None:
        """`kubectl set image` for some of them."""
        self.began = self.stage.clock.now()
        for name in names:
            await self.stage.set_image(name, name, image(name, version), name)

    async def phase(self, name: str, *wanted: str, seconds: float = 300) -> float:
        """Wait for a phase; how many seconds it took."""
        began = self.stage.clock.now()
        while (status := await self.stage.status(name, name)).get("phase") not in wanted:
            assert self.stage.clock.now() - began < seconds, f"{name} never {wanted}: {status}\n{await self.told(name)}"
            await self.stage.clock.sleep(0.25)
        return self.stage.clock.now() - began

    async def weight(self, wanted: int, seconds: float = 100) -> None:
        """Wait until the sick canary's visitors are at this weight, or more."""
        end = self.stage.clock.now() + seconds
        while (await self.stage.status("sick", "sick")).get("canaryWeight", 0) < wanted:
            assert self.stage.clock.now() < end, f"never at {wanted}: {await self.told()}"
            await self.stage.clock.sleep(0.5)

    async def edit(self, **spec: Any) -> None:
        """Change the sick Canary's spec."""
        await self.stage.patch("Canary", "sick", {"spec": spec}, "sick")

    # What must hold ---------------------------------------------------------------------------------------------------

    async def told(self, name: str = "sick") -> list[str]:
        """The texts of a canary's Events."""
        listed = await self.stage.client.call("GET", EVENTS.path(name))
        return [f"{e['type']} {e['message']}" for e in listed["items"] if e["involvedObject"]["kind"] == "Canary"]

    async def tells(self, pattern: str, seconds: float = 120) -> str:
        """Wait until an Event of the sick canary says this; the Event's text."""
        end = self.stage.clock.now() + seconds
        while not (found := [text for text in await self.told() if re.search(pattern, text)]):
            assert self.stage.clock.now() < end, f"never told {pattern!r}: {await self.told()}"
            await self.stage.clock.sleep(0.5)
        return found[0]

    async def blocked(self, name: str = "sick") -> Obj | None:
        """The condition that says what has to be mended."""
        return await self._condition("Blocked", name)

    async def halted(self) -> Obj | None:
        """The condition that says what stops the run, or stopped the last one."""
        return await self._condition("Halted", "sick")

    async def _condition(self, kind: str, name: str) -> Obj | None:
        conditions = (await self.stage.status(name, "sick")).get("conditions") or ()
        return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)

    async def is_blocked(self, whose: str, pattern: str) -> None:
        """The object says whose doing it is, what is wrong as the Event does, and what to do."""
        self._says(await self.blocked(), whose, pattern)

    async def is_halted(self, whose: str, pattern: str) -> None:
        """The same of a run that does not go on."""
        self._says(await self.halted(), whose, pattern)

    def _says(self, condition: Obj | None, whose: str, pattern: str) -> None:
        assert condition is not None
        assert condition["reason"] == whose, condition
        assert re.search(pattern, condition["message"]), condition
        assert re.search(ADVICE, condition["message"]), condition

    async def traffic(self, name: str = "sick") -> tuple[Any, ...]:
        """Where a canary's visitors go: the weight at its ingress, its apex Service, its primary."""
        found: list[Any] = []
        for kind, which, read in (
            ("Ingress", f"{name}-canary", lambda obj: obj["metadata"]["annotations"]),
            ("Service", name, lambda obj: obj["spec"].get("selector")),
            ("Deployment", f"{name}-primary", lambda obj: (obj["spec"]["replicas"], obj["spec"]["template"]["spec"])),
        ):
            listed = await self.stage.client.call("GET", path(kind, name))
            obj = next((o for o in listed["items"] if o["metadata"]["name"] == which), None)
            found.append(read(obj) if obj else None)
        return tuple(found)

    async def calm_is_prompt(self) -> None:
        """The calm canary's release took its steps and nothing more."""
        await self.phase("calm", "Succeeded")
        assert self.stage.clock.now() - self.began <= PROMPT_SECONDS + 2 * self.pods_take, await self.told("calm")
        assert not [text for text in await self.told("calm") if "Halt" in text or "sick" in text]

    async def was_foreseen(self) -> None:
        """Whatever happened to the sick canary, no look at it failed."""
        assert not [text for text in await self.told() if "bug in flagger" in text]

    @property
    def operator(self) -> Operator:
        """The operator that runs."""
        assert self.stage.operator is not None
        return self.stage.operator


def path(kind: str, namespace: str) -> str:
    """The path of a collection."""
    from stage.stage import path_of

    return path_of(kind, namespace)


def value(text: str) -> Answer:
    """An `Answer` with this value to every query."""

    async def answer(request: HttpRequest) -> HttpAnswer | None:
        if "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector(text))
        return None

    return answer


def body(status: int, content: bytes, *, hooks: bool = False) -> Answer:
    """An `Answer` with this body to every query, or to every hook."""

    async def answer(request: HttpRequest) -> HttpAnswer | None:
        is_query = "/api/v1/query" in request.url
        return HttpAnswer(status, content) if is_query != hooks and "vector" not in request.url else None

    return answer
