"""Creates, updates, patches and deletes.

`ApiServer` calls it with a resource that exists. Everything here is synchronous: nothing can happen between reading an
object and writing it back, so a patch without a resourceVersion never conflicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyflagger.admission import errors, metadata
from pyflagger.admission.errors import ApiError, bad_request
from pyflagger.admission.resource import Resource
from pyflagger.admission.rules import Rules
from pyflagger.clock import Clock
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver import applying, patching, protobuf
from pyflagger_sandbox.apiserver.convert import convert
from pyflagger_sandbox.apiserver.messages import Request, switched_on
from pyflagger_sandbox.apiserver.routes import Route
from pyflagger_sandbox.apiserver.store import Store

# Built-in kinds whose updates must have a resourceVersion. All custom resources must.
_CONDITIONAL = frozenset({"leases.coordination.k8s.io", "customresourcedefinitions.apiextensions.k8s.io"})

OnWrite = Callable[[str, Resource, Obj], None]


@dataclass(frozen=True, slots=True)
class Written:
    """The object after a write, and warnings for the client."""

    obj: Obj
    status: int = 200
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Writer:
    """Handles every request that changes objects. Calls `on_write` with the verb after each change."""

    store: Store
    clock: Clock
    rules: Rules
    on_write: list[OnWrite] = field(default_factory=list)

    def create(self, resource: Resource, route: Route, request: Request) -> Written:
        """POST to a collection. Raises ApiError (400, 403, 404, 409, 422)."""
        body = self._read(resource, route, request)
        cleaned, warnings = self.rules.clean(resource, body, None, _validation(request))
        return Written(self.insert(resource, route, convert(cleaned, resource.stored), request.query), 201, warnings)

    def insert(self, resource: Resource, route: Route, body: Obj, query: Mapping[str, str]) -> Obj:
        """Create a decoded object."""
        body = _named(body, self.clock.unique)
        if resource.namespaced:
            self._check_namespace(resource, body, route.namespace)
        name = body["metadata"].get("name", "")
        if self.store.shelf(resource.shelf).get((route.namespace, name)):
            raise errors.already_exists(resource.plural, resource.group, name)
        if "status" in resource.subresources and resource.kind != "Node":
            body = {key: value for key, value in body.items() if key != "status"}
        obj = metadata.created(body, resource, uid=self.clock.unique(), now=self.clock.now())
        obj = self.rules.admit(resource, obj, None)
        return obj if _dry(query) else self._put("create", resource, obj)

    def update(self, resource: Resource, route: Route, request: Request, old: Obj) -> Written:
        """PUT of an object or of its status."""
        body = self._read(resource, route, request)
        body = {**body, "metadata": {**body["metadata"], "name": route.name}}
        if not body["metadata"].get("resourceVersion") and (resource.custom or resource.name in _CONDITIONAL):
            cause = errors.wrong("metadata.resourceVersion", 0, "must be specified for an update")
            raise errors.invalid(resource.kind, resource.group, route.name, [cause])
        return self._cleaned(resource, route, request, body, old)

    def patch(self, resource: Resource, route: Route, request: Request, old: Obj) -> Written:
        """PATCH of any type except server-side apply."""
        current = convert(old, resource.api_version)
        changed = patching.apply(request, current, resource)
        self._check_identity(resource, changed, current)
        return self._cleaned(resource, route, request, changed, old)

    def apply(self, resource: Resource, route: Route, request: Request, old: Obj | None) -> Written:
        """Server-side apply. Creates a missing object. Raises ApiError (400, 409, 422)."""
        name, body = request.query.get("fieldManager", ""), self._read(resource, route, request)
        if not name:
            cause = errors.required("fieldManager", "is required for apply patch")
            raise errors.invalid("PatchOptions", "meta.k8s.io", "", [cause])
        if body["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        live = convert(old, resource.api_version) if old else None
        force, now = switched_on(request.query, "force"), metadata.stamp(self.clock.now())
        merged = applying.apply(resource, live, body, name, force=force, now=now)
        cleaned, warnings = self.rules.clean(resource, merged, live, _validation(request))
        new = convert(cleaned, resource.stored)
        if old is None:
            return Written(self.insert(resource, route, new, request.query), 201, warnings)
        return Written(self.replace(resource, route, new, old, request.query), 200, warnings)

    def _cleaned(self, resource: Resource, route: Route, request: Request, body: Obj, old: Obj) -> Written:
        current = convert(old, resource.api_version)
        cleaned, warnings = self.rules.clean(resource, body, current, _validation(request))
        new = convert(cleaned, resource.stored)
        if route.subresource != "status":
            manager = request.query.get("fieldManager") or request.agent.partition("/")[0]
            new = applying.tracked(resource, new, old, manager, metadata.stamp(self.clock.now()))
        return Written(self.replace(resource, route, new, old, request.query), 200, warnings)

    def replace(self, resource: Resource, route: Route, new: Obj, old: Obj, query: Mapping[str, str]) -> Obj:
        """Replace `old` by `new`, as far as the path allows it."""
        meta, was = new["metadata"], old["metadata"]
        if meta.get("resourceVersion") and meta["resourceVersion"] != was["resourceVersion"]:
            raise errors.conflict(resource.plural, resource.group, route.name)
        if meta.get("uid") and meta["uid"] != was["uid"]:
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {was['uid']}"
            raise errors.conflict(resource.plural, resource.group, route.name, why)
        new = _scoped(new, old, resource, route.subresource)
        new = metadata.updated(new, old, resource)
        if new == old:
            return old
        new = self.rules.admit(resource, new, old, status_only=route.subresource == "status")
        if new == old:
            return old
        return new if _dry(query) else self._settle(resource, new)

    def delete(
        self, resource: Resource, route: Route, old: Obj, options: Obj, query: Mapping[str, str]
    ) -> tuple[Obj, bool]:
        """Delete, or begin to delete. Returns the object and whether it is gone."""
        _check_preconditions(resource, old, options)
        marked = self.rules.departing(resource, old, options, self.clock.now())
        if _dry(query):
            return old, True
        if marked is None:
            return self._remove(resource, old), True
        if marked != old:
            self._put("update", resource, marked)
        return self._settled(resource, marked)

    def _settled(self, resource: Resource, obj: Obj) -> tuple[Obj, bool]:
        shelf = self.store.shelf(resource.shelf)
        found = shelf.get((obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))
        return (found.obj, False) if found else (obj, True)

    def _settle(self, resource: Resource, obj: Obj) -> Obj:
        """Write the object. Remove it instead when it is being deleted and its last finalizer is gone."""
        meta = obj["metadata"]
        lingering = (
            meta.get("finalizers")
            or (obj.get("spec") or {}).get("finalizers")
            or meta.get("deletionGracePeriodSeconds")
        )
        if "deletionTimestamp" in meta and not lingering:
            return self._remove(resource, obj)
        return self._put("update", resource, obj)

    def _put(self, verb: str, resource: Resource, obj: Obj) -> Obj:
        stored = self.store.put(resource.shelf, obj)
        self._tell(verb, resource, stored)
        return stored

    def _remove(self, resource: Resource, obj: Obj) -> Obj:
        gone = self.store.remove(resource.shelf, obj)
        self._tell("delete", resource, gone)
        return gone

    def _tell(self, verb: str, resource: Resource, obj: Obj) -> None:
        for listener in self.on_write:
            listener(verb, resource, obj)

    def _read(self, resource: Resource, route: Route, request: Request) -> Obj:
        """The body as an object of the resource, with its namespace."""
        body = parse_body(request.body)
        body.setdefault("apiVersion", resource.api_version)
        body.setdefault("kind", resource.kind)
        if (body["apiVersion"], body["kind"]) != (resource.api_version, resource.kind):
            said, wanted = body["apiVersion"], resource.api_version
            text = f"the API version in the data ({said}) does not match the expected API version ({wanted})"
            if body["kind"] != resource.kind:
                text = f'{body["kind"]} in version "{resource.version}" cannot be handled as a {resource.kind}'
            raise bad_request(text)
        meta = dict(body.get("metadata") or {})
        if resource.namespaced:
            if meta.setdefault("namespace", route.namespace) != route.namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
        else:
            meta.pop("namespace", None)
        if route.name and meta.setdefault("name", route.name) != route.name:
            raise bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({route.name})"
            )
        return {**body, "metadata": meta}

    def _check_identity(self, resource: Resource, new: Obj, old: Obj) -> None:
        if not isinstance(new.get("metadata"), dict):
            raise bad_request("a patch must not remove metadata")
        for key in ("apiVersion", "kind"):
            if new.get(key) != old[key]:
                raise bad_request(f"a patch must not change {key}")
        if new["metadata"].get("name") != old["metadata"]["name"]:
            name = old["metadata"]["name"]
            cause = errors.wrong("metadata.name", new["metadata"].get("name"), "field is immutable")
            raise errors.invalid(resource.kind, resource.group, name, [cause])

    def _check_namespace(self, resource: Resource, body: Obj, namespace: str) -> None:
        found = self.store.shelf("namespaces").get(("", namespace))
        if found is None:
            raise errors.not_found("namespaces", "", namespace)
        if "deletionTimestamp" in found.obj["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = errors.Cause(
                "metadata.namespace", "NamespaceTerminating", f"namespace {namespace} is being terminated"
            )
            raise errors.forbidden(resource.plural, resource.group, body["metadata"].get("name", ""), why, [cause])


def parse_body(body: bytes) -> Obj:
    """A JSON, protobuf or (as server-side apply allows) YAML object. Raises ApiError (400)."""
    if body.startswith(protobuf.MAGIC):
        return _protobuf(body)
    try:
        said: Any = json.loads(body)
    except ValueError:
        said = _yaml(body)
    if not isinstance(said, dict):
        raise bad_request("the body must be an object")
    return said


def _protobuf(body: bytes) -> Obj:
    try:
        return protobuf.decode(body)
    except protobuf.Undecodable as error:
        raise bad_request(str(error)) from None


def _yaml(body: bytes) -> Any:
    import yaml  # Only hand-written clients of server-side apply send YAML.

    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise bad_request(f"the body is neither JSON nor YAML: {error}") from None


def _named(body: Obj, unique: Callable[[], str]) -> Obj:
    meta = body["metadata"]
    if meta.get("name") or not meta.get("generateName"):
        return body
    return {**body, "metadata": {**meta, "name": meta["generateName"] + metadata.suffix(unique())}}


def _scoped(new: Obj, old: Obj, resource: Resource, subresource: str) -> Obj:
    """`old` with the changes of `new` that the path allows: the status path only the status, the main path everything
    else.
    """
    if "status" not in resource.subresources:
        return new
    if subresource == "status":
        kept = dict(old)
        kept.pop("status", None)
        return kept | ({"status": new["status"]} if "status" in new else {})
    kept = {key: value for key, value in new.items() if key != "status"}
    return kept | ({"status": old["status"]} if "status" in old else {})


def _check_preconditions(resource: Resource, old: Obj, options: Obj) -> None:
    wanted = options.get("preconditions") or {}
    for key, said in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(key) and wanted[key] != old["metadata"][key]:
            both = f"{said} in precondition: {wanted[key]}, {said} in object meta: {old['metadata'][key]}"
            why = f"Precondition failed: {both}"
            raise errors.conflict(resource.plural, resource.group, old["metadata"]["name"], why)


def _validation(request: Request) -> str:
    said = request.query.get("fieldValidation") or "Warn"
    if said not in ("Strict", "Warn", "Ignore"):
        raise ApiError(400, "BadRequest", f"invalid fieldValidation: {said}")
    return said


def _dry(query: Mapping[str, str]) -> bool:
    return query.get("dryRun") == "All"
