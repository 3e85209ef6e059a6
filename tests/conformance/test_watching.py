"""Watches: from where, what is told, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conformance.objects import DEPLOYMENTS, config, deployment
from conformance.server import Server


def secret(name: str, **labels: str) -> Any:
    """A Secret."""
    return {"metadata": {"name": name, "labels": labels}}


async def version(api: Server, plural: str) -> str:
    """Where a watch would begin now."""
    return str((await api.get(plural))["metadata.resourceVersion"])


async def test_from_a_version(api: Server) -> None:
    """Everything after it, in order, with the version of each."""
    await api.made("secrets", secret("before"))
    begin = await version(api, "secrets")
    await api.made("secrets", secret("a"))
    async with api.watch("secrets", resourceVersion=begin) as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        changed = await api.patch("secrets", "a", {"stringData": {"k": "v"}})
        kind, obj = await watch.next()
        assert kind == "MODIFIED" and obj == changed.body and obj["data"] == {"k": "dg=="}
        await api.delete("secrets", "a")
        kind, gone = await watch.next()
        assert kind == "DELETED" and gone["data"] == {"k": "dg=="}
        assert int(gone["metadata"]["resourceVersion"]) > int(obj["metadata"]["resourceVersion"])


async def test_without_a_version(api: Server) -> None:
    """What there is comes first."""
    for name in ("a", "b"):
        await api.made("secrets", secret(name))
    async with api.watch("secrets") as watch:
        assert await watch.names(2) == [("ADDED", "a"), ("ADDED", "b")]
        await api.made("secrets", secret("c"))
        assert await watch.names(1) == [("ADDED", "c")]


async def test_initial_events_and_their_end(api: Server) -> None:
    """As newer clients list: by a watch, with a bookmark where the list ends."""
    await api.made("secrets", secret("a"))
    query = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}
    async with api.watch("secrets", **query) as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        kind, obj = await watch.next()
        assert kind == "BOOKMARK" and obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert obj["kind"] == "Secret" and obj["metadata"]["resourceVersion"].isdigit()


async def test_a_selector(api: Server) -> None:
    """What comes into it is new, what leaves it is gone."""
    begin = await version(api, "secrets")
    async with api.watch("secrets", resourceVersion=begin, labelSelector="tier=front") as watch:
        await api.made("secrets", secret("a", tier="back"))
        await api.made("secrets", secret("b", tier="front"))
        await api.patch("secrets", "a", {"metadata": {"labels": {"tier": "front"}}})
        await api.patch("secrets", "a", {"metadata": {"labels": {"more": "x"}}})
        await api.patch("secrets", "b", {"metadata": {"labels": {"tier": "back"}}})
        await api.delete("secrets", "b")
        await api.delete("secrets", "a")
        assert await watch.names(5) == [
            ("ADDED", "b"),
            ("ADDED", "a"),
            ("MODIFIED", "a"),
            ("DELETED", "b"),
            ("DELETED", "a"),
        ]


async def test_one_object(api: Server) -> None:
    """By its name, as `kubectl wait` and `kubectl get NAME -w` watch."""
    begin = await version(api, "secrets")
    async with api.watch("secrets", resourceVersion=begin, fieldSelector="metadata.name=b") as watch:
        await api.made("secrets", secret("a"))
        await api.made("secrets", secret("b"))
        assert await watch.names(1) == [("ADDED", "b")]


async def test_other_namespaces_are_silent(api: Server) -> None:
    """A watch of one namespace tells of that one."""
    begin = await version(api, "secrets")
    said = await api.ask("POST", "/api/v1/namespaces", {"metadata": {"generateName": "conformance-other-"}})
    other = said["metadata.name"]
    async with api.watch("secrets", resourceVersion=begin) as watch:
        await api.ask("POST", f"/api/v1/namespaces/{other}/secrets", secret("elsewhere"))
        await api.made("secrets", secret("here"))
        assert await watch.names(1) == [("ADDED", "here")]
    await api.ask("DELETE", f"/api/v1/namespaces/{other}")


async def test_many_watchers(api: Server) -> None:
    """Each is told everything."""
    begin = await version(api, "secrets")
    async with (
        api.watch("secrets", resourceVersion=begin) as one,
        api.watch("secrets", resourceVersion=begin) as two,
    ):
        for name in "abc":
            await api.made("secrets", secret(name))
        wanted = [("ADDED", name) for name in "abc"]
        assert await asyncio.gather(one.names(3), two.names(3)) == [wanted, wanted]


async def test_its_time_is_up(api: Server) -> None:
    """The server ends it in good order; a resume from the last version misses nothing."""
    begin = await version(api, "secrets")
    async with api.watch("secrets", resourceVersion=begin, timeoutSeconds="1") as watch:
        with pytest.raises(StopAsyncIteration):
            await watch.next()
    await api.made("secrets", secret("a"))
    async with api.watch("secrets", resourceVersion=begin) as watch:
        assert await watch.names(1) == [("ADDED", "a")]


async def test_initial_events_need_to_say_how_new(api: Server) -> None:
    """Refused before a watch begins."""
    said = await api.ask("GET", api.path("secrets"), watch="true", sendInitialEvents="true")
    assert (said.status, said.reason) == (422, "Invalid") and "resourceVersionMatch: Forbidden" in said.message


@pytest.mark.parametrize(("watch", "status", "reason"), [("true", 500, ""), ("false", 400, "BadRequest")])
async def test_a_version_that_is_none(api: Server, watch: str, status: int, reason: str) -> None:
    """Refused with the word; a watch does so without a reason."""
    said = await api.ask("GET", api.path("secrets"), watch=watch, resourceVersion="soon")
    assert (said.status, said.reason) == (status, reason)
    assert 'resourceVersion: Invalid value: "soon"' in said.message


async def test_bookmarks(api: Server) -> None:
    """Only when they are asked for, of the watched kind, with nothing but a version."""
    begin = await version(api, "secrets")
    query = {"resourceVersion": begin, "allowWatchBookmarks": "true", "timeoutSeconds": "3"}
    async with api.watch("secrets", **query) as watch:
        seen = []
        with pytest.raises(StopAsyncIteration):
            while True:
                seen.append(await watch.next())
    assert {kind for kind, _ in seen} <= {"BOOKMARK"}
    assert all(obj["kind"] == "Secret" and obj["metadata"]["resourceVersion"] >= begin for _, obj in seen)


async def test_metadata_only(api: Server) -> None:
    """For those who follow names and versions."""
    begin = await version(api, "configmaps")
    await api.made("configmaps", config("a", {"big": "x" * 1000}))
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    async with api.watch("configmaps", accept=accept, resourceVersion=begin) as watch:
        kind, obj = await watch.next()
        assert kind == "ADDED" and obj["kind"] == "PartialObjectMetadata" and "data" not in obj


async def test_statuses_are_changes_too(api: Server) -> None:
    """A Deployment is told of when its controller has seen it."""
    begin = await version(api, DEPLOYMENTS)
    async with api.watch(DEPLOYMENTS, resourceVersion=begin) as watch:
        await api.made(DEPLOYMENTS, deployment("d", replicas=0))
        seen = []
        while not seen or (seen[-1][1].get("status") or {}).get("observedGeneration") != 1:
            seen.append(await watch.next())
        assert seen[0][0] == "ADDED" and all(kind == "MODIFIED" for kind, _ in seen[1:])
        versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in seen]
        assert versions == sorted(versions)


@pytest.mark.parametrize("word", ["true", "1", "True", "yes"])
async def test_how_clients_spell_yes(api: Server, word: str) -> None:
    """Python's writes `True`: whatever is not a no is a yes."""
    begin = await version(api, "secrets")
    await api.made("secrets", secret("a"))
    async with api.watch("secrets", watch=word, resourceVersion=begin) as watch:
        assert await watch.names(1) == [("ADDED", "a")]


@pytest.mark.parametrize("word", ["false", "0", "False"])
async def test_how_clients_spell_no(api: Server, word: str) -> None:
    """Then it is a list."""
    said = await api.ask("GET", api.path("secrets"), watch=word)
    assert said.body["kind"] == "SecretList"
