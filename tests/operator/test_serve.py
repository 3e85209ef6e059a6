"""The lease and the operator's work go different ways: whoever is busy does not lose what it leads by."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

import pytest

from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client
from pyflagger.kube.lease import NAME, Timing
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.kube.resources import LEASES
from pyflagger.operator.options import Options
from pyflagger.operator.run import serve
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess
from stage.stage import Script, healthy

pytestmark = pytest.mark.looptime


class Busy(InProcess):
    """A way on which calls wait behind others for an hour."""

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Carry out a call, late."""
        await asyncio.sleep(3600)
        return await super().call(request)


async def test_a_lease_is_renewed_however_many_calls_wait() -> None:
    """Ten minutes in which nothing else gets through."""
    clock = LoopClock()
    server = ApiServer(clock)
    own = InProcess(server, "lease")
    await Client(own, clock).call("POST", "/api/v1/namespaces", {"metadata": {"name": "test"}})
    options = Options(enable_leader_election=True, leader_election_namespace="test", port=0)
    served = asyncio.ensure_future(serve(options, Busy(server, "flagger"), own, Script(healthy), clock))
    await clock.sleep(600)
    lease = await Client(own, clock).get(LEASES, "test", NAME)
    renewed = datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp()
    assert clock.now() - renewed < Timing().renew and not served.done()
    served.cancel()
    with suppress(asyncio.CancelledError):
        await served
