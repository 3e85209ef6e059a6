"""The machinery under the controllers: the work queue, the cache, and the manager on a bad day."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest

from pyflagger.clock import LoopClock
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, TransportError
from pyflagger.objects import Delete, Obj, Ref
from pyflagger_sandbox.controllers.cache import Cache, View
from pyflagger_sandbox.controllers.client import Api, ApiError
from pyflagger_sandbox.controllers.events import Recorder
from pyflagger_sandbox.controllers.manager import Controller, Manager
from pyflagger_sandbox.controllers.outcome import NOTHING, Outcome, Said
from pyflagger_sandbox.controllers.owned import itself
from pyflagger_sandbox.controllers.queue import WorkQueue

pytestmark = pytest.mark.looptime


async def test_queue_keeps_a_key_once() -> None:
    """Added thrice before it is taken, it is worked on once."""
    queue: WorkQueue[str] = WorkQueue(LoopClock())
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    queue.done("a")
    queue.done("b")
    assert queue.idle


async def test_queue_never_gives_a_key_to_two() -> None:
    """A key added while it is worked on comes back only after that."""
    queue: WorkQueue[str] = WorkQueue(LoopClock())
    queue.add("a")
    await queue.take()
    queue.add("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 60)
    queue.done("a")
    assert await queue.take() == "a"


async def test_queue_later() -> None:
    """The earliest of several wishes counts, and it fires once."""
    clock = LoopClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 30)
    queue.add_after("a", 5)
    began = clock.monotonic()
    await queue.take()
    assert clock.monotonic() - began == 5
    queue.done("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 60)
    queue.add_after("b", 10)
    queue.close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 60)


def pod(name: str, version: int, uid: str = "") -> Obj:
    """A pod of some version."""
    meta = {"name": name, "namespace": "test", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}}


class Script:
    """A Transport that plays: lists in turn, and for each watch the events or the error to come."""

    def __init__(self) -> None:
        self.lists: list[Any] = []
        self.watches: list[list[Any]] = []
        self.asked: list[str] = []
        self.writes: list[tuple[str, str]] = []
        self.answers: list[ApiAnswer | Exception] = []

    async def call(self, request: ApiRequest) -> ApiAnswer:
        if request.method != "GET":
            self.writes.append((request.method, request.path))
            answer = self.answers.pop(0) if self.answers else ApiAnswer(200, {}, b"{}")
            if isinstance(answer, Exception):
                raise answer
            return answer
        self.asked.append("list")
        found = self.lists.pop(0)
        if isinstance(found, Exception):
            raise found
        version, items = found
        return ApiAnswer(200, {}, json.dumps({"metadata": {"resourceVersion": version}, "items": items}).encode())

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        self.asked.append(f"watch {request.query['resourceVersion']}")
        yield ApiStream(200, {}, self._lines())

    async def _lines(self) -> AsyncIterator[bytes]:
        events = self.watches.pop(0) if self.watches else None
        if events is None:
            await asyncio.Event().wait()
        for event in events or ():
            if isinstance(event, Exception):
                raise event
            type_, obj = event
            yield json.dumps({"type": type_, "object": obj}).encode()

    async def close(self) -> None: ...


EXPIRED = ("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})


async def filled(script: Script) -> tuple[Cache, list[tuple[str | None, str | None]]]:
    """A started cache of pods, and what it told."""
    cache = Cache(Api(script), LoopClock(), ["Pod"])
    told: list[tuple[str | None, str | None]] = []

    def listener(kind: str, before: Obj | None, after: Obj | None) -> None:
        versions = [obj and obj["metadata"]["resourceVersion"] for obj in (before, after)]
        told.append((versions[0], versions[1]))

    cache.listen(listener)
    await cache.start()
    return cache, told


async def test_cache_follows_a_watch() -> None:
    """Listed, changed, deleted; a bookmark moves the place from which it goes on."""
    script = Script()
    script.lists = [("5", [{"metadata": pod("a", 5)["metadata"], "spec": {}}])]
    bookmark = ("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    script.watches = [[("MODIFIED", pod("a", 6)), ("ADDED", pod("b", 7)), ("DELETED", pod("a", 8)), bookmark]]
    cache, told = await filled(script)
    await asyncio.sleep(1)
    assert told == [(None, "5"), ("5", "6"), (None, "7"), ("6", None)]
    assert script.asked == ["list", "watch 5", "watch 9"]
    assert [obj["metadata"]["name"] for obj in cache.all("Pod")] == ["b"]
    await cache.stop()


async def test_cache_lists_again_after_410() -> None:
    """What went in between is told as gone, what stayed the same is not told at all."""
    script = Script()
    script.lists = [("5", [pod("a", 1), pod("b", 2)]), ("20", [pod("b", 2), pod("c", 12)])]
    script.watches = [[EXPIRED]]
    cache, told = await filled(script)
    await asyncio.sleep(1)
    assert told[2:] == [("1", None), (None, "12")]
    assert script.asked == ["list", "watch 5", "list", "watch 20"]
    await cache.stop()


async def test_cache_resumes_after_a_broken_watch() -> None:
    """From where it was, without a list, after a pause."""
    script = Script()
    script.lists = [TransportError("away"), ("5", [])]
    script.watches = [[("ADDED", pod("a", 7)), TransportError("cut")]]
    cache, told = await filled(script)
    await asyncio.sleep(5)
    assert script.asked == ["list", "list", "watch 5", "watch 7"]
    assert told == [(None, "7")]
    assert "cut" in cache.problem
    await cache.stop()


async def test_cache_is_not_taken_back() -> None:
    """An answer to a write is not undone by an older list or event, and the dead do not come back."""
    script = Script()
    script.lists = [("5", [])]
    script.watches = [[("ADDED", pod("a", 6)), ("DELETED", pod("b", 9))]]
    cache = Cache(Api(script), LoopClock(), ["Pod"])
    cache.observe(pod("a", 8))
    await cache.start()
    await asyncio.sleep(1)
    found = cache.get("Pod", "test", "a")
    assert found is not None and found["metadata"]["resourceVersion"] == "8"
    cache.observe(pod("b", 7))
    assert cache.get("Pod", "test", "b") is None
    cache.observe(pod("b", 11, uid="another"))
    assert cache.get("Pod", "test", "b") is not None
    await cache.stop()


def test_indexes_follow_changes() -> None:
    """Found by owner, node and label as they are now, not as they were."""
    view = View(["Pod"])
    first = pod("a", 1)
    first["spec"] = {"nodeName": "n1"}
    first["metadata"]["labels"] = {"app": "x"}
    view.put(first)
    second = pod("a", 2)
    second["metadata"]["ownerReferences"] = [{"uid": "o", "kind": "ReplicaSet", "name": "r", "controller": True}]
    view.put(second)
    assert view.count("Pod", "node", "n1") == 0
    assert view.count("Pod", "node", "") == 1
    assert not view.by("Pod", "label", ("test", "app", "x"))
    assert view.by("Pod", "owner", "o") == [second]
    assert not view.by("Pod", "owner", ("test",))
    view.drop("Pod", ("test", "a"))
    assert not view.by("Pod", "owner", "o")


class Bench:
    """A manager with one controller of pods over a scripted server."""

    def __init__(self, reconcile: Callable[[View, str, str, float], Outcome]) -> None:
        self.script, self.clock = Script(), LoopClock()
        self.script.lists = [("1", [pod("a", 1)])]
        api = Api(self.script)
        self.cache = Cache(api, self.clock, ["Pod"])
        self.manager = Manager(api, self.cache, self.clock, [Controller("pods", {"Pod": itself}, reconcile)])

    async def run(self, seconds: float) -> None:
        self.manager.start()
        await self.cache.start()
        await asyncio.sleep(seconds)
        await self.manager.stop()
        await self.cache.stop()


DELETE_A = Outcome((Delete(Ref("v1", "Pod", "test", "a")),))


def refusal(status: int) -> ApiAnswer:
    """An answer that is none."""
    return ApiAnswer(status, {}, json.dumps({"reason": "No", "message": "no"}).encode())


@pytest.mark.parametrize("trouble", [refusal(409), refusal(500), refusal(429), TransportError("away")])
async def test_a_refused_write_is_tried_again(trouble: ApiAnswer | Exception) -> None:
    """With growing pauses, and with a new look each time."""
    looks: list[float] = []

    def reconcile(view: View, namespace: str, name: str, now: float) -> Outcome:
        looks.append(now)
        return DELETE_A

    bench = Bench(reconcile)
    bench.script.answers = [trouble] * 4
    await bench.run(60)
    assert len(looks) == 5
    pauses = [later - earlier for earlier, later in pairwise(looks)]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] < 5


async def test_one_bad_object_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """A reconcile function that fails is logged and tried again, others go on."""
    seen: list[str] = []

    def reconcile(view: View, namespace: str, name: str, now: float) -> Outcome:
        seen.append(name)
        if name == "a" and seen.count("a") < 3:
            raise KeyError("spec")
        return NOTHING

    bench = Bench(reconcile)
    bench.script.lists = [("1", [pod("a", 1), pod("b", 1)])]
    await bench.run(30)
    assert (seen.count("a"), seen.count("b")) == (3, 1)
    assert "the pods controller failed on a.test" in caplog.text


async def test_look_again() -> None:
    """A wish for another look is granted at its time."""
    looks: list[float] = []

    def reconcile(view: View, namespace: str, name: str, now: float) -> Outcome:
        looks.append(now)
        return Outcome(look_again=7.0) if len(looks) < 3 else Outcome()

    bench = Bench(reconcile)
    await bench.run(60)
    assert [round(later - looks[0]) for later in looks] == [0, 7, 14]


async def test_client_tells_refusals_apart() -> None:
    """A refusal carries the server's status and words; what is gone already is no error."""
    script = Script()
    script.answers = [refusal(403), refusal(404), ApiAnswer(502, {}, b"<html>")]
    api = Api(script)
    with pytest.raises(ApiError, match="403 No: no") as caught:
        await api.apply(DELETE_A.writes[0])
    assert caught.value.status == 403
    assert await api.apply(DELETE_A.writes[0]) is None
    with pytest.raises(ApiError, match="<html>"):
        await api.apply(DELETE_A.writes[0])


async def test_events_count_repeats() -> None:
    """The same thing said three times is one Event with a count; what cannot be written is dropped."""
    script = Script()
    recorder = Recorder(Api(script), LoopClock(), "kubelet")
    recorder.start()
    script.answers = [refusal(500)]
    recorder.say(Said(pod("a", 1), "Normal", "Dropped", "x"))
    for _ in range(3):
        recorder.say(Said(pod("a", 1), "Warning", "Unhealthy", "no"))
    recorder.say(Said(pod("a", 1), "Warning", "Unhealthy", "another"))
    await asyncio.sleep(1)
    with suppress(asyncio.CancelledError):
        await recorder.stop()
    assert [method for method, _ in script.writes] == ["POST", "POST", "PATCH", "PATCH", "POST"]
