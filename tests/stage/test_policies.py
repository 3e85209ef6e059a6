"""The policy of each metric, played end to end: what the release does, and what its status and its events say."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.manifests import INTERVAL, MAX, STEP, analysis, canary, deployment, image, ingress, settings
from stage.stage import Stage, healthy, vector

pytestmark = pytest.mark.looptime

RATE = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
LAG = {"name": "lag", "interval": "1m", "query": "lag", "thresholdRange": {"max": 5}}
DEPTH = {"name": "depth", "interval": "1m", "query": "depth", "thresholdRange": {"max": 5}}
NOTHING, DOWN = HttpAnswer(200, vector()), HttpAnswer(500, b"scripted failure")
STEPS = MAX // STEP
MISSING = "no values found for metric: lag"


class Release:
    """A release of `shop`. `answers` maps a query, or a part of it, to its answers, of which the last is repeated.

    `statuses` are the statuses that followed each other since the release began, as seen every quarter of a second.
    """

    def __init__(self, *metrics: Obj, **more: Any) -> None:
        self.stage = Stage(self._answer)
        self.asked: list[str] = []
        self.answers: dict[str, list[HttpAnswer]] = {}
        self.statuses: list[Obj] = []
        self._canary = canary("shop", analysis=analysis(**{"threshold": 1, "metrics": list(metrics), **more}))

    def answering(self, part: str, *answers: str | HttpAnswer) -> Release:
        """With these answers to the queries that contain `part`. A text is a value."""
        self.answers[part] = [HttpAnswer(200, vector(each)) if isinstance(each, str) else each for each in answers]
        return self

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        query = parse_qs(urlsplit(request.url).query).get("query", [""])[0]
        answers = next((self.answers[part] for part in self.answers if part in query), None)
        if answers is None:
            return await healthy(request)
        self.asked.append(query)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def ends(self, phase: str) -> Release:
        """Play it. It must end in this phase."""
        await self.stage.start()
        await self.stage.namespace("test")
        for obj in (settings("shop"), deployment("shop"), ingress("shop"), self._canary):
            await self.stage.create(obj)
        await self._until("Initialized")
        await self.stage.set_image("shop", "shop", image("shop", "2"))
        self.statuses.clear()
        await self._until("Succeeded", "Failed")
        assert self.statuses[-1]["phase"] == phase, self.statuses[-1]
        return self

    async def _until(self, *phases: str) -> None:
        end = self.stage.clock.now() + 400
        while not self.statuses or self.statuses[-1].get("phase") not in phases:
            await self.stage.clock.sleep(0.25)
            status = await self.stage.status("shop")
            self.statuses += [status] if self.statuses[-1:] != [status] else []
            assert self.stage.clock.now() < end, f"never {phases}: {status}"

    @property
    def rounds(self) -> list[tuple[int, int, str]]:
        """Weight, failed checks and results right after each round that has results."""
        found: dict[str, tuple[int, int, str]] = {}
        for status in self.statuses:
            if results := self.said_in(status, "Judged").partition("Results: ")[2]:
                found.setdefault(self.judged_at(status), (status["canaryWeight"], status["failedChecks"], results))
        return list(found.values())

    def said_in(self, status: Obj, kind: str) -> str:
        """The message of a condition; empty without the condition."""
        return next((each["message"] for each in status.get("conditions") or () if each["type"] == kind), "")

    def judged_at(self, status: Obj) -> str:
        """When the last round of a status ended."""
        return next((each["lastUpdateTime"] for each in status["conditions"] if each["type"] == "Judged"), "")

    async def events(self) -> list[str]:
        """The texts of all events."""
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [f"{event['type']} {event['message']}" for event in listed["items"]]


async def test_no_data_holds_a_step_and_passes() -> None:
    """The weight stays for `noDataAfter`, no failed check is counted, and two events say when and that it passes."""
    release = Release({**LAG, "noData": "pass", "noDataAfter": "25s"}).answering("lag", NOTHING)
    await release.ends("Succeeded")
    held = (STEP, 0, "lag no values: waiting")
    assert release.rounds == [held, held, held, (MAX, 0, "lag no values: passed")]
    told = await release.events()
    assert len([text for text in told if text.startswith("Warning Waiting for data until ")]) == 1
    assert told.count("Warning Metric lag passes without data, because noData is pass: " + MISSING) == 1


async def test_no_data_holds_a_step_and_fails() -> None:
    """After `noDataAfter` it is a failed check: here the one that rolls back."""
    release = Release({**LAG, "noData": "wait", "noDataAfter": "15s"}).answering("lag", NOTHING)
    await release.ends("Failed")
    held = (STEP, 0, "lag no values: waiting")
    assert release.rounds == [held, held, (STEP, 1, "lag no values: failed")]
    halts = [release.said_in(status, "Halted") for status in release.statuses]
    assert any(
        text.startswith("Waiting for data until ") and f"then the check fails: {MISSING}" in text for text in halts
    )
    assert f"Warning Halt advancement {MISSING}" in await release.events()


async def test_data_ends_the_wait() -> None:
    """The next value is judged, and the release goes on at once."""
    release = Release({**LAG, "noData": "wait"}).answering("lag", NOTHING, NOTHING, "1")
    await release.ends("Succeeded")
    held = (STEP, 0, "lag no values: waiting")
    assert release.rounds == [held, held, (MAX, 0, "lag 1.00: passed")]
    halts = [(status["canaryWeight"], release.said_in(status, "Halted")) for status in release.statuses]
    assert {bool(text) for weight, text in halts if weight == MAX} == {False}


async def test_too_few_requests_are_no_data() -> None:
    """flagger counts the requests of a built-in metric: 2 a second for a minute are 120, and 5 are 300."""
    release = Release({**RATE, "minSamples": 200, "noData": "wait"})
    release.answering("* 100", "40", "99.9").answering("ingress_controller_requests", "2", "5")
    await release.ends("Succeeded")
    assert release.rounds[0] == (STEP, 0, "request-success-rate 40.00%: waiting")
    assert release.rounds[1] == (MAX, 0, "request-success-rate 99.90%: passed")
    assert any("request-success-rate has 120 samples, minSamples is 200" in text for text in await release.events())


async def test_too_few_samples_of_a_query_fail() -> None:
    """Without `noData`. Exactly the minimum is enough."""
    counted = {**LAG, "minSamples": 10, "samplesQuery": "count(lags)"}
    release = Release(counted, threshold=2).answering("count(lags)", "9", "10").answering("lag", "1")
    await release.ends("Succeeded")
    assert release.rounds == [(STEP, 1, "lag 1.00: failed"), (MAX, 1, "lag 1.00: passed")]
    assert "Warning Halt shop.test advancement lag has 9 samples, minSamples is 10" in await release.events()


@pytest.mark.parametrize(("errors", "phase", "failed"), [(2, "Succeeded", 0), (3, "Failed", 1)])
async def test_errors_of_a_provider(errors: int, phase: str, failed: int) -> None:
    """Two in a row are tolerated, the third is a failed check."""
    release = Release({**LAG, "errorLimit": 2}).answering("lag", *[DOWN] * errors, "1")
    await release.ends(phase)
    held = (STEP, 0, "lag query failed: waiting")
    last = (STEP, 1, "lag query failed: failed") if failed else (MAX, 0, "lag 1.00: passed")
    assert release.rounds == [held, held, last]
    assert any("(error 2 in a row: flagger holds the step" in text for text in await release.events())


@pytest.mark.parametrize("answer", ["9", NOTHING, DOWN], ids=["bad", "none", "error"])
async def test_a_dry_run_never_decides(answer: str | HttpAnswer) -> None:
    """It is asked for, judged and shown beside a metric that decides, and the release takes no step later."""
    release = Release({**LAG, "dryRun": True, "noData": "wait", "errorLimit": 3}, DEPTH)
    await release.answering("lag", answer).answering("depth", "1").ends("Succeeded")
    assert release.asked.count("lag") == release.asked.count("depth") == STEPS
    ((weight, failed, results),) = release.rounds
    assert (weight, failed) == (MAX, 0)
    assert results.startswith("lag ") and results.endswith(" (dry run); depth 1.00: passed")
    told = await release.events()
    assert any(text.startswith("Normal Dry run of metric lag, which does not decide: ") for text in told)
    assert not any("Halt" in text for text in told)


async def test_a_delay_lets_a_young_run_go_on() -> None:
    """A metric that would fail is not asked for in the first 15 seconds, and rolls back afterwards."""
    release = Release({**LAG, "initialDelay": "15s"}, DEPTH).answering("lag", "9").answering("depth", "1")
    await release.ends("Failed")
    assert release.rounds == [
        (MAX, 0, "lag: not due; depth 1.00: passed"),
        (MAX, 1, "lag 9.00: failed; depth 1.00: passed"),
    ]
    assert release.asked == ["depth", "lag", "depth"]


@pytest.mark.parametrize(("counting", "phase"), [("cumulative", "Failed"), ("consecutive", "Succeeded")])
async def test_failed_checks_in_a_row(counting: str, phase: str) -> None:
    """Two failed checks with a passed round between them reach a threshold of 2 only if all are counted."""
    release = Release(LAG, threshold=2, counting=counting).answering("lag", "9", "1", "9", "1")
    await release.ends(phase)
    assert [failed for _, failed, _ in release.rounds] == ([1, 1, 2] if phase == "Failed" else [1, 0, 1])


async def test_one_bad_metric_does_not_hide_the_others() -> None:
    """All are asked in the same round. The event names the first of the list that fails."""
    release = Release({**LAG, "noData": "wait"}, DEPTH, {**RATE, "thresholdRange": {"min": 99}})
    release.answering("lag", NOTHING).answering("depth", "9").answering("ingress_controller_requests", "50")
    await release.ends("Failed")
    assert release.rounds == [
        (STEP, 1, "lag no values: waiting; depth 9.00: failed; request-success-rate 50.00%: failed")
    ]
    halts = [text for text in await release.events() if "Halt" in text]
    assert halts == ["Warning Halt shop.test advancement depth 9.00 > 5"]


async def test_a_policy_is_patient_between_rounds_only() -> None:
    """A wait changes neither the interval nor what is asked: one query each round."""
    release = Release({**LAG, "noData": "wait"}).answering("lag", NOTHING, NOTHING, "1")
    await release.ends("Succeeded")
    times = [release.judged_at(status) for status in release.statuses if "waiting" in release.said_in(status, "Judged")]
    seconds = [float(text[17:-1]) for text in dict.fromkeys(times)]
    assert (seconds[1] - seconds[0]) % 60 == pytest.approx(INTERVAL, abs=0.5)
    assert release.asked == ["lag"] * 4
