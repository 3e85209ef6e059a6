"""The mesh's twin: how it splits, what it measures, and where it listens."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pyflagger.clock import SystemClock
from pyflagger.objects import Obj
from pyflagger_sandbox.kubelet.network import POD_NETWORKS, SERVICE_NETWORKS, Claim, claim
from pyflagger_sandbox.mesh.proxy import Mesh
from pyflagger_sandbox.mesh.split import Turns
from pyflagger_sandbox.mesh.telemetry import MeshMetrics, deployment_of
from pyflagger_sandbox.network.names import Address, Names


def split(weights: dict[str, Any], service: str = "web") -> Obj:
    """A TrafficSplit."""
    backends = [{"service": name, "weight": weight} for name, weight in weights.items()]
    return {"metadata": {"name": service}, "spec": {"service": service, "backends": backends}}


# Splitting ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 100))
def test_each_backend_has_its_share_to_within_one_request(weight: int) -> None:
    """After any number of requests, not only after thousands."""
    turns, seen = Turns(), Counter[str]()
    splits = [split({"new": weight, "old": 100 - weight})]
    for count in range(1, 201):
        seen[turns.next("test", "web", splits)] += 1
        assert abs(seen["new"] - count * weight / 100) <= 1


def test_a_service_without_a_split_answers_for_itself() -> None:
    """Also while somebody else's split is there, or one whose backends have no weight."""
    turns = Turns()
    assert turns.next("test", "web", []) == "web"
    assert turns.next("test", "web", [split({"new": 1}, "other")]) == "web"
    assert turns.next("test", "web", [split({"new": 0})]) == "web"


@pytest.mark.parametrize("weight, share", [("50", 50), ("500m", 1), (0, 0), ("many", 0)])
def test_weights_may_be_quantities(weight: Any, share: int) -> None:
    """As in the first version of the kind; what is no number has no share."""
    turns = Turns()
    seen = Counter(turns.next("test", "web", [split({"new": weight, "old": 50})]) for _ in range(100))
    assert abs(seen["new"] - share) <= 1


# Measuring ----------------------------------------------------------------------------------------------------------


def pod(name: str, deployment: str, address: str = "") -> Obj:
    """A pod of a Deployment."""
    owners = [{"kind": "ReplicaSet", "name": f"{deployment}-abc"}]
    meta = {"name": name, "namespace": "test", "labels": {"pod-template-hash": "abc"}, "ownerReferences": owners}
    return {"metadata": meta, "status": {"podIP": address}}


def test_series_are_named_and_labelled_as_linkerd_does() -> None:
    """By the destination's Deployment; errors are failures, everything else is a success."""
    telemetry = MeshMetrics()
    telemetry.answered(pod("web-abc-1", "web"), 200, 0.004)
    telemetry.answered(pod("web-abc-1", "web"), 503, 1.5)
    page = telemetry.page().decode()

    def value(series: str, **labels: str) -> float:
        known = {"deployment": "web", "direction": "inbound", "namespace": "test", "pod": "web-abc-1", **labels}
        (line,) = (
            line
            for line in page.splitlines()
            if line.startswith(f"{series}{{") and all(f'{name}="{text}"' in line for name, text in known.items())
        )
        return float(line.rpartition(" ")[2])

    assert value("response_total", classification="success", status_code="200") == 1
    assert value("response_total", classification="failure", status_code="503") == 1
    assert value("response_latency_ms_bucket", status_code="503", le="1000.0") == 0
    assert value("response_latency_ms_bucket", status_code="503", le="2000.0") == 1


def test_a_pod_that_no_deployment_made_has_none() -> None:
    """A bare pod is measured too, under no Deployment."""
    assert deployment_of({"metadata": {"name": "bare", "namespace": "test"}}) == ""
    assert deployment_of(pod("web-primary-abc-1", "web-primary")) == "web-primary"


# Passing on ---------------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize("annotation, counted", [("enabled", True), ("disabled", False)])
async def test_callers_of_a_cluster_ip_are_split_and_measured(annotation: str, counted: bool) -> None:
    """Only pods that carry a proxy are counted; a Service that goes is listened for no more."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(text=f"{request.transport.get_extra_info('sockname')[0]}{request.raw_path}")  # type: ignore[union-attr]

    networks = claim()
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    new, old = (networks.pods.replace("0.0/16", f"99.{number}") for number in (1, 2))
    for address in (new, old):
        await web.TCPSite(runner, address, 18980).start()
    live = world(annotation, networks)
    names = Names(lambda kind, space, name: found(live, kind, name), lambda kind, space: live.get(kind, []))
    mesh = Mesh(names, lambda kind, space: live.get(kind, []), SystemClock(), networks)
    await mesh.start()
    url = f"http://{networks.services.replace('0.0/16', '99.1')}:80/x?y=1"
    async with aiohttp.ClientSession() as session:
        await eventually(session, url, up=True)
        seen = Counter([await get(session, url) for _ in range(20)])
        assert seen == {f"{new}/x?y=1": 10, f"{old}/x?y=1": 10}
        page = await get(session, mesh.metrics)
        assert ('deployment="new"' in page) is counted
        live["Service"] = []
        await eventually(session, url, up=False)
        assert "response_total" in await get(session, mesh.metrics) or not counted
    await mesh.stop()
    await runner.cleanup()
    networks.release()


FIRST = Claim(POD_NETWORKS[0], SERVICE_NETWORKS[0], None)


def world(annotation: str, networks: Claim = FIRST) -> dict[str, list[Obj]]:
    """A Service that is split evenly between two others, with a pod each."""
    live: dict[str, list[Obj]] = {"Service": [], "EndpointSlice": [], "Pod": [], "TrafficSplit": []}
    live["Namespace"] = [{"metadata": {"name": "test", "annotations": {"linkerd.io/inject": annotation}}}]
    for number, name in enumerate(("web", "new", "old"), 1):
        spec = {
            "clusterIP": networks.services.replace("0.0/16", f"99.{number}"),
            "ports": [{"name": "http", "port": 80}],
        }
        live["Service"].append({"metadata": {"name": name, "namespace": "test"}, "spec": spec})
    for number, name in enumerate(("new", "old"), 1):
        address = networks.pods.replace("0.0/16", f"99.{number}")
        meta = {"name": name, "namespace": "test", "labels": {"kubernetes.io/service-name": name}}
        ready = [{"addresses": [address], "conditions": {"ready": True}}]
        ports = [{"name": "http", "port": 18980}]
        live["EndpointSlice"].append({"metadata": meta, "ports": ports, "endpoints": ready})
        live["Pod"].append(pod(f"{name}-abc-1", name, address))
    live["TrafficSplit"] = [split({"new": 50, "old": 50})]
    return live


def found(live: dict[str, list[Obj]], kind: str, name: str) -> Obj | None:
    """An object by its name."""
    return next((obj for obj in live[kind] if obj["metadata"]["name"] == name), None)


async def get(session: aiohttp.ClientSession, url: str) -> str:
    """A page."""
    async with session.get(url) as answer:
        return await answer.text()


async def eventually(session: aiohttp.ClientSession, url: str, *, up: bool) -> None:
    """Until somebody listens, or nobody does."""
    async with asyncio.timeout(5):
        while True:
            try:
                await get(session, url)
                answered = True
            except aiohttp.ClientError:
                answered = False
            if answered == up:
                return
            await asyncio.to_thread(lambda: None)


def test_names_lead_to_the_mesh_where_there_is_one() -> None:
    """Except for headless Services, which have no address of their own."""
    live = world("enabled")
    names = Names(lambda kind, space, name: found(live, kind, name), lambda kind, space: live[kind], meshed=True)
    assert names.resolve("web.test", 80) == Address("127.96.99.1", 80)
    live["Service"][1]["spec"]["clusterIP"] = "None"
    assert names.resolve("new.test", 80) == Address("127.80.99.1", 18980)
