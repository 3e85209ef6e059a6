"""The server's errors, as `Status` objects in the form of the real API server.

Raised by everything below `ApiServer.handle`, which turns them into responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyflagger.objects import Obj


@dataclass(frozen=True, slots=True)
class Cause:
    """One problem of an object: its field, its type, and the text for the user."""

    field: str
    reason: str
    message: str


class ApiError(Exception):
    """A response that is not a success. `code` is the HTTP status, `reason` the word that clients branch on."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def status(self) -> Obj:
        """The `Status` object."""
        body: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        if self.reason:
            body["reason"] = self.reason
        if self.details:
            body["details"] = self.details
        return body | {"code": self.code}


def qualified(plural: str, group: str) -> str:
    """A resource as messages name it: `deployments.apps`, `pods`."""
    return f"{plural}.{group}" if group else plural


def _details(name: str, group: str, kind: str, **more: Any) -> Obj:
    said = {"name": name, "group": group, "kind": kind} | more
    return {key: value for key, value in said.items() if value}


def not_found(plural: str, group: str, name: str) -> ApiError:
    """404: no such object."""
    text = f'{qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", text, _details(name, group, plural))


def no_route() -> ApiError:
    """404: no such path."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """409: an object of that name exists."""
    text = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, _details(name, group, plural))


def conflict(plural: str, group: str, name: str, why: str = "") -> ApiError:
    """409: the object has changed since the client read it."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    text = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", text, _details(name, group, plural))


def apply_conflict(causes: Sequence[Cause]) -> ApiError:
    """409: a server-side apply would take fields from other managers."""
    noun = "conflict" if len(causes) == 1 else "conflicts"
    text = "\n".join([f"Apply failed with {len(causes)} {noun}:", *(f"- {c.message}: {c.field}" for c in causes)])
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    return ApiError(409, "Conflict", text, {"causes": [_cause(cause) for cause in causes]})


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: the object breaks rules of its kind. Lists all problems."""
    texts = [f"{c.field}: {c.message}" for c in causes]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    named = f"{kind}.{group}" if group else kind
    details = _details(name, group, kind, causes=[_cause(cause) for cause in causes])
    return ApiError(422, "Invalid", f'{named} "{name}" is invalid: {joined}', details)


def _cause(cause: Cause) -> Obj:
    return {"reason": cause.reason, "message": cause.message, "field": cause.field}


def bad_request(message: str) -> ApiError:
    """400: the server cannot parse the request."""
    return ApiError(400, "BadRequest", message)


def forbidden(plural: str, group: str, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiError:
    """403: the server rejects a valid request."""
    text = f'{qualified(plural, group)} "{name}" is forbidden: {why}'
    details = _details(name, group, plural, causes=[_cause(cause) for cause in causes])
    return ApiError(403, "Forbidden", text, details)


def expired(message: str) -> ApiError:
    """410: the server no longer keeps the requested version."""
    return ApiError(410, "Expired", message)


def method_not_allowed() -> ApiError:
    """405: the path does not support the verb."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unsupported_media(supported: Sequence[str]) -> ApiError:
    """415: the path does not accept this media type."""
    text = f"the body of the request was in an unknown format - accepted media types include: {', '.join(supported)}"
    return ApiError(415, "UnsupportedMediaType", text, {})


def too_many_requests(seconds: int) -> ApiError:
    """429: retry after `seconds`."""
    text = "too many requests, please try again later"
    return ApiError(429, "TooManyRequests", text, {"retryAfterSeconds": seconds})


def required(path: str, message: str = "") -> Cause:
    """A required value is missing."""
    return Cause(path, "FieldValueRequired", f"Required value: {message}" if message else "Required value")


def wrong(path: str, value: Any, message: str) -> Cause:
    """A value is invalid."""
    return Cause(path, "FieldValueInvalid", f"Invalid value: {shown(value)}: {message}")


def unsupported(path: str, value: Any, supported: Sequence[str]) -> Cause:
    """A value is not in the list of supported values."""
    choices = ", ".join(f'"{choice}"' for choice in supported)
    return Cause(path, "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {choices}")


def shown(value: Any) -> str:
    """A value as messages quote it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
