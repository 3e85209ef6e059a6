"""A small client over any Transport, with the verbs that controllers and the kubelet need.

A table lists the kinds that it knows. It raises ApiError for every response that is not a success.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from pyflagger.kube.protocol import ApiRequest, Transport
from pyflagger.objects import Create, Delete, Obj, Patch, Ref, Write

MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Resource:
    """The path of a kind."""

    api_version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The absolute path of the collection, an object, or a subresource."""
        root = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return root + scope + "".join(f"/{part}" for part in (self.plural, name, subresource) if part)


RESOURCES: dict[str, Resource] = {
    "Namespace": Resource("v1", "namespaces", False),
    "Node": Resource("v1", "nodes", False),
    "Pod": Resource("v1", "pods"),
    "Binding": Resource("v1", "bindings"),
    "Service": Resource("v1", "services"),
    "ServiceAccount": Resource("v1", "serviceaccounts"),
    "ConfigMap": Resource("v1", "configmaps"),
    "Secret": Resource("v1", "secrets"),
    "Event": Resource("v1", "events"),
    "Ingress": Resource("networking.k8s.io/v1", "ingresses"),
    "EndpointSlice": Resource("discovery.k8s.io/v1", "endpointslices"),
    "Deployment": Resource("apps/v1", "deployments"),
    "ReplicaSet": Resource("apps/v1", "replicasets"),
    "DaemonSet": Resource("apps/v1", "daemonsets"),
    "HorizontalPodAutoscaler": Resource("autoscaling/v2", "horizontalpodautoscalers"),
    "Job": Resource("batch/v1", "jobs"),
}


class ApiError(Exception):
    """The API server rejected a request. `status` is the HTTP code, `reason` the reason of the Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason = status, reason


class Gone(Exception):
    """The server no longer has the version that the watch starts from. List again."""


class Api:
    """Verbs over a Transport. Every method may raise ApiError or TransportError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self, kind: str) -> tuple[list[Obj], str]:
        """All objects of a kind, and the version of the list. Adds `kind` and `apiVersion` where they are missing."""
        resource = RESOURCES[kind]
        answer = await self._call("GET", resource.path())
        items = answer.get("items") or []
        for item in items:
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", kind)
        return items, answer["metadata"]["resourceVersion"]

    @asynccontextmanager
    async def watch(self, kind: str, version: str) -> AsyncIterator[AsyncIterator[tuple[str, Obj]]]:
        """The (event type, object) pairs since `version`, bookmarks included. Raises Gone when `version` is too old."""
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        request = ApiRequest("GET", RESOURCES[kind].path(), query)
        async with self._transport.stream(request) as stream:
            if stream.status != 200:
                raise _error(stream.status, stream.body)
            yield _events(stream.lines)

    async def get(self, kind: str, namespace: str, name: str) -> Obj | None:
        """The object, or None when there is none."""
        try:
            return await self._call("GET", RESOURCES[kind].path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def apply(self, write: Write) -> Obj | None:
        """Carry out a write. Returns the object after it, or None when the object is gone."""
        match write:
            case Create(obj):
                resource = RESOURCES[obj["kind"]]
                return await self._call("POST", resource.path(obj["metadata"].get("namespace", "")), obj)
            case Patch(ref, body, version, subresource):
                if version:
                    body = body | {"metadata": (body.get("metadata") or {}) | {"resourceVersion": version}}
                path = RESOURCES[ref.kind].path(ref.namespace, ref.name, subresource)
                return await self._call("PATCH", path, body, MERGE_PATCH)
            case Delete(ref):
                return await self.delete(ref)

    async def delete(self, ref: Ref, *, grace: int | None = None, uid: str = "") -> Obj | None:
        """Delete. Returns the object if it still exists (finalizers, graceful deletion), else None."""
        options: Obj = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            answer = await self._call("DELETE", RESOURCES[ref.kind].path(ref.namespace, ref.name), options)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return answer if answer.get("kind") == ref.kind and _lingers(answer["metadata"]) else None

    async def post(self, kind: str, namespace: str, name: str, subresource: str, body: Obj) -> Obj:
        """Post to a subresource, such as a pod's binding."""
        return await self._call("POST", RESOURCES[kind].path(namespace, name, subresource), body)

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "application/json"
    ) -> Obj:
        payload = None if body is None else orjson.dumps(body)
        answer = await self._transport.call(ApiRequest(method, path, {}, payload, kind))
        if answer.status >= 300:
            raise _error(answer.status, answer.body)
        said: Obj = orjson.loads(answer.body) if answer.body else {}
        return said


def _lingers(meta: Mapping[str, Any]) -> bool:
    held = meta.get("finalizers") or meta.get("deletionGracePeriodSeconds")
    return bool(meta.get("deletionTimestamp") and held)


async def _events(lines: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, Obj]]:
    async for line in lines:
        event = orjson.loads(line)
        if event["type"] == "ERROR":
            code = int(event["object"].get("code", 500))
            if code == 410:
                raise Gone
            raise ApiError(code, event["object"].get("reason", ""), event["object"].get("message", ""))
        yield event["type"], event["object"]


def _error(status: int, body: bytes) -> Exception:
    try:
        said = orjson.loads(body)
    except ValueError:
        said = {}
    if status == 410:
        return Gone()
    return ApiError(status, said.get("reason", ""), said.get("message", body[:200].decode("utf-8", "replace")))
