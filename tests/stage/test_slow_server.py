"""An API server that takes its time: a weight is held for a whole interval after it is there, however late."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.operator.run import Operator
from pyflagger.sandbox.apiserver.transport import InProcess
from stage.manifests import INTERVAL, MAX, STEP, canary, deployment, image, ingress, settings
from stage.mortal import Witness
from stage.stage import Stage

pytestmark = pytest.mark.looptime

ANSWER_SECONDS = (0.0, 4.0)
"""Every other write to an Ingress is answered this much after it was asked for."""


class Tardy(InProcess):
    """A Transport on which writes to Ingresses arrive late, every other one."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.server, "flagger")
        self._clock, self._count = stage.clock, 0

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Carry out a call."""
        if request.method == "PATCH" and "/ingresses/" in request.path:
            self._count += 1
            await self._clock.sleep(ANSWER_SECONDS[self._count % 2])
        return await super().call(request)


async def test_a_weight_is_held_for_a_whole_interval_after_it_was_written() -> None:
    """A weight that was four seconds late is judged four seconds later, not after what is left of its interval."""
    stage = Stage()
    await stage.start(operator=False)
    await stage.namespace("test")
    for obj in (settings("shop"), deployment("shop"), ingress("shop"), canary("shop")):
        await stage.create(obj)
    witness = Witness(stage)
    await witness.start()
    stage.operator = Operator(stage.options, Tardy(stage), stage.http, stage.clock)
    await stage.operator.start()
    await _phase(stage, "Initialized")
    await stage.set_image("shop", "shop", image("shop", "2"))
    await _phase(stage, "Succeeded")
    steps = [seen for seen in witness.weights if seen.what]
    assert [seen.what for seen in steps] == [*range(STEP, MAX + 1, STEP)]
    until = [*steps, next(seen for seen in witness.images if seen.what == image("shop", "2"))]
    assert all(then.at - seen.at >= INTERVAL for seen, then in pairwise(until)), until
    await stage.stop()


async def _phase(stage: Stage, wanted: str) -> None:
    end = stage.clock.now() + 200
    while (await stage.status("shop")).get("phase") != wanted:
        assert stage.clock.now() < end, await stage.status("shop")
        await stage.clock.sleep(0.25)
