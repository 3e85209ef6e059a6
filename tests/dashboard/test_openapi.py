"""The description of the documents: it has every route, and the documents are as it says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dashboard.browsing import dashboard
from dashboard.test_pages import moving
from pyflagger.dashboard.openapi import description
from seeing.test_single import Scene

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
ONE = "/api/v1/namespaces/test/canaries/shop"


def faults(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """Where a value is not as a schema says. Fields that the schema does not know are faults, too."""
    if "$ref" in schema:
        return faults(value, description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]], at)
    if "anyOf" in schema:
        return [] if any(not faults(value, each, at) for each in schema["anyOf"]) else [f"{at}: none fits"]
    kind = schema.get("type")
    if kind == "null":
        return [] if value is None else [f"{at}: not null"]
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{at}: {value!r} is no {kind}"]
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return [f"{at}: {value!r}"]
    if kind == "array":
        return [fault for each in value for fault in faults(each, schema["items"], f"{at}[]")]
    if "properties" in schema:
        known = schema["properties"]
        odd = [f"{at}.{name}" for name in {*schema["required"]} ^ value.keys()]
        return odd + [
            fault for name in known if name in value for fault in faults(value[name], known[name], f"{at}.{name}")
        ]
    return []


@pytest.mark.looptime
async def test_the_documents_are_as_described() -> None:
    """Each, of a canary under way, with no field too many or too few."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        token = (await shown.browser.get("/api/v1/whoami")).json["token"]
        headers = {"Content-Type": "application/json", "X-Flagger-Token": token}
        body = json.dumps({"action": "pause", "reason": "a test"})
        assert (await shown.browser.post(f"{ONE}/actions", body, **headers)).status == 201
        paths = description()["paths"]
        for pattern, methods in paths.items():
            answer = methods["get"]["responses"]["200"]["content"]
            if "application/json" in answer:
                path = pattern.format(ns="test", name="shop", number=1)
                found = await shown.browser.get(path)
                assert found.status == 200, path
                assert faults(found.json, answer["application/json"]["schema"], path) == []
        problem = (await shown.browser.get(ONE + "x")).json
        assert faults(problem, {"$ref": "#/components/schemas/Problem"}) == []


@pytest.mark.looptime
async def test_every_route_is_described() -> None:
    """And no other; the description itself is served."""
    scene = Scene()
    await scene.begin()
    async with dashboard(scene, acting=True) as shown:
        routes = {
            (route.method.lower(), route.resource.canonical)
            for route in shown.browser._app.router.routes()
            if route.resource and route.resource.canonical.startswith("/api/") and route.method != "HEAD"
        }
        served = (await shown.browser.get("/api/v1/openapi.json")).json
        described = {(method, path) for path, methods in served["paths"].items() for method in methods}
        assert described == routes - {("get", "/api/v1/openapi.json")}


def test_references() -> None:
    """Each leads to a part, and each part is used."""
    text = json.dumps(description())
    used = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert used == description()["components"]["schemas"].keys() and "$defs" not in text
    assert set(re.findall(r"{(\w+)}", " ".join(description()["paths"]))) == {"ns", "name", "number"}


def test_a_document_that_is_not_as_described() -> None:
    """The comparison of these tests finds it."""
    schema = {"$ref": "#/components/schemas/Weight"}
    assert faults({"canary": 1, "max": 100}, schema) == []
    for wrong in (
        {"canary": 1},
        {"canary": 1, "max": 100, "more": 1},
        {"canary": "1", "max": 1},
        {"canary": True, "max": 1},
    ):
        assert faults(wrong, schema) != []
