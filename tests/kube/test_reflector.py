"""One collection kept up to date: pages, changes, cuts, outdated versions, nonsense, silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from scripted import Scripted, Stream, config, event, page, refusal

from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiRequest, ApiStream, TransportError
from pyflagger.kube.reflector import PAGE, SILENCE_SECONDS_MAX, WATCH_SECONDS, Reflector, State
from pyflagger.kube.resources import CONFIG_MAPS

pytestmark = pytest.mark.looptime

CUT = TransportError("connection reset")


class Follower:
    """A reflector at work and what it told: (name, version before or None, version after or None)."""

    def __init__(self, transport: Any, *, metadata_only: bool = False) -> None:
        self.clock = LoopClock()
        self.told: list[tuple[str, str | None, str | None]] = []
        self.transport = transport
        self.reflector = Reflector(
            Client(transport, self.clock), self.clock, CONFIG_MAPS, "test", self._tell, metadata_only=metadata_only
        )

    def _tell(self, key: tuple[str, str], old: Any, new: Any) -> None:
        self.told.append((key[1], *(obj and obj["metadata"]["resourceVersion"] for obj in (old, new))))

    async def run(self, seconds: float = 1.0) -> Follower:
        """Follow for a while and stop."""
        task = asyncio.create_task(self.reflector.run())
        await self.clock.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return self

    @property
    def versions(self) -> dict[str, str]:
        """What is in the store."""
        return {name: obj["metadata"]["resourceVersion"] for (_, name), obj in self.reflector.store.items()}


class Open(Scripted):
    """The last watch stays open instead of being given again."""

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """The next stream; after the last one, silence."""
        if self._streams:
            rest, self._streams = self._streams[1:], self._streams[:1]
            async with super().stream(request) as stream:
                self._streams = rest
                yield stream
            return
        self.asked.append(request)
        yield ApiStream(200, {}, _silence())


async def _silence() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


def following(calls: list[Any], *streams: Stream) -> Follower:
    """A follower of a server that answers so."""
    return Follower(Open(calls, streams))


# Listing ------------------------------------------------------------------------------------------------------------


async def test_a_list_in_pages() -> None:
    """All pages are read before anything is told, and the watch begins at the last page's version."""
    follower = following([page(config("a", 3), version="9", token="next"), page(config("b", 4), version="9")])
    await follower.run()
    assert follower.told == [("a", None, "3"), ("b", None, "4")]
    assert follower.reflector.synced.is_set()
    assert follower.reflector.state is State.WATCHING
    first, second, watch = follower.transport.asked
    assert first.query == {"limit": str(PAGE)} and second.query == {"limit": str(PAGE), "continue": "next"}
    assert watch.query["resourceVersion"] == "9" and watch.query["allowWatchBookmarks"] == "true"


async def test_not_synced_before_the_first_list() -> None:
    """A server that is away leaves the collection unread, and says so."""
    follower = await following([refusal(403, "Forbidden", "no right to list")]).run(100)
    assert not follower.reflector.synced.is_set()
    assert "no right to list" in follower.reflector.trouble
    assert follower.told == []


async def test_pauses_grow_and_end() -> None:
    """A server that refuses is asked less and less often, and never given up."""
    follower = await following([refusal(403, "Forbidden")]).run(600)
    assert 20 <= len(follower.transport.asked) <= 32
    follower.transport._calls = [page(config("a", 1))]
    await follower.run(60)
    assert follower.versions == {"a": "1"} and follower.reflector.trouble == ""


async def test_only_metadata_is_asked_for() -> None:
    """Objects that may be large are followed by their names and versions."""
    transport = Open([page(config("a", 1))], [])
    await Follower(transport, metadata_only=True).run()
    listed, watched = transport.asked
    assert "as=PartialObjectMetadataList;" in listed.accept
    assert "as=PartialObjectMetadata;" in watched.accept


# Watching -----------------------------------------------------------------------------------------------------------


async def test_changes_in_order() -> None:
    """Added, changed, deleted; what had not changed is not told."""
    follower = await following(
        [page(config("a", 1), config("b", 2), version="2")],
        [
            event("ADDED", config("c", 3)),
            event("MODIFIED", config("a", 4)),
            event("MODIFIED", config("a", 4)),
            event("DELETED", config("b", 5)),
            event("DELETED", config("b", 6)),
        ],
    ).run()
    assert follower.told[2:] == [("c", None, "3"), ("a", "1", "4"), ("b", "2", None)]
    assert follower.versions == {"a": "4", "c": "3"}


async def test_a_cut_is_followed_by_a_resume() -> None:
    """The next watch begins where the last one ended, bookmarks included; nothing is listed again."""
    follower = await following(
        [page(config("a", 1), version="1")],
        [event("MODIFIED", config("a", 5)), CUT],
        [event("BOOKMARK", {"metadata": {"resourceVersion": "8"}}), CUT],
        [event("MODIFIED", config("a", 9))],
    ).run(30)
    asked = follower.transport.asked
    assert [r.query.get("resourceVersion") for r in asked if "watch" in r.query] == ["1", "5", "8", "9"]
    assert follower.transport.verbs.count("GET") == 1
    assert follower.told == [("a", None, "1"), ("a", "1", "5"), ("a", "5", "9")]


async def test_an_outdated_version_is_followed_by_a_list_with_a_diff() -> None:
    """What came, went and changed meanwhile is told as if it had been watched, and the rest is not."""
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    after = page(config("a", 1), config("b", 7), config("d", 8), version="9")
    for ending in ([event("ERROR", gone)], refusal(410, "Expired")):
        follower = await following(
            [page(config("a", 1), config("b", 2), config("c", 3), version="3"), after], ending
        ).run(2)
        assert follower.told[3:] == [("c", "3", None), ("b", "2", "7"), ("d", None, "8")]
        assert follower.transport.verbs == ["GET", "WATCH", "GET", "WATCH"]


async def test_a_server_for_which_every_version_is_outdated_is_not_asked_in_a_circle() -> None:
    """It is listed and watched again, with longer and longer pauses, and followed once it means it."""
    liar = [refusal(410, "Expired")] * 6
    follower = await following([page(config("a", 1), version="3")] * 7, *liar, [event("ADDED", config("b", 4))]).run(5)
    assert 3 <= follower.transport.verbs.count("GET") <= 5
    await follower.run(60)
    assert follower.versions == {"a": "1", "b": "4"}


async def test_watches_that_bring_something_before_they_break_are_opened_again_soon() -> None:
    """However often that happens: only a server that brings nothing is given longer and longer to recover."""
    events = [[event("MODIFIED", config("a", number)), CUT] for number in range(2, 12)]
    follower = await following([page(config("a", 1), version="1")], *events).run(10)
    assert follower.versions == {"a": "11"}


async def test_an_error_event_that_is_something_else() -> None:
    """The watch goes on where it was."""
    error = {"kind": "Status", "code": 500, "message": "etcd has no leader"}
    follower = await following([page(version="3")], [event("ERROR", error)], [event("ADDED", config("a", 4))]).run(30)
    assert follower.transport.verbs.count("GET") == 1
    assert follower.versions == {"a": "4"}


GARBAGE: dict[str, bytes] = {
    "half an event": b'{"type":"MODIFIED","object":{"metadata":{"name":"a","resour',
    "no JSON": b"<html>",
    "no object": b'{"type":"ADDED"}',
    "a list": b"[1,2]",
    "a number for an object": b'{"type":"ADDED","object":1}',
    "no metadata": b'{"type":"ADDED","object":{}}',
    "no version": b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}',
    "no name": b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"4"}}}',
    "deep": b'{"type":"ADDED","object":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage(what: str) -> None:
    """Nothing that cannot be understood is believed: the collection is read afresh."""
    follower = await following(
        [page(config("a", 1), version="3"), page(config("a", 6), version="6")], [GARBAGE[what]]
    ).run(30)
    assert follower.reflector.garbage == 1
    assert follower.transport.verbs == ["GET", "WATCH", "GET", "WATCH"]
    assert follower.told == [("a", None, "1"), ("a", "1", "6")]


async def test_blank_lines_are_nothing() -> None:
    """Some proxies send them to keep a connection open."""
    follower = await following([page()], [b"", b"  ", event("ADDED", config("a", 4))]).run()
    assert follower.versions == {"a": "4"} and follower.reflector.garbage == 0


async def test_a_server_that_ends_every_watch_at_once() -> None:
    """It is not asked in a hurry."""
    follower = Follower(Scripted([page()], [[]]))
    await follower.run(300)
    assert follower.transport.verbs.count("WATCH") < 30


async def test_silence_ends_a_watch() -> None:
    """A server that sends not even bookmarks has lost us; until that is known, the age of the news is."""
    follower = following([page(version="3")])
    task = asyncio.create_task(follower.reflector.run())
    await follower.clock.sleep(SILENCE_SECONDS_MAX - 10)
    assert follower.transport.verbs == ["GET", "WATCH"]
    assert follower.reflector.stale_seconds > WATCH_SECONDS
    await follower.clock.sleep(20)
    assert follower.transport.verbs == ["GET", "WATCH", "WATCH"]
    assert follower.reflector.stale_seconds < 30
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# What is kept -------------------------------------------------------------------------------------------------------


async def test_what_nobody_reads_is_dropped() -> None:
    """Field managers take more room than the rest of an object."""
    listed = config("a", 1, data={"x": "y"})
    listed["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    follower = await following([page(listed)]).run()
    (kept,) = follower.reflector.store.values()
    assert "managedFields" not in kept["metadata"]
    assert (kept["apiVersion"], kept["kind"]) == ("v1", "ConfigMap"), "lists leave these out"


async def test_what_has_not_changed_is_shared() -> None:
    """The object before and the one after have the same data in memory."""
    data = {"x": "y" * 1000}
    seen: list[tuple[Any, Any]] = []
    follower = following([page(config("a", 1, data=data))], [event("MODIFIED", config("a", 2, data=data))])
    follower.reflector._on_change = lambda key, old, new: seen.append((old, new))
    await follower.run()
    old, new = seen[-1]
    assert old["data"] is new["data"]


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status, text", [(404, "does not serve configmaps in version v1"), (403, "no right")])
async def test_a_kind_that_is_refused_is_told_once_and_asked_for_again(status: int, text: str) -> None:
    """The refusal says what is wrong and what to do, and ends with the first list that works."""
    follower = following([refusal(status, message="no right"), refusal(status, message="no right"), page()])
    noted: list[str] = []
    reflector = follower.reflector = Reflector(
        Client(follower.transport, follower.clock),
        follower.clock,
        CONFIG_MAPS,
        "test",
        follower._tell,
        on_sync=lambda: noted.append(str(follower.reflector.refusal)),
    )
    await follower.run(0.1)
    assert reflector.refusal is not None and text in str(reflector.refusal) and reflector.refusal.problem.todo
    assert not reflector.synced.is_set()
    await follower.run(5)
    assert reflector.refusal is None and reflector.synced.is_set()
    assert len(noted) == 2 and text in noted[0] and noted[1] == "None"


async def test_a_right_that_is_taken_away_later_is_told_too() -> None:
    """What was read stays, and whoever needs the kind learns that it may be old."""
    follower = following([page(config("a", 1)), refusal(403)], refusal(403))  # type: ignore[arg-type]
    await follower.run(5)
    assert follower.reflector.refusal is not None and follower.reflector.refusal.status == 403
    assert follower.versions == {"a": "1"}


async def test_a_server_that_is_away_refuses_nothing() -> None:
    """An outage is no refusal: canaries are not told to mend what is not broken."""
    follower = await following([CUT, refusal(500), refusal(429), CUT]).run(20)
    assert follower.reflector.refusal is None and follower.reflector.trouble
