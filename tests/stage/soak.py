"""Releases without end on virtual time: the same canaries released again and again, and what has grown meanwhile.

Played by a test for a moment and by `make soak` for ten thousand releases. The stage forgets what a real cluster would
have forgotten (Events after an hour, the audit log), so that what grows is the operator's.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import AsyncGeneratorType, BuiltinFunctionType, CodeType, CoroutineType, FrameType, FunctionType, ModuleType

from pyflagger.kube.resources import EVENTS
from pyflagger.objects import Pool
from pyflagger.operator.run import Operator
from stage.fleet import NAMESPACE, Fleet
from stage.stage import Stage

SLACK = 0.02
"""How much a count may differ by chance: what is under way when it is taken."""

CONTAINER = 1 << 14
"""The flag of types whose values can hold others (`Py_TPFLAGS_HAVE_GC`). Asked of the type, for whether a tuple or dict
is itself tracked depends on when the garbage collector last passed."""


@dataclass(frozen=True)
class Size:
    """What there is after so many releases: series on /metrics, objects that the operator holds, the process's MiB."""

    releases: int
    series: int
    objects: int
    memory_mib: float


async def soak(canaries: int, rounds: int) -> AsyncIterator[Size]:
    """Release so many canaries so many times; the sizes after each round. Records are deleted from the third one on."""
    stage = Stage(release_history=2)
    await stage.start()
    fleet = Fleet(canaries, stage, every=2.0)
    await fleet.begin()
    for number in range(1, rounds + 1):
        await fleet.release(f"v{number}")
        await _forget(stage)
        assert stage.operator is not None
        held = held_by(stage.operator, apart=(stage.server, stage.transport, stage.http, stage.clock))
        yield Size(number * canaries, _series(stage.operator), held, _memory())
    await stage.stop()


async def _forget(stage: Stage) -> None:
    stage.audit.clear()
    fleet_events = await stage.client.call("GET", EVENTS.path(NAMESPACE))
    for event in fleet_events["items"]:
        await stage.client.delete(EVENTS.ref(NAMESPACE, event["metadata"]["name"]))


def _series(operator: Operator) -> int:
    return sum(not line.startswith(b"#") for line in operator.metrics().splitlines())


def _memory() -> float:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def held_by(owner: object, apart: Iterable[object]) -> int:
    """How many containers can be reached from an object; code, and what is set apart, is left out.

    So is what a coroutine has in hand: a watch has hold of the server in process. And what only a pool of parts holds:
    it fills up to its bound, and then begins anew.
    """
    code = (ModuleType, FunctionType, BuiltinFunctionType, type, CodeType, FrameType, asyncio.AbstractEventLoop)
    code += (CoroutineType, AsyncGeneratorType, Pool)
    seen, left = {id(owner), *map(id, apart)}, [owner]
    while left:
        for found in gc.get_referents(left.pop()):
            if type(found).__flags__ & CONTAINER and id(found) not in seen and not isinstance(found, code):
                seen.add(id(found))
                left.append(found)
    return len(seen)


def grown(sizes: Sequence[Size]) -> str:
    """What has grown since a third of the way, when everything has been said once; empty when nothing has."""
    settled, last = sizes[len(sizes) // 3], sizes[-1]
    if last.series != settled.series:
        return f"{settled.series} series after {settled.releases} releases, {last.series} after {last.releases}"
    if last.objects > settled.objects * (1 + SLACK):
        return f"{settled.objects} objects after {settled.releases} releases, {last.objects} after {last.releases}"
    return ""
