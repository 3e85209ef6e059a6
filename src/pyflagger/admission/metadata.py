"""The rules of `metadata` and `generation`, the same for every kind.

Called by `writing`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from pyflagger.admission.errors import Cause, required, wrong
from pyflagger.admission.resource import Resource
from pyflagger.objects import Obj

# Only the server writes these: an update keeps the old values and ignores the client's.
_SERVER_OWNED = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "namespace",
    "generateName",
)
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_PATH_SEGMENT = re.compile(r"^(?!\.{1,2}$)[^/%]+$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_QUALIFIED = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SERVICE_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_FREE_NAMES = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


def stamp(now: float) -> str:
    """RFC 3339 in whole seconds, the format of `metav1.Time`."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def suffix(unique: str) -> str:
    """Five letters for a generated name, from a UUID."""
    number = int(unique.replace("-", ""), 16)
    return "".join(_SUFFIX[number // len(_SUFFIX) ** place % len(_SUFFIX)] for place in range(5))


def created(obj: Obj, resource: Resource, *, uid: str, now: float) -> Obj:
    """The object with the metadata that the server sets at creation."""
    meta = {
        key: value
        for key, value in obj["metadata"].items()
        if key not in ("resourceVersion", "selfLink", "deletionTimestamp")
    }
    meta |= {"uid": uid, "creationTimestamp": stamp(now)}
    meta.pop("deletionGracePeriodSeconds", None)
    meta.pop("generation", None)
    if resource.generation or resource.custom:
        meta["generation"] = 1
    return {**obj, "metadata": meta}


def updated(new: Obj, old: Obj, resource: Resource) -> Obj:
    """The object with the server's fields of `old`, and with its generation increased when `desired` changed."""
    was = old["metadata"]
    meta = {key: value for key, value in new["metadata"].items() if key not in _SERVER_OWNED and key != "selfLink"}
    meta |= {key: was[key] for key in _SERVER_OWNED if key in was} | {"resourceVersion": was["resourceVersion"]}
    if (resource.generation or resource.custom) and desired(new, resource) != desired(old, resource):
        meta["generation"] = was.get("generation", 1) + 1
    return {**new, "metadata": {key: value for key, value in meta.items() if value not in (None, {}, [])}}


def desired(obj: Obj, resource: Resource) -> Obj:
    """The part whose changes increase the generation: the spec, or a custom resource without metadata and status."""
    if resource.custom:
        outside = ("metadata", "status") if "status" in resource.subresources else ("metadata",)
        return {key: value for key, value in obj.items() if key not in outside}
    return {"spec": obj.get("spec")}


def problems(obj: Obj, old: Obj | None, resource: Resource) -> Iterator[Cause]:
    """The problems of an object's metadata."""
    meta = obj["metadata"]
    if old is None:
        yield from _name_problems(meta, resource)
    yield from _label_problems(meta)
    yield from _finalizer_problems(meta, old)
    for index, owner in enumerate(meta.get("ownerReferences") or ()):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                yield Cause(
                    f"metadata.ownerReferences[{index}].{key}",
                    "FieldValueInvalid",
                    'Invalid value: "": must not be empty',
                )


def _name_problems(meta: Obj, resource: Resource) -> Iterator[Cause]:
    name = meta.get("name") or ""
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif resource.kind in _FREE_NAMES:
        if not _PATH_SEGMENT.match(name):
            yield wrong("metadata.name", name, "may not contain '/' or '%'")
    elif resource.kind == "Service" and not (_LABEL.match(name) and name[0].isalpha() and len(name) <= 63):
        yield wrong("metadata.name", name, _SERVICE_TEXT)
    elif resource.kind == "Namespace" and not (_LABEL.match(name) and len(name) <= 63):
        yield wrong("metadata.name", name, _LABEL_TEXT)
    elif not _SUBDOMAIN.match(name):
        yield wrong("metadata.name", name, _SUBDOMAIN_TEXT)
    elif len(name) > 253:
        yield wrong("metadata.name", name, "must be no more than 253 bytes")


def _label_problems(meta: Obj) -> Iterator[Cause]:
    for key, value in (meta.get("labels") or {}).items():
        if not _QUALIFIED.match(key):
            yield wrong("metadata.labels", key, "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')")  # fmt: skip # noqa: E501
        if len(value) > 63:
            yield wrong("metadata.labels", value, "must be no more than 63 bytes")
        elif not _LABEL_VALUE.match(value):
            yield wrong("metadata.labels", value, _LABEL_VALUE_TEXT)


def _finalizer_problems(meta: Obj, old: Obj | None) -> Iterator[Cause]:
    if old is None or "deletionTimestamp" not in old["metadata"]:
        return
    fresh = [f for f in meta.get("finalizers") or () if f not in (old["metadata"].get("finalizers") or ())]
    if fresh:
        text = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {fresh}"
        yield Cause("metadata.finalizers", "FieldValueForbidden", text)
