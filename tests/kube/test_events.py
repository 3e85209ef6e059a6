"""Kubernetes Events: every text readable, one request each, in order, and never in anybody's way."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client
from pyflagger.kube.events import MESSAGE_MAX, NAME_MAX, QUEUE_MAX, SAME_SECONDS, Events
from pyflagger.kube.resources import EVENTS
from pyflagger_sandbox.apiserver.faults import Broken, busy, server_error
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess

pytestmark = pytest.mark.looptime


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, text: str, **more: Any) -> None:
        """One line."""
        self.lines.append((text, more))


class Place:
    """A server and a recorder."""

    def __init__(self) -> None:
        self.clock, self.log = LoopClock(), Log()
        self.asked: list[Any] = []
        self.server = ApiServer(self.clock, audit=self.asked.append)
        self.client = Client(InProcess(self.server, "events"), self.clock)
        self.events = Events(self.client, self.clock, self.log, "pod-1")

    async def begin(self) -> Place:
        """With a namespace, and the writers at work."""
        await self.client.call("POST", "/api/v1/namespaces", {"metadata": {"name": "test"}})
        self.asked.clear()
        self.events.start()
        return self

    async def written(self, namespace: str = "test") -> list[Any]:
        """The Events there are, by time of writing."""
        items = (await self.client.call("GET", EVENTS.path(namespace)))["items"]
        return sorted(items, key=lambda e: int(e["metadata"]["resourceVersion"]))

    async def listed(self, namespace: str = "test") -> list[Any]:
        """The Events there are, as the server lists them."""
        return list((await self.client.call("GET", EVENTS.path(namespace)))["items"])


def canary(name: str = "web", uid: str = "u1") -> dict[str, Any]:
    """Something to tell about."""
    meta = {"name": name, "namespace": "test", "uid": uid, "resourceVersion": "5"}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": meta}


async def test_a_text_is_an_event() -> None:
    """With the fields by which `kubectl describe` finds and shows it."""
    place = await Place().begin()
    place.events.record(canary(), "Warning", "Halt web.test advancement")
    await place.events.stop()
    (event,) = await place.written()
    assert event["type"] == "Warning" and event["message"] == "Halt web.test advancement" and event["count"] == 1
    assert event["involvedObject"] == {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "name": "web",
        "namespace": "test",
        "uid": "u1",
        "resourceVersion": "5",
    }
    assert event["source"] == {"component": "flagger"} and event["reportingComponent"] == "flagger"
    assert event["reason"] == "Synced"
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2023-11-14T22:13:20Z"
    assert event["metadata"]["name"].startswith("web.")
    assert event["eventTime"] == "2023-11-14T22:13:20.000000Z" and event["reportingInstance"] == "pod-1"


async def test_events_of_one_second_are_listed_as_they_happened() -> None:
    """Servers list by name and kubectl sorts by whole seconds: names rise, also in one microsecond."""
    place = await Place().begin()
    texts = [f"text {number}" for number in range(30)]
    for text in texts:
        place.events.record(canary(), "Normal", text)
        await place.clock.sleep(0.3 if text.endswith("7") else 0)
    await place.events.stop()
    assert [event["message"] for event in await place.listed()] == texts
    another = await Place().begin()
    another.events.record(canary(), "Normal", "an operator that was started again")
    await another.events.stop()
    assert (await another.listed())[0]["metadata"]["name"] != (await place.listed())[0]["metadata"]["name"]


async def test_a_text_that_comes_again_after_another_is_listed_after_it() -> None:
    """Its count rises only while it is the newest: a count would pull an old name to the end of the list."""
    place = await Place().begin()
    for text in ("a", "a", "b", "b", "b", "a"):
        place.events.record(canary(), "Warning", text)
        place.events.record(canary("other", "u2"), "Warning", "of another object")
    await place.events.stop()
    told = [(e["message"], e["count"]) for e in await place.listed() if e["involvedObject"]["name"] == "web"]
    assert told == [("a", 2), ("b", 3), ("a", 1)]


async def test_texts_that_alternate_are_no_flood() -> None:
    """Each has three Events in an hour; then the last of them is counted on, however often it comes."""
    place = await Place().begin()
    for text in ("a", "b") * 20:
        place.events.record(canary(), "Warning", text)
    await place.events.stop()
    told = [(e["message"], e["count"]) for e in await place.listed()]
    assert told == [("a", 1), ("b", 1)] * 2 + [("a", 18), ("b", 18)]


async def test_fifty_texts_are_fifty_events_in_order() -> None:
    """None is merged, thinned out or dropped, as the reference's are after the tenth."""
    place = await Place().begin()
    for number in range(50):
        place.events.record(canary(), "Normal", f"Advance web.test canary weight {number}")
    await place.events.stop()
    texts = [event["message"] for event in await place.written()]
    assert texts == [f"Advance web.test canary weight {number}" for number in range(50)]
    assert sum(entry.verb == "post" for entry in place.asked) == 50


async def test_the_same_text_again_counts() -> None:
    """One Event with a count, at one request each; another type or another object is another Event."""
    place = await Place().begin()
    for _ in range(3):
        place.events.record(canary(), "Warning", "not ready")
        await place.clock.sleep(10)
    place.events.record(canary(), "Normal", "not ready")
    place.events.record(canary("api", "u2"), "Warning", "not ready")
    await place.events.stop()
    events = await place.written()
    assert sorted((e["involvedObject"]["name"], e["type"], e["count"]) for e in events) == [
        ("api", "Warning", 1),
        ("web", "Normal", 1),
        ("web", "Warning", 3),
    ]
    again = next(e for e in events if e["count"] == 3)
    assert again["firstTimestamp"] < again["lastTimestamp"]
    assert [entry.verb for entry in place.asked if entry.verb != "list"].count("patch") == 2


async def test_after_an_hour_it_is_news() -> None:
    """An Event that lives for an hour on the server is not counted up for ever."""
    place = await Place().begin()
    place.events.record(canary(), "Normal", "x")
    await place.clock.sleep(SAME_SECONDS + 1)
    place.events.record(canary(), "Normal", "x")
    await place.events.stop()
    assert [event["count"] for event in await place.written()] == [1], "the first one has lived its hour on the server"
    assert [entry.verb for entry in place.asked].count("post") == 2


async def test_an_event_that_is_gone_is_written_anew() -> None:
    """Somebody, or its time to live, has deleted it."""
    place = await Place().begin()
    place.events.record(canary(), "Normal", "x")
    await place.clock.sleep(1)
    (event,) = await place.written()
    await place.client.call("DELETE", EVENTS.path("test", event["metadata"]["name"]))
    place.events.record(canary(), "Normal", "x")
    await place.events.stop()
    assert [event["count"] for event in await place.written()] == [1]


async def test_long_texts_and_names_fit() -> None:
    """A server refuses more than a kilobyte, and names of more than 253 characters."""
    place = await Place().begin()
    name = "a" * NAME_MAX
    place.events.record(canary(name), "Normal", "x" * 5000)
    place.events.record(canary(name), "Normal", "ü" * 5000)
    await place.events.stop()
    event, wide = await place.written()
    assert len(event["message"]) == len(wide["message"].encode()) == MESSAGE_MAX
    assert len(event["metadata"]["name"]) <= NAME_MAX and event["involvedObject"]["name"] == name


async def test_a_name_cut_at_a_dash() -> None:
    """Still a name that a server accepts."""
    place = await Place().begin()
    place.events.record(canary("a" * 235 + "-b" * 9), "Normal", "x")
    await place.events.stop()
    (event,) = await place.written()
    assert "-." not in event["metadata"]["name"]


@pytest.mark.parametrize("error", [server_error(), busy(1), Broken("reset")])
async def test_a_bad_moment_costs_one_event_at_most(error: Exception) -> None:
    """It is logged; the ones after it are written."""
    place = await Place().begin()
    place.server.faults.fail(lambda r: error, lambda r: r.method == "POST", times=1)
    place.events.record(canary(), "Normal", "first")
    place.events.record(canary(), "Normal", "second")
    await place.events.stop()
    texts = [event["message"] for event in await place.written()]
    assert texts[-1] == "second"
    throttled = "first" in texts
    assert throttled == (not place.log.lines)


async def test_no_right_to_events() -> None:
    """Telling fails, telling goes on, and the log says why."""
    place = await Place().begin()
    for number in range(3):
        place.events.record(
            {**canary(), "metadata": {**canary()["metadata"], "namespace": "nowhere"}}, "Normal", f"{number}"
        )
    await place.events.stop()
    assert len(place.log.lines) == 3 and 'namespaces "nowhere" not found' in place.log.lines[0][1]["error"]


async def test_a_full_queue_drops_and_counts() -> None:
    """Memory is bounded; nobody waits."""
    place = await Place().begin()
    place.server.faults.latency = 3600
    for number in range(QUEUE_MAX + 10):
        place.events.record(canary(), "Normal", str(number))
    assert place.events.dropped == 10
    await place.events.stop(grace=1)
    assert place.log.lines[-1][0] == "stopped before all events were written"


async def test_stopping_writes_what_is_queued() -> None:
    """The last words of a release are not lost in an orderly end."""
    place = await Place().begin()
    place.server.faults.latency = 0.5
    for number in range(4):
        place.events.record(canary(), "Normal", str(number))
    await place.events.stop()
    place.server.faults.latency = 0
    assert len(await place.written()) == 4


async def test_a_terminal_has_nothing_to_obey() -> None:
    """What others answer ends up in texts: lines stay lines, control characters and turned writing do not stay."""
    place = await Place().begin()
    place.events.record(canary(), "Warning", "gate said:\n\tno \x1b[2K\x1b]0;root\x07\r\u202eevil\x00")
    await place.events.stop()
    (event,) = await place.written()
    assert event["message"] == "gate said:\n\tno �[2K�]0;root���evil�"
