"""Verbs over a transport: what is repeated, what is not, and what an error says."""

from __future__ import annotations

import json

import pytest
from scripted import Scripted, config, page, refusal, said

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    NotLeader,
    ServerError,
    Throttled,
    Unreachable,
)
from pyflagger.kube.protocol import TransportError
from pyflagger.kube.resources import CANARIES, CONFIG_MAPS, LEASES, UnknownKind, resource_of
from pyflagger.objects import Create, Delete, Patch, Ref, Resource

pytestmark = pytest.mark.looptime

REF = CONFIG_MAPS.ref("test", "a")
AWAY = TransportError("connection refused")


def client(*answers: object) -> tuple[Client, Scripted]:
    """A client whose calls are answered so."""
    transport = Scripted(answers)  # type: ignore[arg-type]
    return Client(transport, LoopClock()), transport


# Paths --------------------------------------------------------------------------------------------------------------

PATHS = {
    "a core collection": (CONFIG_MAPS, ("test",), "/api/v1/namespaces/test/configmaps"),
    "a core object": (CONFIG_MAPS, ("test", "a"), "/api/v1/namespaces/test/configmaps/a"),
    "everywhere": (CANARIES, (), "/apis/flagger.app/v1beta1/canaries"),
    "a subresource": (
        CANARIES,
        ("test", "web", "status"),
        "/apis/flagger.app/v1beta1/namespaces/test/canaries/web/status",
    ),
    "cluster-wide": (Resource("", "v1", "nodes", "Node", namespaced=False), ("test", "n1"), "/api/v1/nodes/n1"),
}


@pytest.mark.parametrize("case", PATHS)
def test_paths(case: str) -> None:
    """Groups, namespaces, subresources."""
    resource, parts, path = PATHS[case]
    assert resource.path(*parts) == path


def test_a_kind_that_nobody_knows() -> None:
    """It is refused by name, never guessed."""
    assert resource_of(CANARIES.ref("a", "b")) is CANARIES
    with pytest.raises(UnknownKind, match=r"example\.com/v1 Widget is not a kind that flagger supports"):
        resource_of(Ref("example.com/v1", "Widget", "a", "b"))


# Verbs --------------------------------------------------------------------------------------------------------------


async def test_a_patch_is_a_merge_patch_with_the_version_it_was_made_for() -> None:
    """A lost update is found by the server, and nothing else of the body is touched."""
    door, transport = client(said(200, config("a", 2)))
    await door.patch(Patch(REF, {"data": {"x": None}, "metadata": {"labels": {"a": "b"}}}, "7"))
    (request,) = transport.asked
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/test/configmaps/a")
    assert request.content_type == "application/merge-patch+json"
    assert json.loads(request.body or b"") == {
        "data": {"x": None},
        "metadata": {"labels": {"a": "b"}, "resourceVersion": "7"},
    }


async def test_a_patch_of_a_status() -> None:
    """The subresource is in the path; without a version none is sent."""
    door, transport = client(said(200, {}))
    await door.patch(Patch(CANARIES.ref("test", "web"), {"status": {"phase": "Failed"}}, subresource="status"))
    assert transport.asked[0].path.endswith("/canaries/web/status")
    assert json.loads(transport.asked[0].body or b"") == {"status": {"phase": "Failed"}}


async def test_writes_by_value() -> None:
    """Each kind of write is one request; a deletion gives nothing back."""
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "test"}}
    door, transport = client(said(201, made), said(200, made), said(200, {"kind": "Status"}))
    assert await door.apply(Create(made)) == made
    assert await door.apply(Patch(REF, {"data": {}})) == made
    assert await door.apply(Delete(REF)) is None
    assert transport.verbs == ["POST", "PATCH", "DELETE"]
    assert transport.asked[0].path == "/api/v1/namespaces/test/configmaps"
    assert json.loads(transport.asked[2].body or b"") == {"propagationPolicy": "Background"}
    assert door.requests == {"POST": 1, "PATCH": 1, "DELETE": 1}


async def test_deleting_what_is_gone_is_success() -> None:
    """Twice deleted is deleted; anything else that goes wrong is told."""
    door, _ = client(refusal(404, "NotFound"))
    await door.delete(REF)
    door, _ = client(refusal(403, "Forbidden", "no right"))
    with pytest.raises(Forbidden):
        await door.delete(REF)


async def test_a_replacement_names_the_object() -> None:
    """As Leases are renewed."""
    lease = {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": {"name": "l", "namespace": "n"}}
    door, transport = client(said(200, lease))
    await door.replace(lease)
    assert transport.asked[0].method == "PUT"
    assert transport.asked[0].path == "/apis/coordination.k8s.io/v1/namespaces/n/leases/l"


async def test_an_answer_without_a_body() -> None:
    """An empty object."""
    door, transport = client(page())
    transport._calls = [type(transport._calls[0])(200, {}, b"")]  # type: ignore[union-attr, call-arg]
    assert await door.call("GET", "/version") == {}


# Errors -------------------------------------------------------------------------------------------------------------

ERRORS: dict[str, tuple[int, str, type[ApiError], str]] = {
    "bad request": (400, "BadRequest", Invalid, ""),
    "forbidden": (403, "Forbidden", Forbidden, "Grant flagger's service account the verb get for it (RBAC)."),
    "not there": (404, "NotFound", NotFound, ""),
    "changed meanwhile": (409, "Conflict", Conflict, ""),
    "there already": (409, "AlreadyExists", AlreadyExists, ""),
    "compacted": (410, "Expired", Gone, ""),
    "not accepted": (422, "Invalid", Invalid, ""),
    "no reason": (418, "", ServerError, ""),
}


@pytest.mark.parametrize("case", ERRORS)
async def test_refusals(case: str) -> None:
    """Each is an exception of its own that says whose doing it is, asked for once."""
    status, reason, kind, todo = ERRORS[case]
    door, transport = client(refusal(status, reason, "the server's words"))
    with pytest.raises(kind) as caught:
        await door.get(CONFIG_MAPS, "test", "a")
    assert type(caught.value) is kind
    assert "the server's words" in str(caught.value)
    assert caught.value.problem.fault is Fault.CLUSTER
    assert caught.value.problem.todo == todo
    assert caught.value.status == status
    assert len(transport.asked) == 1


@pytest.mark.parametrize(
    "body, text",
    [
        (b"<html>bad gateway</html>", "<html>bad gateway</html>"),
        (b"", "HTTP 418"),
        (b"[1]", "[1]"),
        (b"\xff", "\ufffd"),
    ],
)
async def test_a_refusal_that_is_no_status(body: bytes, text: str) -> None:
    """A proxy's page, nothing, garbage: the text is what there is, cut short."""
    door, transport = client(refusal(500))
    transport._calls = [type(transport._calls[0])(418, {}, body)]  # type: ignore[union-attr, call-arg]
    with pytest.raises(ServerError) as caught:
        await door.get(CONFIG_MAPS, "test", "a")
    assert str(caught.value) == text


async def test_a_long_page_is_cut() -> None:
    """No event of a kilobyte of HTML."""
    door, transport = client(refusal(500))
    transport._calls = [type(transport._calls[0])(418, {}, b"x" * 10_000)]  # type: ignore[union-attr, call-arg]
    with pytest.raises(ServerError) as caught:
        await door.get(CONFIG_MAPS, "test", "a")
    assert len(str(caught.value)) == 300


# Again --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [AWAY, refusal(500), refusal(503), refusal(429)])
async def test_a_read_is_tried_again(trouble: object) -> None:
    """Whatever went wrong on the way, reading twice harms nobody."""
    door, transport = client(trouble, trouble, said(200, config("a", 1)))
    assert (await door.get(CONFIG_MAPS, "test", "a"))["metadata"]["name"] == "a"
    assert transport.verbs == ["GET"] * 3


@pytest.mark.parametrize(
    "trouble, error", [(AWAY, Unreachable), (refusal(500), ServerError), (refusal(503), ServerError)]
)
async def test_a_write_is_not(trouble: object, error: type[ApiError]) -> None:
    """It may have been carried out: whoever decided decides again."""
    door, transport = client(trouble, said(200, {}))
    with pytest.raises(error):
        await door.patch(Patch(REF, {}))
    assert transport.verbs == ["PATCH"]


async def test_a_write_that_was_throttled_is_tried_again() -> None:
    """429 means that nothing was done."""
    door, transport = client(refusal(429), said(200, {"ok": True}))
    assert await door.patch(Patch(REF, {})) == {"ok": True}
    assert transport.verbs == ["PATCH", "PATCH"]


async def test_the_server_says_when() -> None:
    """Retry-After is honoured, up to a bound."""
    slow = said(429, {}, retry_after="7")
    door, _ = client(slow, said(200, {}))
    clock = LoopClock()
    began = clock.monotonic()
    await door.get(CONFIG_MAPS, "test", "a")
    assert 7 <= clock.monotonic() - began <= 9
    door, _ = client(said(429, {}, retry_after="3600"), said(200, {}))
    began = clock.monotonic()
    await door.get(CONFIG_MAPS, "test", "a")
    assert clock.monotonic() - began <= 20


async def test_nothing_is_tried_for_ever() -> None:
    """After a few tries the last answer is the answer."""
    door, transport = client(refusal(429, "TooManyRequests", "slow down"))
    with pytest.raises(Throttled, match="slow down"):
        await door.get(CONFIG_MAPS, "test", "a")
    assert len(transport.asked) == 4
    door, transport = client(AWAY)
    with pytest.raises(Unreachable, match="the API server does not answer: connection refused"):
        await door.get(CONFIG_MAPS, "test", "a")
    assert len(transport.asked) == 4


# The fence ----------------------------------------------------------------------------------------------------------


async def test_who_does_not_lead_writes_nothing() -> None:
    """Reads pass; every write asks first, again before each repetition."""
    transport = Scripted([refusal(429), said(200, {})])
    open_for = 1

    def fence() -> None:
        nonlocal open_for
        if not open_for:
            raise NotLeader(Problem(Fault.US, "the lease may have been lost", ""))
        open_for -= 1

    door = Client(transport, LoopClock(), fence)
    with pytest.raises(NotLeader):
        await door.patch(Patch(REF, {}))
    assert transport.verbs == ["PATCH"], "the repetition was stopped"
    assert await door.get(CONFIG_MAPS, "test", "a") == {}
