"""The API server: handles one request and returns a response or a watch. Every error becomes a `Status`.

The frontends (`transport` in process, `http` on loopback) call `handle`. It routes requests. Other modules carry them
out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from pyflagger.admission import builtin, crd, errors
from pyflagger.admission.errors import ApiError
from pyflagger.admission.resource import Registry, Resource
from pyflagger.admission.rules import Allocator, Rules
from pyflagger.clock import Clock
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver import discovery, messages, openapi, patching, routes, subresources
from pyflagger_sandbox.apiserver.faults import Faults
from pyflagger_sandbox.apiserver.gc import Collector
from pyflagger_sandbox.apiserver.messages import Request, Response, WatchStream, answer, switched_on
from pyflagger_sandbox.apiserver.openapi import OpenApi
from pyflagger_sandbox.apiserver.reading import Reader
from pyflagger_sandbox.apiserver.routes import Route
from pyflagger_sandbox.apiserver.shapes import wanted
from pyflagger_sandbox.apiserver.store import Entry, Store, StoreChange
from pyflagger_sandbox.apiserver.subresources import Logs
from pyflagger_sandbox.apiserver.writing import Writer, Written, parse_body


@dataclass(frozen=True, slots=True)
class Audited:
    """One handled request: client, request and result."""

    verb: str
    path: str
    resource: str
    agent: str
    status: int


class ApiServer:
    """An API server in memory.

    `faults` injects faults. `audit` gets an `Audited` for each request, `writer.on_write` each change. `rules.allocate`
    returns the addresses of Services, `logs` the logs of pods.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        kept: int = 4096,
        allocate: Allocator | None = None,
        logs: Logs | None = None,
        audit: Callable[[Audited], None] | None = None,
    ) -> None:
        self.clock, self.audit, self.logs = clock, audit, logs
        self.store = Store(kept)
        self.registry = Registry()
        self.registry.add(builtin.builtin())
        self.faults = Faults()
        self.reader = Reader(self.store, clock)
        self.rules = Rules(allocate, clock.now)
        self.writer = Writer(self.store, clock, self.rules)
        self._openapi = OpenApi(self.registry)
        self.store.listeners.append(self._define)
        self._collector = Collector(self.store, self.registry, self.writer, clock)
        self._seed()

    async def handle(self, request: Request) -> Response | WatchStream:
        """Handle a request. Raises `faults.Broken` to break the connection."""
        try:
            await self.faults.strike(request, self.clock)
            said = await self._dispatch(request)
        except ApiError as error:
            said = refusal(error)
        self._note(request, said.status)
        return said

    def break_watches(self, kind: str = "", error: Exception | None = None) -> int:
        """Break all open watches, or those of a kind. An ApiError ends them with an ERROR event instead."""
        found = [watch for watch in self.reader.watches if kind in ("", watch.resource.kind)]
        for watch in found:
            watch.break_off(error)
        return len(found)

    def end_watches(self) -> None:
        """Close all watches without an error."""
        for watch in self.reader.watches:
            watch.end()

    async def _dispatch(self, request: Request) -> Response | WatchStream:
        route = routes.parse(request.path)
        if route is None or request.path.startswith("/openapi"):
            return self._about(request)
        resource = self.registry.find(route.group, route.version, route.plural)
        if resource is None:
            raise errors.no_route()
        if resource.verbs == ("create",):
            return subresources.review(resource, request)
        if route.subresource not in ("", "status", "finalize"):
            return await self._below(resource, route, request)
        return self._serve(resource, route, request)

    def _about(self, request: Request) -> Response:
        """Paths about the server itself."""
        path = request.path.rstrip("/")
        if path in ("/api", "/apis") and wanted(request.accept).get("as") == "APIGroupDiscoveryList":
            return _tagged(discovery.aggregated(self.registry, path == "/api"), discovery.AGGREGATED, request)
        if path == "/openapi/v3":
            return _tagged(self._openapi.index(), messages.JSON, request)
        if path.startswith("/openapi/v3/"):
            return answer(self._openapi.document(path.removeprefix("/openapi/v3/")))
        if path == "/openapi/v2":
            return self._legacy(request)
        if path == "/version":
            return answer(discovery.server_version())
        if path.split("/")[1:2] in (["healthz"], ["livez"], ["readyz"]):
            return Response(200, b"ok", {"content-type": "text/plain"})
        return answer(discovery.document(self.registry, path))

    def _legacy(self, request: Request) -> Response:
        """The OpenAPI document of version 2, which kubectl requests when version 3 lacks a kind, such as `List`."""
        if openapi.PROTOBUF in request.accept.replace("@", "."):
            return Response(200, self._openapi.legacy_protobuf(), {"content-type": openapi.PROTOBUF})
        return answer(self._openapi.legacy())

    async def _below(self, resource: Resource, route: Route, request: Request) -> Response | WatchStream:
        """Handle subresources that are not part of the object."""
        if route.subresource not in resource.subresources:
            raise errors.no_route()
        found = self.reader.entry(resource, route).obj
        match route.subresource, request.method:
            case "scale", "GET":
                return answer(subresources.scale_of(resource, found))
            case "scale", "PUT" | "PATCH":
                return subresources.rescale(self.writer, resource, route, request, found)
            case "log", "GET":
                return await subresources.log(self.logs, found, request.query)
            case "binding", "POST":
                return subresources.bind(self.writer, resource, route, request, found)
            case "token", "POST":
                return subresources.token(route, request, self.clock.now())
            case "eviction", "POST":
                options = parse_body(request.body).get("deleteOptions") or {}
                obj, _ = self.writer.delete(resource, route, found, options, request.query)
                return answer(success(resource, obj), 201)
        raise errors.method_not_allowed()

    def _serve(self, resource: Resource, route: Route, request: Request) -> Response | WatchStream:
        if route.subresource and route.subresource not in resource.subresources:
            raise errors.no_route()
        if resource.kind == "Event":
            self._collector.expire()
        match request.method, bool(route.name):
            case "GET", _ if switched_on(request.query, "watch"):
                return self.reader.watch(resource, route, request)
            case "GET", True:
                return self.reader.get(resource, route, request)
            case "GET", False:
                return self.reader.collection(resource, route, request)
            case "POST", False:
                return self._wrote(resource, request, self.writer.create(resource, route, request))
            case "PUT" | "PATCH", True:
                return self._change(resource, route, request)
            case "DELETE", True:
                return self._delete(resource, route, request)
            case "DELETE", False:
                return self._delete_all(resource, route, request)
        raise errors.method_not_allowed()

    def _change(self, resource: Resource, route: Route, request: Request) -> Response:
        if request.method == "PATCH" and patching.media(request) == patching.APPLY_PATCH:
            entry = self.store.shelf(resource.shelf).get((route.namespace, route.name))
            return self._wrote(
                resource, request, self.writer.apply(resource, route, request, entry.obj if entry else None)
            )
        old = self.reader.entry(resource, route).obj
        change = self.writer.update if request.method == "PUT" else self.writer.patch
        return self._wrote(resource, request, change(resource, route, request, old))

    def _define(self, shelf: str, change: StoreChange) -> None:
        """Serve the kind of a definition as soon as it is written."""
        if shelf != "customresourcedefinitions.apiextensions.k8s.io":
            return
        spec = change.entry.obj["spec"]
        self.registry.drop(spec["group"], spec["names"]["plural"])
        if change.type != "DELETED":
            self.registry.add(crd.resources(change.entry.obj))

    def _wrote(self, resource: Resource, request: Request, written: Written) -> Response:
        shape = self.reader.shape(resource, request)
        return answer(shape.one(self._entry(resource, written.obj)), written.status, written.warnings)

    def _entry(self, resource: Resource, obj: Obj) -> Entry:
        """The stored entry of an object, which may have its JSON, or a new entry when the object is not stored."""
        meta = obj["metadata"]
        found = self.store.shelf(resource.shelf).get((meta.get("namespace", ""), meta["name"]))
        return found if found is not None and found.obj is obj else Entry(obj)

    def _delete(self, resource: Resource, route: Route, request: Request) -> Response:
        options = delete_options(request)
        old = self.reader.entry(resource, route).obj
        obj, gone = self.writer.delete(resource, route, old, options, request.query)
        if not gone or resource.kind in ("Pod", "Service", "Namespace"):
            return answer(self.reader.shape(resource, request).one(Entry(obj)))
        return answer(success(resource, obj))

    def _delete_all(self, resource: Resource, route: Route, request: Request) -> Response:
        options = delete_options(request)
        chosen = self.reader.selected(resource, route, request.query)
        for entry in chosen:
            self.writer.delete(resource, route, entry.obj, options, request.query)
        return answer(self.reader.shape(resource, request).list(chosen, {"resourceVersion": str(self.store.revision)}))

    def _note(self, request: Request, status: int) -> None:
        if self.audit is None:
            return
        route = routes.parse(request.path)
        verb = "watch" if switched_on(request.query, "watch") else request.method.lower()
        self.audit(Audited(verb, request.path, route.plural if route else "", request.agent, status))

    def _seed(self) -> None:
        """Create the namespaces that every cluster has."""
        namespaces = self.registry.find("", "v1", "namespaces")
        assert namespaces is not None
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            cleaned, _ = self.rules.clean(namespaces, body, None, "Strict")
            self.writer.insert(namespaces, Route("", "v1", "namespaces"), cleaned, {})


def _tagged(value: Obj, content_type: str, request: Request) -> Response:
    """A response that a client may cache: 304 when the client already has it."""
    body = messages.dump(value)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32].upper()}"'
    headers = {"content-type": content_type, "etag": tag, "vary": "Accept", "cache-control": "public"}
    if request.headers.get("if-none-match") == tag:
        return Response(304, b"", headers)
    return Response(200, body, headers)


def refusal(error: ApiError) -> Response:
    """The response for an error."""
    headers = {"content-type": messages.JSON}
    seconds = (error.details or {}).get("retryAfterSeconds")
    if seconds:
        headers["retry-after"] = str(seconds)
    return Response(error.code, messages.dump(error.status()), headers)


def success(resource: Resource, obj: Obj) -> Obj:
    """The `Status` of a completed deletion."""
    details = {
        "name": obj["metadata"]["name"],
        "group": resource.group,
        "kind": resource.plural,
        "uid": obj["metadata"]["uid"],
    }
    details = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def delete_options(request: Request) -> Obj:
    """`DeleteOptions` from the body, or from the query, where some clients send them."""
    options = parse_body(request.body) if request.body else {}
    if "propagationPolicy" in request.query:
        options.setdefault("propagationPolicy", request.query["propagationPolicy"])
    if "gracePeriodSeconds" in request.query:
        options.setdefault("gracePeriodSeconds", int(request.query["gracePeriodSeconds"]))
    return options
