"""Discovery of groups, versions and resources, in the formats that clients request.

Pure: turns the registry into documents. New clients get aggregated discovery (one document for each root), old clients
one document for each group and version.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyflagger.admission import schema
from pyflagger.admission.errors import no_route
from pyflagger.admission.resource import Registry, Resource
from pyflagger.objects import Obj

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_CHANGE = ("get", "patch", "update")
# Subresources: the verbs, and the kind if it is not the kind of the resource.
_SUBRESOURCES: dict[str, tuple[tuple[str, ...], tuple[str, str, str] | None]] = {
    "status": (_CHANGE, None),
    "scale": (_CHANGE, ("autoscaling", "v1", "Scale")),
    "finalize": (("update",), None),
    "log": (("get",), None),
    "binding": (("create",), ("", "v1", "Binding")),
    "eviction": (("create",), ("policy", "v1", "Eviction")),
    "exec": (("create", "get"), ("", "v1", "PodExecOptions")),
    "portforward": (("create", "get"), ("", "v1", "PodPortForwardOptions")),
    "token": (("create",), ("authentication.k8s.io", "v1", "TokenRequest")),
}


def server_version() -> Obj:
    """`/version`: the Kubernetes release of the built-in kinds' types."""
    release = schema.release()
    return {
        "major": "1",
        "minor": release.split(".")[1],
        "gitVersion": f"v{release}+pyflagger",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "python",
    }


def aggregated(registry: Registry, core: bool) -> Obj:
    """`/api` (core) or `/apis` as one `APIGroupDiscoveryList`."""
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {
                    "version": version,
                    "freshness": "Current",
                    "resources": [_discovered(r) for r in _served(registry, group, version)],
                }
                for version in versions
            ],
        }
        for group, versions in registry.groups().items()
        if (group == "") == core
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _discovered(resource: Resource) -> Obj:
    said: Obj = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": sorted(resource.verbs),
    }
    if resource.short:
        said["shortNames"] = list(resource.short)
    if resource.categories:
        said["categories"] = list(resource.categories)
    if resource.subresources:
        said["subresources"] = [_subresource(resource, name) for name in sorted(resource.subresources)]
    return said


def _subresource(resource: Resource, name: str) -> Obj:
    verbs, kind = _SUBRESOURCES[name]
    spoken = kind or (resource.group, resource.version, resource.kind)
    return {"subresource": name, "responseKind": _kind(*spoken), "verbs": list(verbs)}


def _kind(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}


def _served(registry: Registry, group: str, version: str) -> Iterable[Resource]:
    return (r for r in registry.all() if (r.group, r.version) == (group, version))


def document(registry: Registry, path: str) -> Obj:
    """The document for `/api`, `/apis`, a group, or a group and version. Raises ApiError (404)."""
    match path.strip("/").split("/"):
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            groups = [_group(group, versions) for group, versions in registry.groups().items() if group]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group] if group in registry.groups():
            return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, registry.groups()[group])
        case ["api", "v1"]:
            return _resource_list(registry, "", "v1")
        case ["apis", group, version] if version in registry.groups().get(group, ()):
            return _resource_list(registry, group, version)
    raise no_route()


def _group(group: str, versions: list[str]) -> Obj:
    said = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": said, "preferredVersion": said[0]}


def _resource_list(registry: Registry, group: str, version: str) -> Obj:
    found: list[Obj] = []
    for resource in _served(registry, group, version):
        found.append(_listed(resource))
        found += [_listed_subresource(resource, name) for name in sorted(resource.subresources)]
    served = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": served, "resources": found}


def _listed(resource: Resource) -> Obj:
    said: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular or resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": sorted(resource.verbs),
        "shortNames": list(resource.short),
        "categories": list(resource.categories),
    }
    return {key: value for key, value in said.items() if value != []}


def _listed_subresource(resource: Resource, name: str) -> Obj:
    verbs, kind = _SUBRESOURCES[name]
    said: Obj = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
    said |= {"kind": kind[2] if kind else resource.kind, "verbs": list(verbs)}
    return said | ({"group": kind[0], "version": kind[1]} if kind else {})
