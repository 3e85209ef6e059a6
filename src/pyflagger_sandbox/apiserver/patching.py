"""Applies patches, by content type.

Called by `writing`. Every patch returns a new object that shares its unchanged parts with the old one, so that these
need no second check.
"""

from __future__ import annotations

import json

from pyflagger.admission.errors import bad_request, unsupported_media
from pyflagger.admission.resource import Resource
from pyflagger.objects import Obj, merge_apply
from pyflagger_sandbox.apiserver import strategic
from pyflagger_sandbox.apiserver.jsonpatch import apply_json_patch
from pyflagger_sandbox.apiserver.messages import Request

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def media(request: Request) -> str:
    """The content type without parameters."""
    return request.content_type.partition(";")[0].strip()


def apply(request: Request, current: Obj, resource: Resource) -> Obj:
    """`current` after the patch in the request's body. Raises ApiError: 400, 422 (bad patch), 415 (bad type)."""
    form = media(request)
    patch = _decoded(request.body)
    if form == JSON_PATCH:
        return _as_object(apply_json_patch(current, patch))
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: it must be an object")
    if form == MERGE_PATCH:
        return _as_object(merge_apply(current, patch))
    if form == STRATEGIC_PATCH and not resource.custom:
        return _as_object(strategic.merge(resource.model, current, patch))
    raise unsupported_media(supported(resource))


def supported(resource: Resource) -> list[str]:
    """The patch types that a resource supports. Custom resources do not support strategic merge."""
    forms = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH]
    return [form for form in forms if form != STRATEGIC_PATCH or not resource.custom]


def _as_object(value: object) -> Obj:
    if not isinstance(value, dict):
        raise bad_request("the result of a patch must be an object")
    return value


def _decoded(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from None
