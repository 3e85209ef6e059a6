"""A part of the cluster that ends is told, and is there again: one test's harm is not the next one's."""

from __future__ import annotations

from e2e.apps import whole
from e2e.environment import Environment
from e2e.stage import Stage


def test_what_ended_is_there_again(stage: Stage, env: Environment) -> None:
    """Killed one after the other; each is named once, and a release goes on as if nothing had been.

    Refusals are overlooked while an API server starts, and not a moment longer.
    """
    for child in (stage.plane.etcd, stage.plane.api, stage.plane.controllers):
        assert child.process is not None
        child.process.kill()
        child.process.wait()
        (said,) = stage.mend()
        assert said.startswith(f"{child.name} ended")
        assert stage.mend() == []
    assert stage.dataplane is not None
    stage.dataplane.terminate()
    stage.dataplane.wait()
    (said,) = stage.mend()
    assert said.startswith("nodes and data plane ended with status 0")
    spans = dict(stage.plane.ready_at)
    assert stage.mend() == [] and stage.plane.ready_at == spans
    env.operator("-min-interval", "1s")
    env.apply(*whole("shop"))
    env.wait("shop", "Initialized")
