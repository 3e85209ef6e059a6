"""Ports that lead nowhere: a Service that works is not taken over by them, and no revision gets visitors by them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from pyflagger.objects import Obj
from stage.manifests import canary, deployment, image, ingress, settings
from stage.stage import Stage
from stage.targets import daemonset

pytestmark = pytest.mark.looptime

USERS = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop"},
    "spec": {"selector": {"app": "shop"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
}
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


async def begin(
    target: Obj,
    *,
    ports: list[Obj] | None = None,
    service: Obj | None = None,
    named: tuple[Obj, Obj] = (USERS, ingress("shop")),
    **spec: Any,
) -> Stage:
    """A target with a Service that works and an Ingress (`named`), and a Canary of all."""
    stage = Stage()
    await stage.start()
    await stage.namespace("test")
    if ports is not None:
        target["spec"]["template"]["spec"]["containers"][0]["ports"] = ports
    for obj in (settings("shop"), target, *named):
        await stage.create(obj)
    asked = {"port": 80, **({"targetPort": "http"} if service is None else service)}
    reference = {"apiVersion": "apps/v1", "kind": target["kind"], "name": "shop"}
    await stage.create(canary("shop", service=asked, targetRef=reference, **spec))
    await stage.clock.sleep(5)
    return stage


async def phase(stage: Stage, wanted: str) -> None:
    """Wait for a phase."""
    for _ in range(300):
        if (await stage.status("shop")).get("phase") == wanted:
            return
        await stage.clock.sleep(1)
    raise AssertionError(f"never {wanted}: {await stage.status('shop')}")


async def condition(stage: Stage, kind: str) -> str:
    """Its message."""
    found = (await stage.status("shop")).get("conditions") or ()
    return str(next((each["message"] for each in found if each["type"] == kind), ""))


async def weight(stage: Stage) -> int:
    """The canary's."""
    found = await stage.get("Ingress", "shop-canary")
    return int(found["metadata"]["annotations"][WEIGHT])


async def pods_ports(stage: Stage, ports: list[Obj], version: str, kind: str = "Deployment") -> None:
    """A new version with other ports."""
    pod = (await stage.get(kind, "shop"))["spec"]["template"]["spec"]
    pod["containers"][0] |= {"ports": ports, "image": image("shop", version)}
    await stage.patch(kind, "shop", {"spec": {"template": {"spec": {"containers": pod["containers"]}}}})


NOWHERE: dict[str, tuple[list[Obj], Obj, str]] = {
    "a port without a name": ([{"containerPort": 8080}], {"targetPort": "http"}, "spec.service.targetPort"),
    "a typo": ([{"name": "http", "containerPort": 8080}], {"targetPort": "htpp"}, "spec.service.targetPort"),
    "another number": ([{"containerPort": 8080}], {"targetPort": 8081}, "spec.service.targetPort"),
    "a forgotten target port": ([{"containerPort": 8080}], {}, "spec.service.port"),
    "a further port": (
        [{"name": "http", "containerPort": 8080}],
        {"targetPort": "http", "ports": [{"name": "metrics", "port": 9797, "targetPort": "metrics"}]},
        "spec.service.ports[0].targetPort",
    ),
}


@pytest.mark.parametrize("case", NOWHERE)
async def test_a_service_that_works_is_not_taken_over(case: str) -> None:
    """It stays as it is, nothing is made beside it, and the text names port and container; mended, it goes on."""
    ports, service, path = NOWHERE[case]
    stage = await begin(deployment("shop"), ports=ports, service=service)
    text = await condition(stage, "Blocked")
    assert path in text and "deployment shop.test" in text and "container shop has 8080" in text
    assert (await stage.get("Service", "shop"))["spec"]["selector"] == {"app": "shop"}
    made = await stage.client.call("GET", "/api/v1/namespaces/test/services")
    assert [each["metadata"]["name"] for each in made["items"]] == ["shop"]
    right = {"targetPort": 8080, "ports": None}
    await stage.patch("Canary", "shop", {"spec": {"service": right}})
    await phase(stage, "Initialized")
    assert await condition(stage, "Blocked") == ""


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
async def test_a_release_that_renames_the_port_gets_no_visitors(kind: str) -> None:
    """It fails at once with a reason; the primary keeps its pods and its port, and the next version is released."""
    target = deployment("shop") if kind == "Deployment" else daemonset("shop")
    stage = await begin(target)
    await phase(stage, "Initialized")
    await pods_ports(stage, [{"name": "web", "containerPort": 8080}], "2", kind)
    await phase(stage, "Failed")
    assert await weight(stage) == 0
    halted = await condition(stage, "Halted")
    assert "no container of" in halted and "shop.test has a port named http" in halted and "8080 (web)" in halted
    primary = (await stage.get(kind, "shop-primary"))["spec"]["template"]["spec"]["containers"][0]
    assert primary["image"].endswith(":1") and primary["ports"][0]["name"] == "http"
    await pods_ports(stage, [{"name": "http", "containerPort": 8081}], "3", kind)
    await phase(stage, "Succeeded")


async def test_a_manifest_that_asks_for_a_port_that_the_primary_lacks() -> None:
    """Its Services are not led elsewhere, whatever the target has by now."""
    stage = await begin(deployment("shop"))
    await phase(stage, "Initialized")
    before = [(await stage.get("Service", name))["spec"]["ports"] for name in ("shop", "shop-primary")]
    await stage.patch("Canary", "shop", {"spec": {"service": {"targetPort": "web"}}})
    await stage.clock.sleep(30)
    text = await condition(stage, "Blocked")
    assert "deployment shop-primary.test has a port named web" in text and "8080 (http)" in text
    after = [(await stage.get("Service", name))["spec"]["ports"] for name in ("shop", "shop-primary")]
    assert before == after


async def test_discovered_ports_are_those_of_the_pods_that_serve() -> None:
    """A version that drops a port takes it from the primary's Services with its promotion, not before."""
    both = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9000}]
    stage = await begin(deployment("shop"), ports=both, service={"targetPort": "http", "portDiscovery": True})
    await phase(stage, "Initialized")
    await pods_ports(stage, both[:1], "2")
    await phase(stage, "Progressing")
    await stage.clock.sleep(5)
    assert [port["port"] for port in (await stage.get("Service", "shop"))["spec"]["ports"]] == [80, 9000]
    await phase(stage, "Succeeded")
    assert [port["port"] for port in (await stage.get("Service", "shop"))["spec"]["ports"]] == [80]


DISCOVERED = {"port": 80, "targetPort": 8080, "portDiscovery": True}
UI = {"name": "http-ui", "port": 80, "targetPort": 8080}


def by_name(port: str, *ports: Obj) -> tuple[Obj, Obj]:
    """The user's Service with named ports, and an Ingress that sends to one of them by its name."""
    way = copy.deepcopy(ingress("shop"))
    way["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] = {"name": port}
    return {**USERS, "spec": {**USERS["spec"], "ports": list(ports)}}, way


async def test_an_ingress_by_the_users_name_of_the_port() -> None:
    """The Canary calls its port `http`: the canary's Ingress names the number, during all of the release."""
    http = [{"name": "http", "containerPort": 8080}]
    stage = await begin(deployment("shop"), ports=http, service=DISCOVERED, named=by_name("http-ui", UI))
    await phase(stage, "Initialized")
    await pods_ports(stage, http, "2")
    led: set[str] = set()
    while (await stage.status("shop")).get("phase") != "Succeeded":
        paths = (await stage.get("Ingress", "shop-canary"))["spec"]["rules"][0]["http"]["paths"]
        led |= {json.dumps(path["backend"]["service"], sort_keys=True) for path in paths}
        assert UI.items() <= (await stage.get("Service", "shop"))["spec"]["ports"][0].items()
        await stage.clock.sleep(1)
    assert led == {json.dumps({"name": "shop-canary", "port": {"number": 80}}, sort_keys=True)}
    assert [port["port"] for port in (await stage.get("Service", "shop-canary"))["spec"]["ports"]] == [80]


async def test_an_ingress_to_a_port_of_the_service_alone() -> None:
    """No container declares it, so the canary would not have it: refused before the takeover, with ways out."""
    debug = {"name": "debug", "port": 6060, "targetPort": 6060}
    http = [{"name": "http", "containerPort": 8080}]
    stage = await begin(deployment("shop"), ports=http, service=DISCOVERED, named=by_name("debug", UI, debug))
    await stage.clock.sleep(60)
    text = await condition(stage, "Blocked")
    assert "ingress shop sends to port debug of service shop" in text and "spec.service.portName to debug" in text
    users = (await stage.get("Service", "shop"))["spec"]
    assert users["selector"] == {"app": "shop"} and [port["name"] for port in users["ports"]] == ["http-ui", "debug"]
    names = [each["metadata"]["name"] for each in await listed(stage, "apps", "deployments")]
    assert names == ["shop"] and len(await listed(stage, "networking.k8s.io", "ingresses")) == 1
    await stage.patch("Canary", "shop", {"spec": {"service": {"ports": [debug]}}})
    await stage.clock.sleep(5)
    assert "6060" in await condition(stage, "Blocked"), "the target does not listen there"
    ports = [*http, {"name": "debug", "containerPort": 6060}]
    await pods_ports(stage, ports, "1")
    await phase(stage, "Initialized")
    assert await condition(stage, "Blocked") == ""


async def listed(stage: Stage, group: str, plural: str) -> list[Obj]:
    """The objects of a kind."""
    found = await stage.client.call("GET", f"/apis/{group}/v1/namespaces/test/{plural}")
    return list(found["items"])
