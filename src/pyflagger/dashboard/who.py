"""Who the API server takes the user for."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from pyflagger.api.facts import Fault, Problem
from pyflagger.kube.client import Client, object_of
from pyflagger.kube.errors import ApiError, Unreachable, error_of
from pyflagger.kube.protocol import ApiRequest, TransportError
from pyflagger.objects import part
from pyflagger.seeing import raw

PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
BODY = orjson.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})


class Who(NamedTuple):
    """A user and its groups; None if the API server does not say."""

    user: str | None = None
    groups: tuple[str, ...] | None = None


async def whoami(client: Client) -> Who:
    """The user of a client. Servers before Kubernetes 1.28 do not say."""
    try:
        return await identified(client)
    except ApiError:
        return Who()


async def identified(client: Client) -> Who:
    """The user of a client. Raises ApiError: NotFound before Kubernetes 1.28, status 401 for refused credentials."""
    try:
        answer = await client.transport.call(ApiRequest("POST", PATH, body=BODY))
    except TransportError as error:
        raise Unreachable(Problem(Fault.CLUSTER, f"the API server does not answer: {error}")) from error
    if answer.status >= 400:
        raise error_of("create", PATH, answer.status, answer.body)
    told = part(part(object_of(answer, "POST", PATH), "status"), "userInfo")
    groups = told.get("groups")
    return Who(raw.text(told, "username") or None, tuple(map(str, groups)) if isinstance(groups, list) else None)
