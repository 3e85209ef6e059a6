"""What an API server can answer instead of an object, as exceptions that carry a Problem for the user."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Resource


class ApiError(Exception):
    """A call was refused. `problem` says whose doing it is and what to do; `status` is the HTTP code, 0 without one."""

    status = 0

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class NotFound(ApiError):
    """There is no such object."""

    status = 404


class Conflict(ApiError):
    """The object has changed since it was read: decide again."""

    status = 409


class AlreadyExists(ApiError):
    """An object of that name is there."""

    status = 409


class Gone(ApiError):
    """The resource version is no longer kept: list again."""

    status = 410


class Forbidden(ApiError):
    """The service account may not do this."""

    status = 403


class Invalid(ApiError):
    """The server does not accept the object."""

    status = 422


class Throttled(ApiError):
    """The server asks to slow down, and went on doing so."""

    status = 429


class ServerError(ApiError):
    """The server failed."""

    status = 500


class Unreachable(ApiError):
    """No answer at all."""


class NotLeader(ApiError):
    """The lease may have been lost: nothing may be written."""


def not_served(resource: Resource, served: Sequence[str] = ()) -> NotFound:
    """The server does not know the kind, at least not in this version. `served`: what there is of its group."""
    what = f"{resource.full_name} in version {resource.version}"
    text = f"the API server does not serve {what}: its CustomResourceDefinition is not installed, or lacks it"
    text += f" (of group {resource.group} there is {', '.join(served)})" if served else ""
    return NotFound(Problem(Fault.CLUSTER, text, f"Install {what}, or name another kind or provider."))


def error_of(verb: str, path: str, status: int, body: bytes) -> ApiError:
    """The exception for an answer of 400 and above."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = {}
    said = said if isinstance(said, dict) else {}
    message = str(said.get("message") or body[:300].decode("utf-8", "replace") or f"HTTP {status}")
    if status == 403:
        text = f"not allowed to {verb} {path}: {message}"
        return Forbidden(Problem(Fault.CLUSTER, text, f"Give flagger's service account the right to {verb} it (RBAC)."))
    if status == 409 and said.get("reason") == "AlreadyExists":
        return AlreadyExists(Problem(Fault.CLUSTER, message))
    kinds: dict[int, type[ApiError]] = {
        400: Invalid,
        404: NotFound,
        409: Conflict,
        410: Gone,
        422: Invalid,
        429: Throttled,
    }
    kind = kinds.get(status, ServerError)
    error = kind(Problem(Fault.CLUSTER, message, "It is tried again." if status >= 429 else ""))
    error.status = status
    return error
