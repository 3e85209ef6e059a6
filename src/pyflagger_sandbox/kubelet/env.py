"""A container's environment and command line, from its spec and the objects that it refers to.

Pure: callers pass ConfigMaps and Secrets. The local runtime calls it before each start of a container.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pyflagger.objects import Obj

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigProblem(Exception):
    """The container cannot be created. `kubectl describe pod` shows the text."""


class Source(NamedTuple):
    """A reference to a ConfigMap or Secret in the pod's namespace."""

    kind: str
    name: str


def sources(pod: Obj) -> set[Source]:
    """All sources of variables of the pod's containers."""
    found = set()
    for container in pod["spec"]["containers"]:
        for entry in container.get("envFrom") or ():
            found |= _sources(entry, {"configMapRef": "ConfigMap", "secretRef": "Secret"})
        for entry in container.get("env") or ():
            found |= _sources(entry.get("valueFrom") or {}, {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"})
    return found


def _sources(entry: Mapping[str, Any], kinds: Mapping[str, str]) -> set[Source]:
    return {Source(kind, entry[key]["name"]) for key, kind in kinds.items() if key in entry}


def volumes(pod: Obj) -> dict[str, Source]:
    """Volume name → required source. Leaves out optional ones."""
    found = {}
    for volume in pod["spec"].get("volumes") or ():
        parts = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for part in parts:
            for key, kind, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
                inner = part.get(key) or {}
                wanted = inner.get(name) or inner.get("name")
                if wanted and not inner.get("optional"):
                    found[volume["name"]] = Source(kind, wanted)
    return found


def environment(pod: Obj, container: Obj, found: Mapping[Source, Obj | None], address: str) -> dict[str, str]:
    """The variables. Later ones override earlier ones. Raises ConfigProblem."""
    values = {"HOSTNAME": pod["metadata"]["name"]}
    for entry in container.get("envFrom") or ():
        values |= _bulk(entry, found)
    for entry in container.get("env") or ():
        if "valueFrom" not in entry:
            values[entry["name"]] = expand(str(entry.get("value") or ""), values)
        elif (value := _one(pod, container, entry["valueFrom"], found, address)) is not None:
            values[entry["name"]] = value
    return values


def command_line(container: Obj, values: Mapping[str, str]) -> tuple[str, ...]:
    """Command and arguments with expanded variables; empty for the default of the image."""
    words: Iterable[str] = [*(container.get("command") or ()), *(container.get("args") or ())]
    return tuple(expand(str(word), values) for word in words)


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value, and `$$` by a dollar. Keeps unknown names."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else values.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def data_of(obj: Obj) -> dict[str, str]:
    """The values of a ConfigMap or Secret as text."""
    data = obj.get("data") or {}
    if obj["kind"] == "ConfigMap":
        return dict(data)
    return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}


def _bulk(entry: Obj, found: Mapping[Source, Obj | None]) -> dict[str, str]:
    for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        if reference := entry.get(key):
            obj = _existing(Source(kind, reference["name"]), found, bool(reference.get("optional")))
            prefix = entry.get("prefix") or ""
            return {prefix + name: value for name, value in data_of(obj).items()} if obj else {}
    return {}


def _one(pod: Obj, container: Obj, source: Obj, found: Mapping[Source, Obj | None], address: str) -> str | None:
    for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if reference := source.get(key):
            return _key(pod, kind, reference, found)
    if reference := source.get("fieldRef"):
        return _field(pod, reference["fieldPath"], address)
    if reference := source.get("resourceFieldRef"):
        group, _, name = reference["resource"].partition(".")
        return str(((container.get("resources") or {}).get(group) or {}).get(name, "0"))
    return None


def _key(pod: Obj, kind: str, reference: Obj, found: Mapping[Source, Obj | None]) -> str | None:
    optional = bool(reference.get("optional"))
    obj = _existing(Source(kind, reference["name"]), found, optional)
    values = data_of(obj) if obj else {}
    if reference["key"] not in values and not optional:
        place = f"{pod['metadata']['namespace']}/{reference['name']}"
        raise ConfigProblem(f"couldn't find key {reference['key']} in {kind} {place}")
    return values.get(reference["key"])


def _existing(source: Source, found: Mapping[Source, Obj | None], optional: bool) -> Obj | None:
    obj = found.get(source)
    if obj is None and not optional:
        raise ConfigProblem(f'{source.kind.lower()} "{source.name}" not found')
    return obj


def _field(pod: Obj, path: str, address: str) -> str:
    meta, spec = pod["metadata"], pod["spec"]
    if match := _FIELD.fullmatch(path):
        return str((meta.get(match[1]) or {}).get(match[2], ""))
    known = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": "127.0.0.1",
    }
    if path not in known:
        raise ConfigProblem(f"unsupported fieldPath: {path}")
    return str(known[path])
