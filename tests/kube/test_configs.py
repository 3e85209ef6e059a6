"""ConfigMaps and Secrets: followed by name and version, read when tracked and changed, never mistaken for missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pyflagger.admission.errors import ApiError
from pyflagger.clock import LoopClock
from pyflagger.kube.cache import Cache
from pyflagger.kube.client import Client, Conflict
from pyflagger.kube.configs import READS_MAX, Configs
from pyflagger.kube.resources import CONFIG_MAPS, SECRETS
from pyflagger.objects import UNREAD, Delete, Ref
from pyflagger_sandbox.apiserver.faults import server_error
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess

pytestmark = pytest.mark.looptime

A, B = CONFIG_MAPS.ref("test", "a"), CONFIG_MAPS.ref("test", "b")
SECRET = SECRETS.ref("test", "s")


class Place:
    """A server with a few configs, and what is tracked of them."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.asked: list[Any] = []
        self.server = ApiServer(self.clock, audit=self.asked.append)
        self.client = Client(InProcess(self.server, "user"), self.clock)
        own = Client(InProcess(self.server, "configs"), self.clock)
        self.cache = Cache(own, self.clock)
        self.configs: Configs[str] = Configs(self.cache, own, self.clock)
        self.told: list[Ref] = []
        self.configs.subscribe(self.told.append)

    async def begin(self, *, settle: bool = True) -> None:
        """With a ConfigMap `a` and a Secret `s`."""
        await self.client.call("POST", "/api/v1/namespaces", {"metadata": {"name": "test"}})
        await self.create(A, {"x": "1"})
        await self.client.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "s", "namespace": "test"},
                "data": {"k": "djE="},
            }
        )
        self.configs.start()
        if settle:
            await self.clock.sleep(1)

    async def create(self, ref: Ref, data: dict[str, str], **meta: Any) -> dict[str, Any]:
        """A new ConfigMap."""
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ref.name, "namespace": "test", **meta}}
        return await self.client.create({**body, "data": data})

    async def change(self, ref: Ref, data: dict[str, str]) -> None:
        """Another content."""
        await self.client.call(
            "PATCH", CONFIG_MAPS.path("test", ref.name), {"data": data}, "application/merge-patch+json"
        )

    def reads(self) -> int:
        """How often single objects were read."""
        own = [entry for entry in self.asked if entry.agent == "configs" and entry.verb == "get"]
        return sum(entry.path.count("/") > len(("", "api", "v1", "configmaps")) - 1 for entry in own)

    async def end(self) -> None:
        """Stop."""
        await self.configs.stop()
        await self.cache.stop()


def data(found: Any) -> Any:
    """The content of what was found."""
    return found["data"] if isinstance(found, dict) else found


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A place that ends after the test."""
    place = Place()
    yield place
    await place.end()


async def test_before_the_first_list_nothing_is_known(place: Place) -> None:
    """Neither that it is there nor that it is not."""
    await place.begin(settle=False)
    assert place.configs.find(A) is UNREAD and place.configs.find(B) is UNREAD


async def test_reading_begins_by_asking(place: Place) -> None:
    """The first answer is not-read-yet; whoever waits is told when it is."""
    await place.begin()
    assert place.reads() == 0, "nothing is read that nobody tracks"
    place.configs.want("web", {A, SECRET})
    assert place.configs.find(A) is UNREAD
    await place.clock.sleep(1)
    assert A in place.told
    assert data(place.configs.find(A)) == {"x": "1"}
    assert place.reads() == 1
    assert place.configs.find(SECRET) is UNREAD
    await place.clock.sleep(1)
    assert data(place.configs.find(SECRET)) == {"k": "djE="}


async def test_what_is_not_there_is_not_there(place: Place) -> None:
    """Known from the list; no call is made for it."""
    await place.begin()
    assert place.configs.find(B) is None and place.reads() == 0


async def test_read_once_for_each_version(place: Place) -> None:
    """Asked a hundred times, read once; changed, read once more."""
    await place.begin()
    place.configs.want("web", {A})
    for _ in range(100):
        place.configs.find(A)
        await place.clock.sleep(0.1)
    assert place.reads() == 1
    await place.change(A, {"x": "2"})
    await place.clock.sleep(1)
    assert place.configs.find(A) is UNREAD, "the old content is not the content"
    await place.clock.sleep(1)
    assert data(place.configs.find(A)) == {"x": "2"} and place.reads() == 2


async def test_deleted_and_made_again(place: Place) -> None:
    """Each is seen for what it is."""
    await place.begin()
    place.configs.want("web", {A})
    place.configs.find(A)
    await place.clock.sleep(1)
    await place.client.delete(A)
    await place.clock.sleep(1)
    assert place.configs.find(A) is None
    await place.create(A, {"x": "new"})
    await place.clock.sleep(1)
    place.configs.find(A)
    await place.clock.sleep(1)
    assert data(place.configs.find(A)) == {"x": "new"}


async def test_a_read_that_fails_is_tried_again(place: Place) -> None:
    """Until then it is unread, never missing."""
    await place.begin()
    place.configs.want("web", {A})
    place.server.faults.fail(lambda r: server_error(), lambda r: r.path.endswith("/configmaps/a"), times=4)
    assert place.configs.find(A) is UNREAD
    for _ in range(200):
        await place.clock.sleep(0.1)
        found = place.configs.find(A)
        assert found is not None
        if found is not UNREAD:
            break
    assert data(found) == {"x": "1"}


async def test_who_tracks_what(place: Place) -> None:
    """By canary; what nobody tracks any more is forgotten."""
    await place.begin()
    place.configs.want("web", {A, B})
    place.configs.want("api", {A})
    assert sorted(place.configs.wanted_by(A)) == ["api", "web"] and place.configs.wanted_by(B) == ("web",)
    place.configs.want("web", {A})
    assert place.configs.wanted_by(B) == ()
    place.configs.find(A)
    await place.clock.sleep(1)
    place.configs.drop("web")
    assert place.configs.wanted_by(A) == ("api",) and data(place.configs.find(A)) == {"x": "1"}
    place.configs.drop("api")
    place.configs.drop("api")
    assert place.configs.wanted_by(A) == ()
    assert place.configs.find(A) is UNREAD, "its content is not kept in memory"


async def test_owned_copies(place: Place) -> None:
    """By the uid of their controller, through changes of owner and deletions."""
    await place.begin()
    owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "web", "uid": "u1", "controller": True}
    await place.create(B, {}, ownerReferences=[owner])
    await place.clock.sleep(1)
    assert place.configs.owned("u1") == {B} and place.configs.owned("u2") == frozenset()
    body = {"metadata": {"ownerReferences": [{**owner, "uid": "u2"}]}}
    await place.client.call("PATCH", CONFIG_MAPS.path("test", "b"), body, "application/merge-patch+json")
    await place.clock.sleep(1)
    assert place.configs.owned("u1") == frozenset() and place.configs.owned("u2") == {B}
    await place.client.delete(B)
    await place.clock.sleep(1)
    assert place.configs.owned("u2") == frozenset()


OWNER = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary"}


async def test_a_copy_of_several_owners(place: Place) -> None:
    """It belongs to each Canary, controller or not, and to nobody else's kind of that name."""
    await place.begin()
    owners = [{**OWNER, "name": name, "uid": name, "controller": name == "web"} for name in ("web", "api")]
    check = {"apiVersion": "example.com/v1", "kind": "Canary", "name": "x", "uid": "x"}
    await place.create(B, {}, ownerReferences=[*owners, check])
    await place.clock.sleep(1)
    assert place.configs.owned("web") == place.configs.owned("api") == {B} and not place.configs.owned("x")
    body = {"metadata": {"ownerReferences": owners[1:]}}
    left = await place.client.call("PATCH", CONFIG_MAPS.path("test", "b"), body, "application/merge-patch+json")
    place.configs.learn(left, B)
    assert not place.configs.owned("web") and place.configs.owned("api") == {B}, "at once"
    await place.clock.sleep(1)
    assert not place.configs.owned("web") and place.configs.owned("api") == {B}


async def test_made_anew_by_us(place: Place) -> None:
    """The watch tells late that the one before is gone: what we made since then is there all along."""
    await place.begin()
    place.configs.want("web", {B})
    owner = {**OWNER, "name": "web", "uid": "web"}
    await place.create(B, {"x": "1"}, ownerReferences=[owner])
    await place.clock.sleep(1)
    await place.client.delete(B)
    place.configs.unlearn(B)
    assert not place.configs.owned("web")
    made = await place.create(B, {"x": "2"}, ownerReferences=[owner])
    place.configs.learn(made, B)
    for _ in range(20):
        assert place.configs.owned("web") == {B} and data(place.configs.find(B)) == {"x": "2"}
        assert place.configs.meta(B) is not None
        await place.clock.sleep(0.01)
    await place.client.delete(B)
    await place.clock.sleep(1)
    assert place.configs.meta(B) is None is place.configs.find(B) and not place.configs.owned("web")


async def test_a_deletion_names_its_version(place: Place) -> None:
    """A copy that another canary has joined meanwhile stays."""
    await place.begin()
    made = await place.create(B, {"x": "1"})
    await place.change(B, {"x": "2"})
    with pytest.raises(Conflict):
        await place.client.apply(Delete(B, made["metadata"]["resourceVersion"]))
    assert await place.client.get(CONFIG_MAPS, "test", "b")
    await place.client.apply(Delete(B))


async def test_our_own_writes_are_known_at_once(place: Place) -> None:
    """Before any watch event has brought them back."""
    await place.begin()
    place.configs.want("web", {A, B})
    owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "web", "uid": "u1", "controller": True}
    made = await place.create(B, {"x": "mine"}, ownerReferences=[owner])
    place.configs.learn(made, B)
    assert data(place.configs.find(B)) == {"x": "mine"} and place.configs.owned("u1") == {B}
    await place.clock.sleep(1)
    assert data(place.configs.find(B)) == {"x": "mine"} and place.reads() == 0


async def test_who_asks_when_told_of_a_failure_begins_a_new_read(place: Place) -> None:
    """Nobody has to ask twice: being told is enough to get there in the end."""
    await place.begin()
    place.configs.want("web", {A})
    place.server.faults.fail(lambda r: server_error(), lambda r: r.path.endswith("/configmaps/a"), times=10)
    found: list[Any] = []

    async def look() -> None:
        found.append(place.configs.find(A))

    looks = []
    place.configs.subscribe(lambda ref: looks.append(asyncio.ensure_future(look())))
    place.configs.find(A)
    await place.clock.sleep(120)
    assert data(found[-1]) == {"x": "1"}


async def test_a_read_that_is_refused_says_so_until_it_is_not(place: Place) -> None:
    """In the API server's words; it is asked again without anybody's help."""
    await place.begin()
    place.configs.want("web", {A})
    refused = ApiError(403, "Forbidden", "no right to it", {})
    place.server.faults.fail(lambda r: refused, lambda r: r.path.endswith("/configmaps/a"), times=3)
    assert place.configs.find(A) is UNREAD and place.configs.refusal([A]) is None
    await place.clock.sleep(0.5)
    assert A in place.told
    said = place.configs.refusal([A])
    assert said is not None and "no right to it" in said.text
    for _ in range(100):
        place.configs.find(A)
        await place.clock.sleep(0.1)
    assert place.configs.refusal([A]) is None and data(place.configs.find(A)) == {"x": "1"}
    assert place.reads() == 4, "three that were refused, seconds apart, and the one that was not"


async def test_reads_leave_room_for_what_is_decided_meanwhile(place: Place) -> None:
    """However many are wanted, only some are under way."""
    await place.begin()
    refs = {CONFIG_MAPS.ref("test", f"many-{number}") for number in range(5 * READS_MAX)}
    for ref in refs:
        await place.create(ref, {"x": "1"})
    await place.clock.sleep(1)
    place.server.faults.latency = 1.0
    place.configs.want("web", refs)
    for ref in refs:
        place.configs.find(ref)
    for second in range(1, 6):
        await place.clock.sleep(1.01)
        assert sum(place.configs.find(ref) is not UNREAD for ref in refs) == second * READS_MAX
