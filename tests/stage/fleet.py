"""Many canaries released at the same moment, and what that cost: requests by verb, seconds, steps.

Played by the stage's tests and by `bench`. Each canary has a namespace-mate for a name only; nothing is shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pyflagger.kube.resources import CANARIES
from pyflagger_sandbox.apiserver.server import Audited
from stage.manifests import analysis, canary, deployment, image, ingress, settings
from stage.stage import Stage

STEPS = (20, 40, 60)
INTERVAL = 10.0
IDEAL_SECONDS = INTERVAL * len(STEPS)
NAMESPACE = "fleet"
READS = frozenset({"get", "list", "watch"})


def names(count: int) -> list[str]:
    """Names of canaries."""
    return [f"app-{number:03d}" for number in range(count)]


def steps() -> dict[str, object]:
    """An analysis of three steps with one metric."""
    common = {key: value for key, value in analysis().items() if key not in ("stepWeight", "maxWeight")}
    return {**common, "stepWeights": list(STEPS)}


async def settle(
    stage: Stage, fleet: Iterable[str], phase: str, seconds: float, every: float = 0.25
) -> dict[str, float]:
    """Wait until every canary is in a phase; after how many seconds each one was. Raises AssertionError when late.

    Looks `every` so many seconds.
    """
    began, found = stage.clock.now(), dict[str, float]()
    wanted = set(fleet)
    while wanted:
        listed = await stage.client.call("GET", CANARIES.path(NAMESPACE))
        now = {item["metadata"]["name"]: (item.get("status") or {}).get("phase") for item in listed["items"]}
        done = {name for name in wanted if now.get(name) == phase}
        found.update(dict.fromkeys(done, stage.clock.now() - began))
        wanted -= done
        left = {name: now.get(name) for name in sorted(wanted)[:3]}
        assert stage.clock.now() - began < seconds, f"{len(wanted)} never {phase}: {left}"
        await stage.clock.sleep(every)
    return found


@dataclass(frozen=True)
class Bill:
    """What a stretch of time cost. `requests`: (verb, resource) of the operator; `seconds`: by canary."""

    canaries: int
    requests: Counter[tuple[str, str]]
    seconds: dict[str, float]

    @property
    def reads(self) -> Counter[tuple[str, str]]:
        """What was read, watches included."""
        return Counter({key: n for key, n in self.requests.items() if key[0] in READS})

    @property
    def writes(self) -> Counter[tuple[str, str]]:
        """What was written."""
        return self.requests - self.reads

    @property
    def a_release(self) -> float:
        """Requests a release."""
        return self.requests.total() / self.canaries


class Fleet:
    """So many canaries on one stage, looked at `every` so many seconds while they are released."""

    def __init__(self, count: int, stage: Stage, every: float = 0.25) -> None:
        self.stage, self.names, self._every = stage, names(count), every
        self._mark = 0

    async def begin(self) -> None:
        """Create everything and wait until each canary is initialized."""
        await self.stage.namespace(NAMESPACE)
        for name in self.names:
            for obj in (settings(name), deployment(name), ingress(name), canary(name, analysis=steps())):
                await self.stage.create(obj, NAMESPACE)
        await settle(self.stage, self.names, "Initialized", 120)
        self.mark()

    async def release(self, version: str = "2", phase: str = "Succeeded") -> Bill:
        """A new version of every one of them at once; returns when all of them are through."""
        self.mark()
        for name in self.names:
            await self.stage.set_image(name, name, image(name, version), NAMESPACE)
        begun = await settle(self.stage, self.names, "Progressing", IDEAL_SECONDS, self._every)
        ended = await settle(self.stage, self.names, phase, 4 * IDEAL_SECONDS, self._every)
        seconds = {name: max(begun.values()) + after for name, after in ended.items()}
        await self.stage.clock.sleep(5)
        return Bill(len(self.names), self.asked(), seconds)

    def mark(self) -> None:
        """Count from here."""
        self._mark = len(self.stage.audit)

    def asked(self) -> Counter[tuple[str, str]]:
        """What the operator asked of the API server since the mark."""
        return Counter((entry.verb, entry.resource) for entry in self._entries())

    def writes_to(self, name: str) -> list[Audited]:
        """The operator's writes to objects of one canary since the mark, events left out."""
        return [
            entry
            for entry in self._entries()
            if entry.verb not in READS and entry.resource != "events" and f"/{name}" in entry.path
        ]

    def _entries(self) -> list[Audited]:
        return [entry for entry in self.stage.audit[self._mark :] if entry.agent.startswith("flagger")]
