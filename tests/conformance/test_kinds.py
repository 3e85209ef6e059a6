"""Discovery, tables, custom kinds, and the small kinds that an operator lives by: Events and Leases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from conformance.objects import CRDS, DEPLOYMENTS, LEASES, Obj, deployment, widget, widgets
from conformance.server import STRATEGIC, TABLE, Server, eventually
from pyflagger.api.crds import crds
from pyflagger.objects import merge_apply

# Discovery ----------------------------------------------------------------------------------------------------------


async def test_groups_and_versions(api: Server) -> None:
    """What kubectl and client-go look up first."""
    said = await api.ask("GET", "/api")
    assert said.body["kind"] == "APIVersions" and said.body["versions"] == ["v1"]
    groups = {group["name"]: group for group in (await api.ask("GET", "/apis")).body["groups"]}
    assert {"apps", "networking.k8s.io", "autoscaling", "coordination.k8s.io", "apiextensions.k8s.io"} <= set(groups)
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    said = await api.ask("GET", "/apis/apps")
    assert said.body["kind"] == "APIGroup" and said.body["name"] == "apps"


RESOURCES: dict[str, dict[str, tuple[str, bool, set[str]]]] = {
    "/api/v1": {
        "configmaps": ("ConfigMap", True, {"cm"}),
        "secrets": ("Secret", True, set()),
        "services": ("Service", True, {"svc"}),
        "pods": ("Pod", True, {"po"}),
        "pods/log": ("Pod", True, set()),
        "namespaces": ("Namespace", False, {"ns"}),
        "events": ("Event", True, {"ev"}),
    },
    "/apis/apps/v1": {
        "deployments": ("Deployment", True, {"deploy"}),
        "deployments/status": ("Deployment", True, set()),
        "deployments/scale": ("Scale", True, set()),
        "daemonsets": ("DaemonSet", True, {"ds"}),
        "replicasets": ("ReplicaSet", True, {"rs"}),
    },
    "/apis/networking.k8s.io/v1": {
        "ingresses": ("Ingress", True, {"ing"}),
        "ingressclasses": ("IngressClass", False, set()),
    },
    "/apis/autoscaling/v2": {"horizontalpodautoscalers": ("HorizontalPodAutoscaler", True, {"hpa"})},
}


@pytest.mark.parametrize("path", RESOURCES)
async def test_resources_of_a_version(api: Server, path: str) -> None:
    """Their kinds, whether they live in namespaces, their short names."""
    said = await api.ask("GET", path)
    assert said.body["kind"] == "APIResourceList" and said.body["groupVersion"] in path
    found = {entry["name"]: entry for entry in said.body["resources"]}
    for name, (kind, namespaced, short) in RESOURCES[path].items():
        entry = found[name]
        assert (entry["kind"], entry["namespaced"]) == (kind, namespaced), name
        assert set(entry.get("shortNames") or ()) == short, name
        assert "/" in name or {"get", "list", "watch", "create", "patch"} <= set(entry["verbs"])


async def test_discovery_in_one_piece(api: Server) -> None:
    """As newer kubectls ask for it."""
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    said = await api.ask("GET", "/apis", accept=accept)
    assert said.body["kind"] == "APIGroupDiscoveryList"
    apps = next(item for item in said.body["items"] if item["metadata"]["name"] == "apps")
    kinds = {entry["responseKind"]["kind"] for entry in apps["versions"][0]["resources"]}
    assert {"Deployment", "DaemonSet", "ReplicaSet"} <= kinds


async def test_about_the_server(api: Server) -> None:
    """Its version and its health."""
    said = await api.ask("GET", "/version")
    assert said.body["major"] == "1" and said.body["gitVersion"].startswith("v1.")
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await api.ask("GET", path)).status == 200


async def test_schemas_for_kubectl(api: Server) -> None:
    """`kubectl explain` and `kubectl apply --validate` find theirs."""
    index = (await api.ask("GET", "/openapi/v3")).body["paths"]
    said = await api.ask("GET", index["apis/apps/v1"]["serverRelativeURL"].partition("?")[0])
    schemas = said.body["components"]["schemas"]
    kinds = [kind for schema in schemas.values() for kind in schema.get("x-kubernetes-group-version-kind") or ()]
    assert {"group": "apps", "kind": "Deployment", "version": "v1"} in kinds


# Tables -------------------------------------------------------------------------------------------------------------


async def test_a_table_of_deployments(api: Server) -> None:
    """What `kubectl get` prints."""
    await api.made(DEPLOYMENTS, deployment("d", replicas=0))
    await eventually(lambda: api.get(DEPLOYMENTS, "d"), lambda said: said["status.observedGeneration"] == 1)
    said = await api.ask("GET", api.path(DEPLOYMENTS), accept=TABLE)
    assert (said.body["kind"], said.body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    columns = [(column["name"], column["priority"]) for column in said.body["columnDefinitions"]]
    assert columns == [
        ("Name", 0),
        ("Ready", 0),
        ("Up-to-date", 0),
        ("Available", 0),
        ("Age", 0),
        ("Containers", 1),
        ("Images", 1),
        ("Selector", 1),
    ]
    (row,) = said.body["rows"]
    assert row["cells"][:4] == ["d", "0/0", 0, 0] and row["cells"][5:] == ["web", "web:1", "app=d"]
    assert row["object"]["kind"] == "PartialObjectMetadata" and row["object"]["metadata"]["name"] == "d"


async def test_a_table_of_one(api: Server) -> None:
    """A single object is a table with a row."""
    await api.made("secrets", {"metadata": {"name": "s"}, "data": {"a": "dg==", "b": "dg=="}})
    said = await api.ask("GET", api.path("secrets", "s"), accept=TABLE)
    (row,) = said.body["rows"]
    assert row["cells"][:3] == ["s", "Opaque", 2]


# Custom kinds -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def group(api: Server) -> AsyncIterator[str]:
    """A group with a served kind Widget, gone afterwards."""
    name = f"{api.namespace}.example.com"
    said = await api.ask("POST", CRDS, widgets(name))
    assert said.status == 201, said
    path = f"{CRDS}/widgets.{name}"

    def established(said: Any) -> bool:
        conditions = {c["type"]: c["status"] for c in said["status.conditions"] or ()}
        return conditions.get("Established") == "True" and conditions.get("NamesAccepted") == "True"

    await eventually(lambda: api.ask("GET", path), established)
    await eventually(lambda: api.ask("GET", f"/apis/{name}/v1"), lambda said: said.status == 200)
    yield name
    await api.ask("DELETE", path)


async def test_a_custom_kind_is_served(api: Server, group: str) -> None:
    """Created, listed, watched, discovered."""
    plural = f"{group}/v1/widgets"
    made = await api.made(plural, widget(group, "a"))
    assert made["spec"] == {"size": 3, "color": "red"} and made["metadata"]["generation"] == 1
    said = await api.get(plural)
    assert (said.body["kind"], said.body["apiVersion"]) == ("WidgetList", f"{group}/v1")
    assert said.body["items"] == [made]
    entry = next(e for e in (await api.ask("GET", f"/apis/{group}/v1")).body["resources"] if e["name"] == "widgets")
    assert (entry["kind"], entry["singularName"], entry["shortNames"]) == ("Widget", "widget", ["wd"])


async def test_defaults_and_pruning(api: Server, group: str) -> None:
    """What is not said is filled in, what is not known is dropped, what is free stays."""
    obj = widget(group, "a", unknown="x", free={"anything": [1]}, port="http", color=None)
    made = await api.made(f"{group}/v1/widgets", obj)
    assert made["spec"] == {"size": 3, "color": "red", "free": {"anything": [1]}, "port": "http"}


WRONG: dict[str, tuple[Obj, str]] = {
    "missing": ({"size": None}, "spec.size: Required value"),
    "too small": ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
    "too large": ({"size": 10}, "spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9"),
    "a fraction": (
        {"size": 1.5},
        'spec.size: Invalid value: "number": spec.size in body must be of type integer: "number"',
    ),
    "a word": (
        {"size": "x"},
        'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
    ),
    "not among": ({"color": "green"}, 'spec.color: Unsupported value: "green": supported values: "red", "blue"'),
    "a pattern": ({"name": "ABC"}, "spec.name in body should match '^[a-z]+$'"),
    "too long": ({"name": "abcdef"}, "spec.name: Too long: may not be more than 5"),
    "too many": ({"tags": ["a", "b", "c"]}, "spec.tags: Too many: 3: must have at most 2 items"),
    "both": ({"pick": {"a": True, "b": True}}, "spec.pick"),
    "neither": ({"pick": {}}, "spec.pick"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_refused_by_the_schema(api: Server, group: str, case: str) -> None:
    """422, at its path, in the server's words."""
    spec, words = WRONG[case]
    said = await api.create(f"{group}/v1/widgets", widget(group, "a", **spec))
    assert (said.status, said.reason) == (422, "Invalid"), said
    assert said.message.startswith(f'Widget.{group} "a" is invalid:') and words in said.message
    assert (await api.get(f"{group}/v1/widgets", "a")).status == 404


async def test_a_custom_status(api: Server, group: str) -> None:
    """By its own path, as for any other kind; a generation is about the spec."""
    plural = f"{group}/v1/widgets"
    await api.made(plural, {**widget(group, "a"), "status": {"phase": "x"}})
    assert (await api.get(plural, "a"))["status"] is None
    said = await api.patch(plural, "a", {"status": {"phase": "Good", "count": 1.5}, "spec": {"size": 9}}, sub="status")
    assert said["status"] == {"phase": "Good", "count": 1.5} and said["spec.size"] == 3
    assert said["metadata.generation"] == 1
    said = await api.patch(plural, "a", {"spec": {"size": 4}, "status": {"phase": "Bad"}})
    assert said["status.phase"] == "Good" and said["metadata.generation"] == 2


async def test_custom_updates_name_their_version(api: Server, group: str) -> None:
    """No last word wins here."""
    plural = f"{group}/v1/widgets"
    await api.made(plural, widget(group, "a"))
    said = await api.put(plural, widget(group, "a", size=4))
    assert said.status == 422 and "metadata.resourceVersion" in said.message and "must be specified" in said.message


async def test_custom_kinds_take_no_strategic_patch(api: Server, group: str) -> None:
    """415; there is no strategy to know."""
    await api.made(f"{group}/v1/widgets", widget(group, "a"))
    said = await api.patch(f"{group}/v1/widgets", "a", {"spec": {"size": 4}}, STRATEGIC)
    assert said.status == 415


async def test_columns_of_ones_own(api: Server, group: str) -> None:
    """As the definition says, the age where it says none."""
    plural = f"{group}/v1/widgets"
    await api.made(plural, widget(group, "a"))
    await api.patch(plural, "a", {"status": {"phase": "Good"}}, sub="status")
    said = await api.ask("GET", api.path(plural), accept=TABLE)
    assert [column["name"] for column in said.body["columnDefinitions"]] == ["Name", "Phase", "Size"]
    assert said.body["rows"][0]["cells"] == ["a", "Good", 3]


async def test_a_kind_is_taken_away(api: Server) -> None:
    """With everything of it."""
    name = f"gone.{api.namespace}.example.com"
    await api.ask("POST", CRDS, widgets(name))
    plural = f"{name}/v1/widgets"
    await eventually(lambda: api.get(plural), lambda said: said.status == 200)
    await api.made(plural, widget(name, "a"))
    await api.ask("DELETE", f"{CRDS}/widgets.{name}")
    await eventually(lambda: api.get(plural), lambda said: said.status == 404)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"names": {"plural": "gadgets"}}, "metadata.name"),
        ({"versions": []}, "versions"),
        ({"scope": "Everywhere"}, "scope"),
    ],
)
async def test_a_definition_that_makes_no_sense(api: Server, change: Obj, words: str) -> None:
    """Refused when it is made."""
    definition = widgets(f"bad.{api.namespace}.example.com")
    said = await api.ask("POST", CRDS, merge_apply(definition, {"spec": change}))
    assert said.status == 422 and words in said.message


async def test_our_own_kinds(api: Server) -> None:
    """The server accepts the definitions, and a Canary comes back as it was sent."""
    for definition in crds():
        said = await api.ask("POST", CRDS, definition)
        assert said.status in (201, 409), said
    plural = "flagger.app/v1beta1/canaries"
    await eventually(lambda: api.get(plural), lambda said: said.status == 200)
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"port": 80, "targetPort": "http"},
        "analysis": {"interval": "1m", "threshold": 5, "maxWeight": 50, "stepWeight": 10},
    }
    obj = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web"}, "spec": spec}
    assert (await api.made(plural, obj))["spec"] == spec
    status = {"phase": "Progressing", "canaryWeight": 5, "failedChecks": 0, "iterations": 0, "lastAppliedSpec": "v1:x"}
    said = await api.patch(plural, "web", {"status": status}, sub="status")
    assert said["status"] == status
    said = await api.ask("GET", api.path(plural), accept=TABLE)
    assert said.body["rows"][0]["cells"][:3] == ["web", "Progressing", "5"]


# Events and Leases --------------------------------------------------------------------------------------------------


async def test_events(api: Server) -> None:
    """Created, counted up, found by what they are about."""
    about = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "name": "web",
        "namespace": api.namespace,
        "uid": "u",
    }
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "web.1"},
        "involvedObject": about,
        "reason": "Synced",
        "message": "hello",
        "type": "Normal",
        "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "source": {"component": "flagger"},
    }
    assert (await api.made("events", event))["message"] == "hello"
    said = await api.patch("events", "web.1", {"count": 2})
    assert said.body["count"] == 2 and said.body["firstTimestamp"] == "2026-01-01T00:00:00Z"
    elsewhere = {**event, "metadata": {"name": "web.2"}, "involvedObject": {**about, "namespace": "elsewhere"}}
    said = await api.create("events", elsewhere)
    assert said.status in (400, 422) and "does not match" in said.message


async def test_events_with_a_precise_time(api: Server) -> None:
    """They need who wrote them and what they are about to do, and hold a kilobyte; a count is kept beside the time."""
    about = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": api.namespace}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "a.0001"},
        "involvedObject": about,
        "reason": "Synced",
        "action": "Reconcile",
        "message": "ü" * 512,
        "type": "Normal",
        "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "eventTime": "2026-01-01T00:00:00.123456Z",
        "source": {"component": "flagger"},
        "reportingComponent": "flagger",
        "reportingInstance": "pod-1",
    }
    assert (await api.made("events", event))["eventTime"] == "2026-01-01T00:00:00.123456Z"
    said = await api.patch("events", "a.0001", {"count": 2, "lastTimestamp": "2026-01-01T00:00:09Z"})
    assert (said.status, said.body["count"]) == (200, 2)
    for number, change in enumerate(({"action": ""}, {"reportingInstance": ""}, {"message": "ü" * 513})):
        said = await api.create("events", {**event, **change, "metadata": {"name": f"a.1{number}"}})
        assert said.status == 422 and next(iter(change)) in said.message


async def test_leases(api: Server) -> None:
    """Two who renew from the same version: one of them does."""
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 60, "renewTime": "2026-01-01T00:00:00.000000Z"}
    made = await api.made(LEASES, {"metadata": {"name": "l"}, "spec": spec})
    assert made["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"
    first = {**made, "spec": {**spec, "holderIdentity": "b"}}
    second = {**made, "spec": {**spec, "holderIdentity": "c"}}
    assert [(await api.put(LEASES, lease)).status for lease in (first, second)] == [200, 409]
    assert (await api.get(LEASES, "l"))["spec.holderIdentity"] == "b"
    said = await api.patch(LEASES, "l", {"spec": {"leaseDurationSeconds": 0}})
    assert said.status == 422 and "must be greater than 0" in said.message
