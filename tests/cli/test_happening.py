"""`flagger events`, `logs` and `version` on a cluster on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from cli.test_watching import cluster_of, playing, within
from pyflagger import __version__
from pyflagger.cli.cluster import Cluster
from pyflagger.cli.happening import Happening, lines
from pyflagger.cli.podlogs import Asked, Reading, follow_all, found_logs
from pyflagger.cli.text import Screen
from pyflagger.cli.versions import operators, served
from pyflagger.objects import Obj
from pyflagger.operator.options import Options
from pyflagger.seeing.follow import Watched
from pyflagger.seeing.model import EventView
from pyflagger_sandbox.apiserver.faults import Broken
from seeing.conftest import stages_stop
from seeing.test_single import KEY, Scene
from seeing.test_waiting import release

__all__ = ["stages_stop"]
pytestmark = pytest.mark.looptime


async def watching(cluster: Cluster) -> Watched:
    """The canary, followed."""
    watched = Watched(cluster.client, cluster.clock, KEY, Options())
    await watched.begin()
    return watched


def event(kind: str, name: str, text: str, at: str = "2023-11-14T22:13:00Z") -> Obj:
    """An Event about an object."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{len(text)}{text[:3]}".lower()},
        "involvedObject": {"kind": kind, "name": name, "namespace": "test"},
        "type": "Warning",
        "reason": "Test",
        "message": text,
        "lastTimestamp": at,
    }


async def test_events_of_everything_that_belongs_to_a_canary() -> None:
    """Of the canary, its workloads, their pods that are gone too, and its route; of no neighbour with a longer name."""
    scene = await playing()
    ours = [("Pod", "shop-54bd7-x2vwz"), ("Pod", "shop-primary-54bd7-x2vwz"), ("ReplicaSet", "shop-54bd7"),
            ("Deployment", "shop-primary"), ("Ingress", "shop")]  # fmt: skip
    others = [("Pod", "shop-other-54bd7-x2vwz"), ("Pod", "shop-other-x2vwz"), ("Canary", "shop-other"),
              ("ReplicaSet", "shop-other-54bd7"), ("Service", "web"), ("Pod", "shop-54bd7-x2vwz-0")]  # fmt: skip
    for kind, name in (*ours, *others):
        await scene.stage.create(event(kind, name, f"about {kind} {name}"))
    cluster, _ = cluster_of(scene)
    watched = await watching(cluster)
    found = await Happening(watched).events(0.0)
    await watched.stop()
    assert found is not None
    assert {each.object for each in found if each.reason == "Test"} == {f"{kind} {name}" for kind, name in ours}
    assert [each.at for each in found] == sorted(each.at or 0.0 for each in found)
    assert "Initialization done! shop.test" in [each.text for each in found]


async def test_events_since() -> None:
    """Older ones are left out."""
    scene = await playing()
    await scene.stage.clock.sleep(600)
    await scene.stage.create(event("Canary", "shop", "now", "2023-11-14T22:23:30Z"))
    watched = await watching(cluster_of(scene)[0])
    found = await Happening(watched).events(60.0)
    await watched.stop()
    assert [each.text for each in found or ()] == ["now"]


async def test_events_go_on() -> None:
    """It prints each Event once, until the canary is deleted."""
    scene = await playing()
    watched, told = await watching(cluster_of(scene)[0]), list[EventView]()
    task = asyncio.create_task(Happening(watched).go_on(0.0, told.append))
    await scene.stage.clock.sleep(1)
    before = len(told)
    await release(scene, "2")
    await scene.until("Succeeded")
    await scene.stage.clock.sleep(2)
    texts = [each.text for each in told[before:]]
    assert "New revision detected! Scaling up shop.test" in texts and len(told) == len(set(told))
    await scene.stage.delete("Canary", "shop")
    await within(task)
    await watched.stop()


def test_events_of_others_move_no_cursor() -> None:
    """Their texts lose control characters."""
    found = [EventView(None, "Normal", "Pod x", "R", "a\x1b[2Jb\nc", 3)]
    assert lines(found, Screen())[1] == "-     Normal  Pod x   R       a?[2Jb c (3 times)"


# Logs -----------------------------------------------------------------------------------------------------------------


class Kubelet:
    """Logs of pods: a line when it is asked, and more as they are written."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.asked = scene, list[Mapping[str, str]]()
        self.broken = False
        scene.stage.server.logs = self.read

    async def read(self, pod: Obj, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        self.asked.append(query)
        yield f"hello from {pod['metadata']['name']}\n".encode()
        if query.get("follow"):
            await self.scene.stage.clock.sleep(20)
            if self.broken:
                self.broken = False
                raise Broken("connection reset")
            yield b"still here\n"
            await self.scene.stage.over.wait()


async def reading(scene: Scene, asked: Asked) -> tuple[Watched, Reading, list[str], list[str]]:
    """What reads, and what it tells and warns of."""
    cluster, _ = cluster_of(scene)
    told, warned = list[str](), list[str]()
    return await watching(cluster), Reading(cluster, asked, told.append, warned.append), told, warned


async def test_logs_of_both_versions() -> None:
    """Role and pod stand before each line; containers that have not started have no log."""
    scene = await playing()
    kubelet = Kubelet(scene)
    await release(scene, "2")
    await scene.until("Progressing")
    await scene.stage.clock.sleep(5)
    watched, reads, told, _ = await reading(scene, Asked(tail=3, since=90.0, previous=True))
    for log in await found_logs(watched, Asked()) or ():
        assert await reads.once(log)
    assert [line.split()[0] for line in told] == ["primary", "primary", "canary", "canary"]
    assert all(line.split()[1] == line.split()[-1] for line in told)
    asked = {key: kubelet.asked[0][key] for key in ("tailLines", "sinceSeconds", "previous", "container")}
    assert asked == {"tailLines": "3", "sinceSeconds": "90", "previous": "true", "container": "shop"}
    only = await found_logs(watched, Asked(role="primary"))
    assert {log.role for log in only or ()} == {"primary"} and await found_logs(watched, Asked(container="x")) == []
    await watched.stop()


async def test_logs_of_new_pods_are_followed() -> None:
    """A release adds pods. After a broken connection the command says so, and reads on."""
    scene = await playing()
    kubelet = Kubelet(scene)
    watched, reads, told, warned = await reading(scene, Asked(follow=True))
    task = asyncio.create_task(follow_all(watched, reads, Asked(follow=True)))
    await scene.stage.clock.sleep(5)
    assert [line.split()[0] for line in told] == ["primary", "primary"]
    kubelet.broken = True
    await scene.stage.clock.sleep(30)
    assert len(warned) == 1 and warned[0].endswith("trying again")
    assert any("sinceSeconds" in query for query in kubelet.asked)
    await release(scene, "2")
    await scene.until("Progressing")
    await scene.stage.clock.sleep(30)
    assert sum(line.startswith("canary ") and line.endswith("still here") for line in told) == 2
    await scene.stage.delete("Canary", "shop")
    await within(task)
    await watched.stop()


async def test_a_log_that_cannot_be_read() -> None:
    """Said for the pod, in the server's words."""
    scene = await playing()
    watched, reads, told, warned = await reading(scene, Asked())
    found = await found_logs(watched, Asked()) or []
    assert not await reads.once(found[0])
    assert told == [] and "this server keeps no logs" in warned[0] and warned[0].startswith("primary shop-primary-")
    await watched.stop()


# Versions -------------------------------------------------------------------------------------------------------------


async def test_what_a_cluster_says() -> None:
    """The operator as far as canaries name it, Kubernetes, and the kinds."""
    scene = await playing()
    cluster, _ = cluster_of(scene)
    operator, kubernetes, kinds = await served(cluster, "test")
    assert operator == f"Operator     flagger {__version__}"
    assert kubernetes.startswith("Kubernetes   v1.")
    ours = "alertproviders v1beta1, canaries v1beta1, canaryactions v1alpha1, canaryreleases v1alpha1"
    assert kinds == f"Definitions  {ours}, metrictemplates v1beta1"
    cluster, _ = cluster_of(scene, lambda request: "/canaries" in request.path)
    assert "unknown: not allowed to get" in (await served(cluster, "test"))[0]


async def test_what_an_operator_publishes() -> None:
    """Its settings and features, by the namespace that a Canary names, or that the person names."""
    scene = Scene(ingress_class="x")
    scene.stage.home = "test"
    await scene.begin()
    cluster, _ = cluster_of(scene)
    for home in ("", "test"):
        _, settings, actions, records, status, *_ = await served(cluster, "test", home)
        assert settings.startswith("Settings     enable-config-tracking true, identity ")
        assert "ingress-class x" in settings and "mesh-provider nginx" in settings and "prometheus" in settings
        features = tuple(f"Feature      {name}: on" for name in ("actions", "records", "status"))
        assert (actions, records, status) == features
    assert "Settings     not visible to you in namespace shop" in await served(cluster, "test", "shop")


@pytest.mark.parametrize(
    "status, said",
    [
        ({}, "unknown: no canary names it"),
        ({"phase": "Failed", "operator": {"version": "0.4.0"}}, "flagger 0.4.0"),
        ({"phase": "Failed", "lastAppliedSpec": "5d4f"}, "Flagger"),
        ({"phase": "Failed", "lastAppliedSpec": "v1:5d4f"}, "flagger, which does not say its version"),
    ],
)
def test_who_runs_a_canary(status: dict[str, Any], said: str) -> None:
    """By its status alone."""
    assert operators([{"status": status}]) == said
