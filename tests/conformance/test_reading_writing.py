"""Create, read, replace, patch, delete: what is answered and what is stored."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.objects import DEPLOYMENTS, INGRESSES, LEASES, Obj, config, deployment, service
from conformance.server import APPLY, JSON_PATCH, MERGE, STRATEGIC, Server, eventually

# Creating -----------------------------------------------------------------------------------------------------------


async def test_what_a_server_adds(api: Server) -> None:
    """Who it is, since when, which version; a generation where there is a spec to speak of."""
    made = await api.made("configmaps", config("a"))
    meta = made["metadata"]
    assert len(meta["uid"]) == 36 and meta["resourceVersion"].isdigit() and meta["creationTimestamp"].endswith("Z")
    assert meta["namespace"] == api.namespace and "generation" not in meta
    assert (await api.made(DEPLOYMENTS, deployment("d")))["metadata"]["generation"] == 1
    assert (await api.get("configmaps", "a")).body == made


async def test_generated_names(api: Server) -> None:
    """The stem and five characters; each its own."""
    body = {**config(""), "metadata": {"generateName": "gen-"}}
    names = {(await api.made("configmaps", body))["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3 and all(name.startswith("gen-") and len(name) == 9 for name in names)


async def test_defaults_of_a_deployment(api: Server) -> None:
    """Those that the operator compares by."""
    spec = (await api.made(DEPLOYMENTS, deployment("d", replicas=None)))["spec"]
    assert spec["replicas"] == 1 and spec["progressDeadlineSeconds"] == 600 and spec["revisionHistoryLimit"] == 10
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["dnsPolicy"], pod["schedulerName"]) == (
        "Always",
        "ClusterFirst",
        "default-scheduler",
    )
    assert pod["terminationGracePeriodSeconds"] == 30 and pod["securityContext"] == {}
    (container,) = pod["containers"]
    assert container["imagePullPolicy"] == "IfNotPresent" and container["resources"] == {}
    assert container["terminationMessagePath"] == "/dev/termination-log"


async def test_defaults_of_a_service(api: Server) -> None:
    """An address, and what a port means."""
    spec = (await api.made("services", service("s")))["spec"]
    assert spec["type"] == "ClusterIP" and spec["sessionAffinity"] == "None" and spec["clusterIP"].count(".") == 3
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ports"] == [{"port": 80, "targetPort": 80, "protocol": "TCP"}]
    headless = (await api.made("services", service("h", clusterIP="None")))["spec"]
    assert headless["clusterIP"] == "None"
    outside = (await api.made("services", service("o", type="ExternalName", externalName="a.example")))["spec"]
    assert outside["ports"] == [{"port": 80, "targetPort": 80, "protocol": "TCP"}] and "clusterIP" not in outside


REFUSED: dict[str, tuple[str, Obj, int, str, str]] = {
    "no name": ("configmaps", {"metadata": {}}, 422, "Invalid", "name or generateName is required"),
    "a bad name": ("configmaps", config("A_b"), 422, "Invalid", 'metadata.name: Invalid value: "A_b"'),
    "another namespace": (
        "configmaps",
        config("a", namespace="elsewhere"),
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    "another kind": ("configmaps", {**config("a"), "kind": "Secret"}, 400, "BadRequest", "Secret"),
    "a selector that does not match": (
        DEPLOYMENTS,
        deployment("d", selector={"matchLabels": {"app": "x"}}),
        422,
        "Invalid",
        "`selector` does not match template `labels`",
    ),
    "no containers": (
        DEPLOYMENTS,
        deployment("d", template={"spec": {"containers": []}}),
        422,
        "Invalid",
        "spec.template.spec.containers: Required value",
    ),
    "negative replicas": (
        DEPLOYMENTS,
        deployment("d", replicas=-1),
        422,
        "Invalid",
        "spec.replicas: Invalid value: -1",
    ),
    "a port too high": (
        "services",
        service("s", ports=[{"port": 70000}]),
        422,
        "Invalid",
        "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535",
    ),
    "a target port that is no name": (
        "services",
        service("s", ports=[{"port": 80, "targetPort": "Web_Port"}]),
        422,
        "Invalid",
        'spec.ports[0].targetPort: Invalid value: "Web_Port": must contain only alpha-numeric characters (a-z, 0-9)',
    ),
    "a target port that is too long": (
        "services",
        service("s", ports=[{"port": 80, "targetPort": "a-name-of-a-port"}]),
        422,
        "Invalid",
        'spec.ports[0].targetPort: Invalid value: "a-name-of-a-port": must be no more than 15 characters',
    ),
    "a target port in quotes": (
        "services",
        service("s", ports=[{"port": 80, "targetPort": "8080"}]),
        422,
        "Invalid",
        'spec.ports[0].targetPort: Invalid value: "8080": must contain at least one letter',
    ),
    "a bad label": (
        "configmaps",
        config("a", labels={"k": "a b"}),
        422,
        "Invalid",
        'metadata.labels: Invalid value: "a b"',
    ),
    "words for a number": (DEPLOYMENTS, deployment("d", replicas="many"), 400, "BadRequest", "replicas"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_on_creation(api: Server, case: str) -> None:
    """With a Status that says what and where; nothing is stored."""
    plural, obj, status, reason, words = REFUSED[case]
    said = await api.create(plural, obj)
    assert (said.status, said.reason) == (status, reason), said
    assert words in said.message
    assert said.body["status"] == "Failure" and said.body["code"] == status
    left = (await api.get(plural)).body["items"]
    assert [item for item in left if item["metadata"]["name"] == obj["metadata"].get("name")] == []


async def test_twice(api: Server) -> None:
    """409, and which one it is."""
    await api.made("configmaps", config("a"))
    said = await api.create("configmaps", config("a"))
    assert (said.status, said.reason) == (409, "AlreadyExists")
    assert said.message == 'configmaps "a" already exists'
    assert said.body["details"] == {"name": "a", "kind": "configmaps"}


async def test_no_such_namespace(api: Server) -> None:
    """404 of the namespace, not of the object."""
    api.namespace = "no-such-namespace"
    said = await api.create("configmaps", config("a"))
    assert (said.status, said.reason) == (404, "NotFound")
    assert said.message == 'namespaces "no-such-namespace" not found'


async def test_a_body_that_is_no_json(api: Server) -> None:
    """400, and the server lives on."""
    assert (await api.ask("POST", api.path("configmaps"), b"{")).status == 400
    assert (await api.get("configmaps")).status == 200


async def test_dry_run(api: Server) -> None:
    """Checked, defaulted, answered, not stored."""
    said = await api.create(DEPLOYMENTS, deployment("d"), dryRun="All")
    assert said.status == 201 and said["spec.revisionHistoryLimit"] == 10
    assert (await api.get(DEPLOYMENTS, "d")).status == 404
    await api.made("configmaps", config("a"))
    assert (await api.delete("configmaps", "a", dryRun="All")).status == 200
    assert (await api.get("configmaps", "a")).status == 200


@pytest.mark.parametrize("level, status", [("Strict", 400), ("Warn", 201), ("Ignore", 201)])
async def test_unknown_fields(api: Server, level: str, status: int) -> None:
    """Refused, warned of or dropped, as the client wants; never stored."""
    said = await api.create(DEPLOYMENTS, deployment("d", colour="red"), fieldValidation=level)
    assert said.status == status
    if level == "Strict":
        assert 'strict decoding error: unknown field "spec.colour"' in said.message
    else:
        assert said["spec.colour"] is None
        assert ("unknown field" in said.headers.get("warning", "")) is (level == "Warn")


# Reading ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plural, details",
    [
        ("configmaps", {"name": "gone", "kind": "configmaps"}),
        (DEPLOYMENTS, {"name": "gone", "group": "apps", "kind": "deployments"}),
        (INGRESSES, {"name": "gone", "group": "networking.k8s.io", "kind": "ingresses"}),
    ],
)
async def test_not_there(api: Server, plural: str, details: Obj) -> None:
    """In the words that kubectl prints."""
    said = await api.get(plural, "gone")
    kind = details["kind"] + (f".{details['group']}" if "group" in details else "")
    assert (said.status, said.reason, said.message) == (404, "NotFound", f'{kind} "gone" not found')
    assert said.body["details"] == details
    assert (said.body["kind"], said.body["apiVersion"]) == ("Status", "v1")


@pytest.mark.parametrize("path", ["/apis/no.such.group/v1/things", "/api/v1/nothings", "/apis/apps/v9/deployments"])
async def test_no_such_resource(api: Server, path: str) -> None:
    """404 without a name."""
    assert (await api.ask("GET", path)).status == 404


async def test_a_list(api: Server) -> None:
    """Kind, version, items in order of their names."""
    for name in ("b", "a", "c"):
        await api.made("configmaps", config(name))
    said = await api.get("configmaps", labelSelector="!none")
    assert (said.body["kind"], said.body["apiVersion"]) == ("ConfigMapList", "v1")
    assert said["metadata.resourceVersion"].isdigit()
    names = [item["metadata"]["name"] for item in said.body["items"] if item["metadata"]["name"] in "abc"]
    assert names == ["a", "b", "c"]


SELECTORS: dict[str, list[str]] = {
    "tier=front": ["a"],
    "tier==front": ["a"],
    "tier!=front": ["b", "c"],
    "tier in (front, back)": ["a", "b"],
    "tier notin (front)": ["b", "c"],
    "tier": ["a", "b"],
    "!tier": ["c"],
    "tier,release=1": ["b"],
    "tier=front,release=1": [],
}


@pytest.mark.parametrize("selector", SELECTORS)
async def test_label_selectors(api: Server, selector: str) -> None:
    """All forms that there are."""
    await api.made("secrets", {"metadata": {"name": "a", "labels": {"tier": "front"}}})
    await api.made("secrets", {"metadata": {"name": "b", "labels": {"tier": "back", "release": "1"}}})
    await api.made("secrets", {"metadata": {"name": "c"}})
    said = await api.get("secrets", labelSelector=selector)
    assert [item["metadata"]["name"] for item in said.body["items"]] == SELECTORS[selector]


@pytest.mark.parametrize("query", [{"labelSelector": "a in"}, {"labelSelector": "=b"}, {"fieldSelector": "no.such=1"}])
async def test_bad_selectors(api: Server, query: dict[str, str]) -> None:
    """400."""
    said = await api.get("secrets", **query)
    assert (said.status, said.reason) == (400, "BadRequest")


async def test_field_selectors(api: Server) -> None:
    """By name everywhere; Events by what they are about, as `kubectl describe` asks."""
    await api.made("secrets", {"metadata": {"name": "a"}})
    await api.made("secrets", {"metadata": {"name": "b"}})
    said = await api.get("secrets", fieldSelector="metadata.name=b")
    assert [item["metadata"]["name"] for item in said.body["items"]] == ["b"]
    for name, kind in (("e1", "Canary"), ("e2", "Deployment")):
        about = {"kind": kind, "name": "web", "namespace": api.namespace, "uid": "u1"}
        await api.made("events", {"metadata": {"name": name}, "involvedObject": about, "reason": "x", "message": "y"})
    wanted = "involvedObject.name=web,involvedObject.kind=Canary,involvedObject.uid=u1"
    said = await api.get("events", fieldSelector=wanted)
    assert [item["metadata"]["name"] for item in said.body["items"]] == ["e1"]


async def test_pages(api: Server) -> None:
    """Each object once, of the state at the first page, whatever is written meanwhile."""
    for number in range(7):
        await api.made("secrets", {"metadata": {"name": f"s{number}"}})
    first = await api.get("secrets", limit="3")
    assert [item["metadata"]["name"] for item in first.body["items"]] == ["s0", "s1", "s2"]
    assert first["metadata.remainingItemCount"] == 4
    await api.delete("secrets", "s4")
    await api.made("secrets", {"metadata": {"name": "s33"}})
    second = await api.get("secrets", limit="3", **{"continue": first["metadata.continue"]})
    assert [item["metadata"]["name"] for item in second.body["items"]] == ["s3", "s4", "s5"]
    assert second["metadata.resourceVersion"] == first["metadata.resourceVersion"]
    third = await api.get("secrets", limit="3", **{"continue": second["metadata.continue"]})
    assert [item["metadata"]["name"] for item in third.body["items"]] == ["s6"]
    assert not third["metadata.continue"]


async def test_a_page_of_nonsense(api: Server) -> None:
    """400."""
    assert (await api.get("secrets", limit="3", **{"continue": "nonsense"})).status == 400


async def test_only_metadata(api: Server) -> None:
    """For those who want no more: no data is sent."""
    await api.made("configmaps", config("a", {"big": "x" * 1000}))
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    said = await api.ask("GET", api.path("configmaps", "a"), accept=accept)
    assert said.body["kind"] == "PartialObjectMetadata" and "data" not in said.body
    assert said["metadata.name"] == "a"
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    said = await api.ask("GET", api.path("configmaps"), accept=accept)
    assert said.body["kind"] == "PartialObjectMetadataList" and all("data" not in item for item in said.body["items"])


# Replacing ----------------------------------------------------------------------------------------------------------


async def test_an_outdated_version_is_refused(api: Server) -> None:
    """The one rule that everything stands on."""
    old = await api.made("configmaps", config("a"))
    assert (await api.put("configmaps", {**old, "data": {"a": "2"}})).status == 200
    said = await api.put("configmaps", {**old, "data": {"a": "3"}})
    assert (said.status, said.reason) == (409, "Conflict")
    assert "the object has been modified; please apply your changes to the latest version" in said.message
    assert (await api.get("configmaps", "a")).body["data"] == {"a": "2"}


async def test_no_version_at_all(api: Server) -> None:
    """The last word wins, where a kind allows it."""
    await api.made("configmaps", config("a"))
    assert (await api.put("configmaps", config("a", {"a": "2"}))).status == 200
    meta = {"name": "l", "namespace": api.namespace}
    await api.made(LEASES, {"metadata": meta, "spec": {"holderIdentity": "x"}})
    said = await api.put(LEASES, {"metadata": meta, "spec": {"holderIdentity": "y"}})
    assert said.status == 422 and "metadata.resourceVersion" in said.message


async def test_nothing_new(api: Server) -> None:
    """A write that changes nothing is no version."""
    old = await api.made(DEPLOYMENTS, deployment("d", replicas=0))
    settled = await eventually(lambda: api.get(DEPLOYMENTS, "d"), lambda said: said["status.observedGeneration"] == 1)
    said = await api.put(DEPLOYMENTS, settled.body)
    assert said["metadata.resourceVersion"] == settled["metadata.resourceVersion"]
    said = await api.patch(DEPLOYMENTS, "d", {"spec": {"replicas": 0}})
    assert said["metadata.resourceVersion"] == settled["metadata.resourceVersion"]
    assert said["metadata.uid"] == old["metadata"]["uid"]


async def test_generations(api: Server) -> None:
    """One more for each change of the spec, none for labels or the status."""
    await api.made(DEPLOYMENTS, deployment("d", replicas=0))
    assert (await api.patch(DEPLOYMENTS, "d", {"metadata": {"labels": {"x": "y"}}}))["metadata.generation"] == 1
    assert (await api.patch(DEPLOYMENTS, "d", {"status": {"replicas": 5}}, sub="status"))["metadata.generation"] == 1
    assert (await api.patch(DEPLOYMENTS, "d", {"spec": {"minReadySeconds": 1}}))["metadata.generation"] == 2


@pytest.mark.parametrize(
    "change, status",
    [
        ({"uid": "00000000-0000-0000-0000-000000000000"}, 409),
        ({"name": "b"}, 400),
        ({"namespace": "other"}, 400),
    ],
)
async def test_what_cannot_be_changed(api: Server, change: Obj, status: int) -> None:
    """Whose object it is."""
    made = await api.made("configmaps", config("a"))
    body = {**made, "metadata": {**made["metadata"], **change}}
    assert (await api.ask("PUT", api.path("configmaps", "a"), body)).status == status


async def test_a_selector_cannot_be_changed(api: Server) -> None:
    """Of a Deployment; pods would be lost."""
    await api.made(DEPLOYMENTS, deployment("d"))
    labels = {"matchLabels": {"app": "x"}}
    body = {"spec": {"selector": labels, "template": {"metadata": {"labels": {"app": "x"}}}}}
    said = await api.patch(DEPLOYMENTS, "d", body)
    assert said.status == 422 and "field is immutable" in said.message


# Patching -----------------------------------------------------------------------------------------------------------


async def test_merge_patches(api: Server) -> None:
    """RFC 7386: null deletes, lists are replaced."""
    await api.made("configmaps", config("a", {"a": "1", "b": "2"}, labels={"x": "1", "y": "2"}))
    body = {"data": {"a": None, "c": "3"}, "metadata": {"labels": {"x": None}}}
    said = await api.patch("configmaps", "a", body)
    assert said.body["data"] == {"b": "2", "c": "3"} and said["metadata.labels"] == {"y": "2"}


async def test_a_merge_patch_for_a_version(api: Server) -> None:
    """As the operator writes: refused when somebody was first."""
    made = await api.made("configmaps", config("a"))
    version = made["metadata"]["resourceVersion"]
    body = {"metadata": {"resourceVersion": version}, "data": {"a": "2"}}
    assert (await api.patch("configmaps", "a", body)).status == 200
    said = await api.patch("configmaps", "a", {**body, "data": {"a": "3"}})
    assert (said.status, said.reason) == (409, "Conflict")


async def test_json_patches(api: Server) -> None:
    """RFC 6902, a failed test included."""
    await api.made("configmaps", config("a", {"a": "1"}))
    operations: list[Obj] = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "add", "path": "/metadata/labels", "value": {}},
        {"op": "add", "path": "/metadata/labels/b~1c", "value": "2"},
        {"op": "replace", "path": "/data/a", "value": "3"},
        {"op": "copy", "from": "/data/a", "path": "/data/d"},
        {"op": "move", "from": "/data/a", "path": "/data/e"},
    ]
    said = await api.patch("configmaps", "a", operations, JSON_PATCH)
    assert said.body["data"] == {"d": "3", "e": "3"} and said["metadata.labels"] == {"b/c": "2"}
    said = await api.patch("configmaps", "a", [{"op": "test", "path": "/data/d", "value": "9"}], JSON_PATCH)
    assert said.status == 422
    said = await api.patch("configmaps", "a", [{"op": "remove", "path": "/data/none"}], JSON_PATCH)
    assert said.status == 422
    assert (await api.get("configmaps", "a")).body["data"] == {"d": "3", "e": "3"}


def pod(*containers: Obj, **more: Any) -> Obj:
    """A patch of a Deployment's pods."""
    return {"spec": {"template": {"spec": {"containers": list(containers), **more}}}}


async def test_strategic_patches(api: Server) -> None:
    """Lists by their keys, as `kubectl set image` and `kubectl apply` send them."""
    await api.made(DEPLOYMENTS, deployment("d", replicas=0))
    sidecar = {"name": "side", "image": "side:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    said = await api.patch(DEPLOYMENTS, "d", pod({"name": "web", "image": "web:2"}, sidecar), STRATEGIC)
    images = {c["name"]: c["image"] for c in said["spec.template.spec.containers"]}
    assert images == {"web": "web:2", "side": "side:1"}
    change = {"name": "side", "env": [{"name": "A", "value": "9"}, {"name": "B", "$patch": "delete"}]}
    said = await api.patch(DEPLOYMENTS, "d", pod(change), STRATEGIC)
    side = next(c for c in said["spec.template.spec.containers"] if c["name"] == "side")
    assert side["env"] == [{"name": "A", "value": "9"}] and side["image"] == "side:1"
    said = await api.patch(DEPLOYMENTS, "d", pod({"name": "side", "$patch": "delete"}), STRATEGIC)
    assert [c["name"] for c in said["spec.template.spec.containers"]] == ["web"]
    said = await api.patch(
        DEPLOYMENTS, "d", {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}, STRATEGIC
    )
    assert said["spec.strategy"] == {"type": "Recreate"}


async def test_a_merge_patch_replaces_containers(api: Server) -> None:
    """Unlike a strategic one."""
    await api.made(DEPLOYMENTS, deployment("d", replicas=0))
    said = await api.patch(DEPLOYMENTS, "d", pod({"name": "other", "image": "x:1"}), MERGE)
    assert [c["name"] for c in said["spec.template.spec.containers"]] == ["other"]


@pytest.mark.parametrize("type_", ["application/json", "text/plain", ""])
async def test_a_patch_of_no_known_type(api: Server, type_: str) -> None:
    """415 with those that there are."""
    await api.made("configmaps", config("a"))
    said = await api.patch("configmaps", "a", {}, type_)
    assert (said.status, said.reason) == (415, "UnsupportedMediaType")


async def test_a_patch_of_nothing(api: Server) -> None:
    """404."""
    assert (await api.patch("configmaps", "gone", {})).status == 404


async def test_server_side_apply(api: Server) -> None:
    """Created, changed, and what is left out is taken away; others' fields stay."""
    said = await api.patch("configmaps", "a", config("a", {"a": "1", "b": "2"}), APPLY, fieldManager="me")
    assert said.status == 201
    await api.patch("configmaps", "a", {"data": {"c": "3"}})
    said = await api.patch("configmaps", "a", config("a", {"a": "9"}), APPLY, fieldManager="me")
    assert said.status == 200 and said.body["data"] == {"a": "9", "c": "3"}
    said = await api.patch("configmaps", "a", config("a", {"a": "0"}), APPLY, fieldManager="you")
    assert said.status == 409 and "conflict" in said.message
    said = await api.patch("configmaps", "a", config("a", {"a": "0"}), APPLY, fieldManager="you", force="true")
    assert said.status == 200 and said.body["data"]["a"] == "0"
    said = await api.patch("configmaps", "a", config("a"), APPLY)
    assert said.status == 422 and "fieldManager" in said.message


# Subresources -------------------------------------------------------------------------------------------------------


async def test_status_is_apart(api: Server) -> None:
    """Written by its own path, and only there."""
    await api.made(DEPLOYMENTS, deployment("d", replicas=0))
    said = await api.patch(DEPLOYMENTS, "d", {"status": {"collisionCount": 7}, "spec": {"minReadySeconds": 4}})
    assert said["status.collisionCount"] is None and said["spec.minReadySeconds"] == 4
    body = {"status": {"collisionCount": 7}, "spec": {"minReadySeconds": 9}}
    said = await api.patch(DEPLOYMENTS, "d", body, sub="status")
    assert said["status.collisionCount"] == 7 and said["spec.minReadySeconds"] == 4


async def test_scale(api: Server) -> None:
    """As `kubectl scale` reads and writes it."""
    await api.made(DEPLOYMENTS, deployment("d", replicas=2))
    said = await api.ask("GET", api.path(DEPLOYMENTS, "d", "scale"))
    assert (said.body["kind"], said["spec.replicas"]) == ("Scale", 2) and said["status.selector"] == "app=d"
    said = await api.patch(DEPLOYMENTS, "d", {"spec": {"replicas": 5}}, sub="scale")
    assert said["spec.replicas"] == 5
    assert (await api.get(DEPLOYMENTS, "d"))["spec.replicas"] == 5


# Deleting -----------------------------------------------------------------------------------------------------------


async def test_deleted(api: Server) -> None:
    """Once; then 404."""
    made = await api.made("configmaps", config("a"))
    said = await api.delete("configmaps", "a")
    assert said.status == 200 and said.body["status"] == "Success"
    assert said.body["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert (await api.get("configmaps", "a")).status == 404
    assert (await api.delete("configmaps", "a")).status == 404


@pytest.mark.parametrize("condition", [{"uid": "00000000-0000-0000-0000-000000000000"}, {"resourceVersion": "1"}])
async def test_preconditions(api: Server, condition: Obj) -> None:
    """Only this one, only as it was."""
    await api.made("configmaps", config("a"))
    said = await api.delete("configmaps", "a", {"preconditions": condition})
    assert (said.status, said.reason) == (409, "Conflict")
    assert (await api.get("configmaps", "a")).status == 200


async def test_finalizers(api: Server) -> None:
    """An object with a finalizer waits for it; nobody can add one by then."""
    await api.made("configmaps", config("a", finalizers=["example.com/one"]))
    said = await api.delete("configmaps", "a")
    assert said.status == 200 and said["metadata.deletionTimestamp"]
    said = await api.get("configmaps", "a")
    assert said["metadata.deletionTimestamp"] and said["metadata.finalizers"] == ["example.com/one"]
    said = await api.patch("configmaps", "a", {"metadata": {"finalizers": ["example.com/one", "example.com/two"]}})
    assert said.status == 422
    said = await api.patch("configmaps", "a", {"metadata": {"finalizers": None}})
    assert said.status == 200
    assert (await api.get("configmaps", "a")).status == 404


async def test_what_is_owned_goes_with_its_owner(api: Server) -> None:
    """In the background, down to the last one; what has another owner left stays."""
    owner = await api.made("configmaps", config("owner"))
    other = await api.made("configmaps", config("other"))

    def owned(*by: Obj) -> list[Obj]:
        return [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": o["metadata"]["name"], "uid": o["metadata"]["uid"]}
            for o in by
        ]

    child = await api.made("configmaps", config("child", ownerReferences=owned(owner)))
    await api.made("configmaps", config("grandchild", ownerReferences=owned(child)))
    await api.made("configmaps", config("shared", ownerReferences=owned(owner, other)))
    await api.delete("configmaps", "owner", {"propagationPolicy": "Background"})
    for name in ("child", "grandchild"):
        await eventually(lambda name=name: api.get("configmaps", name), lambda said: said.status == 404)  # type: ignore[misc]
    assert (await api.get("configmaps", "shared")).status == 200


async def test_orphans(api: Server) -> None:
    """Left behind when asked for, without their owner."""
    owner = await api.made("configmaps", config("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    await api.made("configmaps", config("child", ownerReferences=[reference]))
    await api.delete("configmaps", "owner", {"propagationPolicy": "Orphan"})
    await eventually(lambda: api.get("configmaps", "owner"), lambda said: said.status == 404)
    said = await api.get("configmaps", "child")
    assert said.status == 200 and not said["metadata.ownerReferences"]


async def test_many_at_once(api: Server) -> None:
    """A collection by a selector."""
    for name, tier in (("a", "x"), ("b", "x"), ("c", "y")):
        await api.made("secrets", {"metadata": {"name": name, "labels": {"tier": tier}}})
    assert (await api.ask("DELETE", api.path("secrets"), labelSelector="tier=x")).status == 200
    assert [item["metadata"]["name"] for item in (await api.get("secrets")).body["items"]] == ["c"]


async def test_a_namespace_takes_everything_with_it(api: Server) -> None:
    """And lets nothing in while it goes."""
    await api.made("secrets", {"metadata": {"name": "a", "finalizers": ["example.com/hold"]}})
    await api.ask("DELETE", f"/api/v1/namespaces/{api.namespace}")
    said = await api.create("secrets", {"metadata": {"name": "late"}})
    assert said.status == 403 and "because it is being terminated" in said.message
    await eventually(lambda: api.get("secrets", "a"), lambda said: bool(said["metadata.deletionTimestamp"]))
    await api.patch("secrets", "a", {"metadata": {"finalizers": None}})
    path = f"/api/v1/namespaces/{api.namespace}"
    await eventually(lambda: api.ask("GET", path), lambda said: said.status == 404)
