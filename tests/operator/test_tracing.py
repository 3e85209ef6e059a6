"""Traces of whole releases in virtual time: what is a span, what is its parent, and how a release ends."""

from __future__ import annotations

import pytest

from pyflagger.operator.tracing import Span, Tracing
from stage.manifests import analysis
from stage.story import Story

pytestmark = pytest.mark.looptime

HOOK = {"name": "smoke", "type": "rollout", "url": "http://tester/"}


async def traced(*, bad: bool = False, restart: bool = False) -> list[Span]:
    """The spans of a release with a metric and a hook."""
    spans: list[Span] = []
    story = Story("linkerd", bad=bad, analysis=analysis(webhooks=[HOOK]))
    stage = story.stage
    stage.spectator = Tracing(spans.append, stage.clock)
    await story.begin()
    assert spans == []
    await story.change()
    if restart:
        await story.until("Progressing")
        await stage.clock.sleep(25)
        await stage.stop_operator()
        stage.spectator = Tracing(spans.append, stage.clock)
        await stage.start_operator()
    await story.until("Failed" if bad else "Succeeded")
    await stage.stop()
    return spans


def names(spans: list[Span], parent: int) -> list[str]:
    """The names of the spans below a parent, in order of their beginning."""
    return [span.name for span in sorted(spans, key=lambda one: one.began) if span.parent == parent]


async def test_a_good_release_is_one_trace() -> None:
    """The release holds its steps, each step its checks, within its times; nothing is an error."""
    spans = await traced()
    (release,) = [span for span in spans if span.parent == 0]
    assert release.name == "release shop.test"
    assert {span.trace for span in spans} == {release.trace}
    assert len({span.id for span in spans}) == len(spans)
    steps = names(spans, release.id)
    assert steps[0] == "weight 0" and steps[-2:] == ["Promoting", "Finalising"]
    weights = [step for step in steps if step.startswith("weight")]
    assert len(weights) >= 3
    checks = [span for span in spans if span.parent not in (0, release.id)]
    assert {span.name for span in checks} == {"hook smoke", "metric request-success-rate"}
    assert {span.attributes.get("flagger.value") for span in checks} == {None, 100.0}
    ids = {span.id: span for span in spans}
    for span in spans:
        assert span.began <= span.ended and not span.error
        if span.parent:
            assert ids[span.parent].began <= span.began and span.ended <= ids[span.parent].ended
    assert release.attributes["k8s.namespace.name"] == "test"
    assert release.attributes["flagger.phase"] == "Succeeded"
    assert release.attributes["flagger.checks"] == len(checks)


async def test_a_bad_release_ends_as_an_error() -> None:
    """With the warning that led to its end, and the failed checks that led to it."""
    spans = await traced(bad=True)
    (release,) = [span for span in spans if span.parent == 0]
    assert release.error == "Rolling back shop.test failed checks threshold reached 2"
    assert release.attributes["flagger.phase"] == "Failed"
    assert release.attributes["flagger.failed_checks"] == 2


async def test_a_restart_begins_a_new_trace() -> None:
    """What was not handed over is lost; the rest of the release is a whole trace."""
    spans = await traced(restart=True)
    (release,) = [span for span in spans if span.parent == 0]
    mine = [span for span in spans if span.trace == release.trace]
    assert release.attributes["flagger.phase"] == "Succeeded"
    assert names(mine, release.id)[-2:] == ["Promoting", "Finalising"]
