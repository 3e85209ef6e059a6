"""Trouble on demand: how often, for whom, by chance; and the paths of requests."""

from __future__ import annotations

import pytest

from pyflagger.admission.errors import ApiError
from pyflagger.clock import LoopClock
from pyflagger_sandbox.apiserver.faults import Faults, busy, modified, server_error, too_old, writes
from pyflagger_sandbox.apiserver.messages import Request
from pyflagger_sandbox.apiserver.routes import Route, parse

READ, WRITE = Request("GET", "/api/v1/pods"), Request("PUT", "/api/v1/namespaces/n/pods/p")


async def struck(faults: Faults, request: Request) -> int:
    """The status of a fault; 0 for none."""
    try:
        await faults.strike(request, LoopClock())
    except ApiError as error:
        return error.code
    return 0


async def test_a_fault_hits_what_matches_and_no_more_often_than_asked() -> None:
    """Reads pass where writes are to fail."""
    faults = Faults()
    faults.fail(lambda request: busy(2), writes, times=2)
    assert [await struck(faults, each) for each in (READ, WRITE, WRITE, WRITE)] == [0, 429, 429, 0]
    assert faults.rules == []


async def test_a_fault_that_never_happens() -> None:
    """By its probability, and stays asked for."""
    faults = Faults()
    faults.fail(modified, probability=0.0)
    assert await struck(faults, WRITE) == 0
    assert len(faults.rules) == 1


@pytest.mark.parametrize(
    "error, code", [(server_error(), 500), (busy(), 429), (modified(WRITE), 409), (too_old(), 410)]
)
def test_what_can_go_wrong(error: ApiError, code: int) -> None:
    """The answers of a cluster on a bad day."""
    assert error.code == code and error.status()["status"] == "Failure"


@pytest.mark.parametrize(
    "path, route",
    [
        ("/api/v1/pods", Route("", "v1", "pods")),
        ("/api/v1/namespaces", Route("", "v1", "namespaces")),
        ("/api/v1/namespaces/n", Route("", "v1", "namespaces", "", "n")),
        ("/api/v1/namespaces/n/finalize", Route("", "v1", "namespaces", "", "n", "finalize")),
        ("/api/v1/namespaces/n/pods/p/log", Route("", "v1", "pods", "n", "p", "log")),
        ("/apis/apps/v1/namespaces/n/deployments", Route("apps", "v1", "deployments", "n")),
        ("/apis/apps/v1", None),
        ("/healthz", None),
        ("/api/v1/pods/p/log/more/still", None),
    ],
)
def test_a_path(path: str, route: Route | None) -> None:
    """Names a resource, or something else."""
    assert parse(path) == route
