"""Which canaries are looked at when a kind has been read: those that have waited for it and now lack nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pyflagger.api.crds import crds
from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import LoopClock
from pyflagger.kube.cache import Cache
from pyflagger.kube.client import Client
from pyflagger.kube.configs import Configs
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.kube.resources import CANARIES, DEPLOYMENTS, SERVICES
from pyflagger.objects import Key, Resource
from pyflagger.operator.observe.compiled import settings_of
from pyflagger.operator.observe.rivals import Rivals
from pyflagger.operator.observe.situation import NotYet, Observer
from pyflagger.operator.observe.store import Store
from pyflagger.operator.observe.watchers import Watchers
from pyflagger.operator.options import Options
from pyflagger.operator.state import State
from pyflagger.routing.ingresses import INGRESSES
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess
from stage.manifests import canary
from stage.stage import path_of

pytestmark = pytest.mark.looptime

ROUTED, PLAIN = Key("test", "routed"), Key("test", "plain")
REFUSED = Forbidden(Problem(Fault.CLUSTER, "no right to it"))


class Place:
    """Two canaries that were looked at once, of which one needs Ingresses; the test says which kinds have been read."""

    def __init__(self, cache: Cache, client: Client, clock: LoopClock) -> None:
        self.read: dict[Resource, NotFound | Forbidden | bool] = {}
        world, configs = Store(cache, clock), Configs[Key](cache, client, clock)
        settings = settings_of(Options())
        self.observer = Observer(world, configs, Watchers(), Rivals(), settings, clock, self._follow)
        self.look()

    def _follow(self, kind: Resource) -> NotFound | Forbidden | bool:
        return self.read.get(kind, False)

    def look(self) -> set[Key]:
        """Look at both; at which there was something to see."""
        return {key for key in (ROUTED, PLAIN) if self._sees(key)}

    def _sees(self, key: Key) -> bool:
        try:
            return self.observer.observe(key, State()) is not None
        except NotYet:
            return False

    def waiting_for(self, resource: Resource, found: Forbidden | bool = True) -> set[Key]:
        """Who is to be looked at once this kind has been read, or is refused."""
        self.read[resource] = found
        return set(self.observer.waiting_for(resource))


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A cache that knows the canaries."""
    clock = LoopClock()
    client = Client(InProcess(ApiServer(clock), "test"), clock)
    for definition in crds():
        await client.call("POST", path_of("CustomResourceDefinition"), definition)
    await client.call("POST", "/api/v1/namespaces", {"metadata": {"name": "test"}})
    plain = canary("plain", provider="kubernetes")
    del plain["spec"]["ingressRef"]
    for obj in (canary("routed"), plain):
        await client.call("POST", CANARIES.path("test"), obj)
    cache = Cache(client, clock)
    await cache.wait(CANARIES)
    yield Place(cache, client, clock)
    await cache.stop()


async def test_who_lacks_more_is_left_alone(place: Place) -> None:
    """Each is looked at once, when the last of its kinds is there, and not for a kind that it does not need."""
    assert place.waiting_for(DEPLOYMENTS) == set()
    assert place.waiting_for(SERVICES) == {PLAIN}
    assert place.look() == {PLAIN}
    assert place.waiting_for(INGRESSES) == {ROUTED}
    assert place.look() == {ROUTED, PLAIN}


async def test_a_refusal_ends_the_wait_as_well(place: Place) -> None:
    """What cannot be read is not waited for: that has to be told."""
    place.read.update({DEPLOYMENTS: True, SERVICES: True})
    assert place.waiting_for(INGRESSES, REFUSED) == {ROUTED}
    assert place.look() == {ROUTED, PLAIN}


async def test_a_refusal_later_is_heard_by_who_needs_the_kind(place: Place) -> None:
    """And that it is one no more, too."""
    place.read.update({DEPLOYMENTS: True, SERVICES: True, INGRESSES: True})
    assert place.look() == {ROUTED, PLAIN}
    assert place.waiting_for(INGRESSES, REFUSED) == {ROUTED}
    assert place.waiting_for(SERVICES) == {ROUTED, PLAIN}
