"""The settings that the operator publishes: one write at its start, none at rest, and never into a foreign object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyflagger.api.settings import LABELS, NAME, features_of, is_ours, lines
from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.kube.resources import CONFIG_MAPS
from pyflagger.objects import Obj, Patch
from pyflagger.operator.act.disclosure import FOREIGN, Disclosure, told
from pyflagger.operator.options import Options
from pyflagger.operator.run import home_of
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess

pytestmark = pytest.mark.looptime

HOME = "flagger-system"


class Counted(InProcess):
    """Counts writes and reads, and refuses them if told to."""

    refuses = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.calls: list[str] = []

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Carry out a call."""
        self.calls.append(request.method)
        return ApiAnswer(403, {}, b"{}") if self.refuses else await super().call(request)


class Place:
    """A cluster with the operator's namespace."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.server = ApiServer(self.clock)
        self.people = Client(InProcess(self.server, "people"), self.clock)
        self.way = Counted(self.server, "flagger")
        self.warned: list[str] = []

    def warning(self, text: str, todo: str) -> None:
        """Kept."""
        assert todo
        self.warned.append(text)

    def disclosure(self, identity: str = "pod_1", home: str = HOME, **options: Any) -> Disclosure:
        """That of one operator."""
        settings = told(Options(**options), "1.2.3", identity)
        made = Disclosure(Client(self.way, self.clock), self.clock, home, settings, self)
        made.feature("records", "on")
        return made

    async def begin(self, one: Disclosure) -> Disclosure:
        """Start it, and wait."""
        one.start()
        await self.clock.sleep(5)
        return one

    async def data(self) -> Obj:
        """What is published."""
        found: Obj = (await self.people.get(CONFIG_MAPS, HOME, NAME))["data"]
        return found


@pytest.fixture
async def place() -> Place:
    """A cluster."""
    made = Place()
    await made.people.call("POST", "/api/v1/namespaces", {"metadata": {"name": HOME}})
    return made


async def test_one_write_when_it_begins_to_lead(place: Place) -> None:
    """And nothing at rest."""
    one = await place.begin(place.disclosure(mesh_provider="nginx", metrics_server="http://me:pw@prom:9090/a?b=c"))
    await place.clock.sleep(3600)
    assert place.way.calls == ["GET", "POST"] and place.warned == []
    data = await place.data()
    since = data.pop("since")
    assert since.endswith("Z")
    assert data == {
        "version": "1.2.3",
        "identity": "pod_1",
        "namespace": "",
        "mesh-provider": "nginx",
        "metrics-server": "prom:9090",
        "selector-labels": "app,name,app.kubernetes.io/name",
        "ingress-annotations-prefix": "nginx.ingress.kubernetes.io",
        "ingress-class": "",
        "enable-config-tracking": "true",
        "min-interval": "10s",
        "idle-at-zero": "false",
        "no-cross-namespace-refs": "false",
        "features": "records: on",
    }
    await one.stop()


async def test_the_next_leader_replaces_them(place: Place) -> None:
    """By one patch; what it does not publish any more goes."""
    await place.begin(place.disclosure())
    extra = Patch(CONFIG_MAPS.ref(HOME, NAME), {"data": {"older-key": "x"}})
    await place.people.patch(extra)
    await place.clock.sleep(60)
    first = await place.data()
    place.way.calls.clear()
    await place.begin(place.disclosure("pod_2", mesh_provider="traefik"))
    second = await place.data()
    assert place.way.calls == ["GET", "PATCH"]
    assert "older-key" in first and "older-key" not in second
    assert (second["identity"], second["mesh-provider"]) == ("pod_2", "traefik") and second["since"] > first["since"]


async def test_a_feature_that_is_switched_off_later(place: Place) -> None:
    """Is one write more, with since when it leads unchanged; the same once more is none."""
    one = await place.begin(place.disclosure())
    first = await place.data()
    await place.clock.sleep(60)
    place.way.calls.clear()
    for _ in range(2):
        one.feature("records", "off: no right")
        await place.clock.sleep(1)
    data = await place.data()
    assert place.way.calls == ["GET", "PATCH"] and data["since"] == first["since"]
    assert features_of(data["features"]) == {"records": "off: no right"}


async def test_a_foreign_object_stays(place: Place) -> None:
    """It is said once, and nothing is written, then or later."""
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": HOME},
        "data": {"a": "b"},
    }
    await place.people.create(theirs)
    one = await place.begin(place.disclosure())
    one.feature("records", "off")
    await place.clock.sleep(60)
    assert place.way.calls == ["GET"] and place.warned == [FOREIGN]
    assert await place.data() == {"a": "b"}


async def test_a_missing_right_is_one_warning(place: Place) -> None:
    """Nothing waits for it, and nothing tries again."""
    place.way.refuses = True
    one = await place.begin(place.disclosure())
    one.feature("records", "off")
    await place.clock.sleep(600)
    assert len(place.way.calls) == 1 and len(place.warned) == 1
    assert place.warned[0].startswith("The settings are not published: ")


async def test_a_namespace_that_is_not_there(place: Place) -> None:
    """A warning as well."""
    await place.begin(place.disclosure(home="nowhere"))
    assert len(place.warned) == 1


async def test_no_namespace_publishes_nothing(place: Place) -> None:
    """As in a process outside of a cluster."""
    await (await place.begin(place.disclosure(home=""))).stop()
    assert place.way.calls == []


def test_where_it_publishes(tmp_path: Path) -> None:
    """In the namespace of its pod, whatever it watches; nowhere if it must not, or runs in no pod."""
    file = tmp_path / "namespace"
    assert home_of(Options(), {}, file) == ""
    file.write_text("theirs\n")
    assert home_of(Options(namespace="test"), {}, file) == "theirs"
    assert home_of(Options(), {"POD_NAMESPACE": "ours"}, file) == "ours"
    assert home_of(Options(publish_settings=False), {"POD_NAMESPACE": "ours"}, file) == ""


def test_its_own_form() -> None:
    """What is written is read back, and only what has its labels is its own."""
    features = {"status": "on", "records": "off: why: because"}
    assert features_of(lines(features)) == features and features_of("") == {}
    assert is_ours({"metadata": {"labels": {**LABELS, "a": "b"}}})
    assert not is_ours({"metadata": {"labels": {"app.kubernetes.io/managed-by": "flagger"}}}) and not is_ours({})
