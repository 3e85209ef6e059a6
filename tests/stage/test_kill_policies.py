"""Killed after every write while a policy of a metric holds a step: the wait is longer, and the end is the same."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.manifests import INTERVAL, MAX, STEP, analysis
from stage.stage import healthy, vector
from stage.test_kill import NEW, Play, check_safety

LAG = {"name": "lag", "interval": "1m", "query": "lag", "noData": "wait", "thresholdRange": {"max": 5}}
DEPTH = {"name": "depth", "interval": "1m", "query": "depth", "errorLimit": 5, "thresholdRange": {"max": 5}}
SEEN = {"name": "seen", "interval": "1m", "query": "seen", "thresholdRange": {"max": 5}}
SPARE = {**SEEN, "name": "spare", "query": "spare", "noData": "pass", "noDataAfter": f"{1.5 * INTERVAL:g}s"}
SILENT_SECONDS, BROKEN_SECONDS = 2.5 * INTERVAL, 1.5 * INTERVAL


class Patient(Play):
    """A release whose first step waits: `lag` has no data and `depth` has errors for a while, `spare` never has data.

    The while begins with the first query, so a release that was killed before has the same rounds. `seen` is asked
    together with the others, and tells the witness that a weight was judged.
    """

    def __init__(self, fatal: int | None, heard: bool) -> None:
        metrics = [LAG, DEPTH, SPARE, SEEN]
        super().__init__(fatal, heard, analysis=analysis(threshold=1, metrics=metrics))
        self.since: float | None = None

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """Prometheus, whose answers depend on the query and the time."""
        query = parse_qs(urlsplit(request.url).query).get("query", [""])[0]
        now = self.stage.clock.now()
        if query in ("lag", "depth", "spare", "seen"):
            self.since = now if self.since is None else self.since
        passed = 0.0 if self.since is None else now - self.since
        match query:
            case "lag":
                return HttpAnswer(200, vector() if passed < SILENT_SECONDS else vector("1"))
            case "depth":
                broken = passed < BROKEN_SECONDS
                return HttpAnswer(500, b"scripted failure") if broken else HttpAnswer(200, vector("1"))
            case "spare":
                return HttpAnswer(200, vector())
            case "seen":
                self.witness.query()
                return HttpAnswer(200, vector("1"))
        return await healthy(request)


async def waiting(play: Patient) -> None:
    """A release is promoted after its first step has waited."""
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(STEP)
    await play.phase("Succeeded")


async def played(fatal: int | None, heard: bool) -> tuple[Patient, Obj]:
    """Play it; what is left of it."""
    play = Patient(fatal, heard)
    await waiting(play)
    return play, await play.end()


def check_patience(play: Patient) -> None:
    """The first step was held for as long as `lag` had no data."""
    (moved,) = (seen.at for seen in play.witness.weights if seen.what == MAX)
    assert play.since is not None and moved - play.since >= SILENT_SECONDS, play.witness.weights


@pytest.mark.long
@pytest.mark.looptime
@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "heard"])
async def test_killed_after_every_write_of_a_wait(heard: bool) -> None:
    """The memory of silence and errors is lost. No check fails for it, no step is skipped, nothing is left over."""
    calm, wanted = await played(None, heard)
    check_safety(calm)
    check_patience(calm)
    assert wanted["Canary"]["shop"]["failedChecks"] == 0
    statuses = [write for write in calm.mortal.writes if write.endswith("/canaries/shop/status")]
    assert len(statuses) >= 6
    for fatal in range(1, len(calm.mortal.writes) + 1):
        try:
            play, found = await played(fatal, heard)
            assert play.mortal.dead.is_set()
            assert found == wanted
            check_safety(play)
            check_patience(play)
        except AssertionError as error:
            raise AssertionError(f"killed after write {fatal}, {calm.mortal.writes[fatal - 1]}: {error}") from error
