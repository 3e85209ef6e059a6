"""The API server's errors, as exceptions that carry a Problem for the user."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Resource


class ApiError(Exception):
    """A call failed. `problem` says who caused it and what to do; `status` is the HTTP code, 0 without an answer."""

    status = 0

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class NotFound(ApiError):
    """The object does not exist."""

    status = 404


class Conflict(ApiError):
    """The object has changed since it was read. Observe and decide again."""

    status = 409


class AlreadyExists(ApiError):
    """An object with this name exists."""

    status = 409


class Gone(ApiError):
    """The server no longer keeps the resource version. List again."""

    status = 410


class Forbidden(ApiError):
    """RBAC denies the call."""

    status = 403


class Invalid(ApiError):
    """The server rejects the object."""

    status = 422


class Throttled(ApiError):
    """The server throttles us, also after retries."""

    status = 429


class ServerError(ApiError):
    """The server failed."""

    status = 500


class Unreachable(ApiError):
    """The server did not answer."""


class NotLeader(ApiError):
    """This replica may have lost the lease, so it must not write."""


def not_served(resource: Resource, served: Sequence[str] = ()) -> NotFound:
    """The server does not serve the kind in this version. `served`: the versions that it serves of the kind's group."""
    what = f"{resource.full_name} in version {resource.version}"
    text = f"the API server does not serve {what}: its CustomResourceDefinition is not installed or lacks this version"
    text += f" (served versions of {resource.group}: {', '.join(served)})" if served else ""
    return NotFound(Problem(Fault.CLUSTER, text, f"Install {what}, or use another kind or provider."))


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
        todo = f"Grant flagger's service account the verb {verb} for it (RBAC)."
        return Forbidden(Problem(Fault.CLUSTER, text, todo))
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
    error = kind(Problem(Fault.CLUSTER, message, "flagger tries again." if status >= 429 else ""))
    error.status = status
    return error
