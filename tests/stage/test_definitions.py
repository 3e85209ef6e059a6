"""Every story on the definitions that a cluster keeps from the reference, which drop what they do not know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from pyflagger.api.crds import crds
from pyflagger.api.status import PUBLISHED, STEERED
from pyflagger.kube.client import ApiError
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage import test_kill
from stage.definitions import BEFORE_PROMOTED_SPECS, BEFORE_SETS_OF_COOKIES, CONDITION, STATUS, reference
from stage.manifests import analysis, canary, image
from stage.stage import MERGE, OURS, Stage, path_of
from stage.story import Story
from stage.test_kill import NEW, Play

pytestmark = pytest.mark.looptime

DEFINITIONS = {"ours": OURS, "1.44": reference(), "1.19": reference(BEFORE_PROMOTED_SPECS)}
SETS = pytest.mark.parametrize("definitions", [OURS, DEFINITIONS["1.44"]], ids=["ours", "1.44"])
ITERATED = {key: value for key, value in analysis().items() if key not in ("stepWeight", "maxWeight")} | {
    "iterations": 2
}
INSIDERS = [{"headers": {"x-canary": {"exact": "insider"}}}]
STOP = {"type": "rollback", "name": "stop", "url": "http://hooks/stop"}
LATE = image("shop", "broken")


class Acted(Play):
    """A playing with one hook that people can open."""

    open = False

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """The hook says no until it is opened."""
        if request.url == STOP["url"] and not self.open:
            return HttpAnswer(403, b"closed")
        return await super().answer(request)


Tale = Callable[[Acted], Awaitable[None]]


async def stopped(play: Acted) -> None:
    """A rollback hook ends a release."""
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(25)
    play.open = True
    await play.phase("Failed")


async def late(play: Acted) -> None:
    """The canary's pods never get ready."""
    await play.begin()
    await play.stage.set_image("shop", "shop", LATE)
    await play.phase("Progressing")
    await play.phase("Failed")


TALES: dict[str, tuple[Tale, dict[str, Any]]] = {
    "good": (test_kill.good, {}),
    "bad": (test_kill.bad, {}),
    "failed promotion": (test_kill.stuck, {}),
    "restarted": (test_kill.restarted, {}),
    "deleted": (test_kill.deleted, {"revertOnDeletion": True}),
    "rollback hook": (stopped, {"analysis": analysis(webhooks=[STOP])}),
    "deadline": (late, {}),
    "a-b": (test_kill.good, {"analysis": ITERATED | {"match": INSIDERS}}),
    "blue-green": (test_kill.good, {"analysis": ITERATED}),
    "without a router": (test_kill.good, {"analysis": ITERATED, "provider": "kubernetes"}),
}


async def played(tale: str, definitions: Sequence[Obj], fatal: int | None = None) -> tuple[Acted, Obj, list[str]]:
    """Play a tale; what is left of it, and the texts of its warnings with their counts."""
    story, spec = TALES[tale]
    play = Acted(fatal, False, definitions=definitions, **spec)
    await story(play)
    listed = await play.stage.client.call("GET", path_of("Event", "test"))
    warned = [event for event in listed["items"] if event["type"] == "Warning"]
    return play, await play.end(), sorted(f"{event.get('count', 1)} {event['message']}" for event in warned)


@pytest.mark.parametrize("version", ["1.44", pytest.param("1.19", marks=pytest.mark.long)])
@pytest.mark.parametrize("tale", TALES)
async def test_a_story_on_the_references(tale: str, version: str) -> None:
    """The same end as on ours, and the same warnings as often. They have no kind for records of releases."""
    _, wanted, usual = await played(tale, OURS)
    assert "Running" not in [outcome for outcome, *_ in wanted.pop("CanaryRelease").values()]
    _, left, warned = await played(tale, DEFINITIONS[version])
    for status in (left["Canary"].get("shop"), wanted["Canary"].get("shop")):
        if status and version == "1.19":
            del status["promoted is applied"]
    assert left == wanted
    assert warned == usual
    assert not [text for text in usual if "no end" in text]


@pytest.mark.long
@pytest.mark.parametrize("tale", ["bad", "failed promotion", "rollback hook", "deadline"])
async def test_killed_after_every_write_on_the_references(tale: str) -> None:
    """The next operator brings the story to the same end, and the rollback is told at most twice."""
    calm, wanted, _ = await played(tale, reference())
    for fatal in range(1, len(calm.mortal.writes) + 1):
        play, found, warned = await played(tale, reference(), fatal)
        assert play.mortal.dead.is_set()
        assert found == wanted, f"killed after write {fatal}, {calm.mortal.writes[fatal - 1]}"
        rolled = [text for text in warned if "Rolling back" in text]
        assert sum(int(text.split()[0]) for text in rolled) <= 2


@pytest.mark.parametrize("fields", [STATUS, BEFORE_SETS_OF_COOKIES], ids=["1.44", "1.42"])
@pytest.mark.parametrize("provider", ["gatewayapi:v1", "istio"])
async def test_session_affinity_on_the_references(provider: str, fields: frozenset[str]) -> None:
    """Cookies are worked out again where they are not kept."""
    affinity = {"cookieName": "ck", "primaryCookieName": "pk"}
    story = Story(provider, analysis=analysis(sessionAffinity=affinity))
    story.stage.crds = reference(fields)
    await story.begin()
    await story.change()
    assert await story.until("Succeeded", "Failed") == "Succeeded"
    assert [weight for weight in story.seen if weight] == [25, 50] and story.seen[-1] == 0
    assert not [text for text in await story.said() if "no end" in text]


@SETS
async def test_a_round_counts_on_after_a_restart(definitions: Sequence[Obj]) -> None:
    """A weight is held for one interval, not for another one from each restart on."""
    play = Acted(None, True, definitions=definitions)
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(25)
    begun = play.stage.clock.now()
    for _ in range(3):
        await play.stage.clock.sleep(2.5)
        play.mortal.dead.set()
        play.mortal = test_kill.Killable(play.stage, None, True)
        await test_kill.awake(play.stage, play.mortal).start()
    await play.weight(50)
    assert play.stage.clock.now() - begun < 12


# What the definitions say -------------------------------------------------------------------------------------------


def test_only_fields_for_people_are_dropped_by_the_reference() -> None:
    """Releases do without them: core/test_releases.py plays them with and without. Actions need theirs."""
    (version,) = crds()[0]["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    assert set(status) == STATUS | set(PUBLISHED) | set(STEERED.values())
    assert set(status["conditions"]["items"]["properties"]) == CONDITION


@SETS
async def test_a_time_that_is_none_is_refused(definitions: Sequence[Obj]) -> None:
    """As by a real API server."""
    stage = Stage()
    stage.crds = definitions
    await stage.start(operator=False)
    await stage.namespace("test")
    await stage.create(canary("shop"))
    path = f"{path_of('Canary', 'test', 'shop')}/status"
    condition = {"type": "Promoted", "status": "True", "reason": "Succeeded", "lastUpdateTime": "soon"}
    refused = {"lastTransitionTime": "never"}, {"lastTransitionTime": ""}, {"conditions": [condition]}
    for status in refused:
        with pytest.raises(ApiError, match="must be of type date-time"):
            await stage.client.call("PATCH", path, {"status": status}, MERGE)
    for time in ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00.123456Z", "9999-12-31T23:59:59-14:00"):
        await stage.client.call("PATCH", path, {"status": {"lastTransitionTime": time}}, MERGE)


# Statuses that say nothing that can be read -------------------------------------------------------------------------


def loose() -> list[Obj]:
    """Definitions that take any status."""
    definitions = reference()
    (version,) = definitions[0]["spec"]["versions"]
    root = version["schema"]["openAPIV3Schema"]
    root["properties"]["status"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return definitions


JUDGED = {"type": "Judged", "status": "True", "reason": "RoundEnded"}
NONSENSE: dict[str, Obj] = {
    "a time": {"lastTransitionTime": "never"},
    "an empty time": {"lastTransitionTime": ""},
    "an offset": {"lastTransitionTime": "2026-01-01T00:00:00+99:99"},
    "the last time of all": {"lastTransitionTime": "9999-12-31T23:59:59-14:00"},
    "the first time of all": {"lastTransitionTime": "0001-01-01T00:00:00+14:00"},
    "a round": {"conditions": [{**JUDGED, "lastUpdateTime": "never"}]},
    "a round in a far year": {"conditions": [{**JUDGED, "lastUpdateTime": "9999-12-31T23:59:59Z"}]},
    "a condition": {"conditions": [{"type": "Mine", "status": "True", "reason": "X", "lastTransitionTime": "never"}]},
    "counts": {"failedChecks": 0.5, "iterations": 1.5, "canaryWeight": 24.5},
}


@pytest.mark.parametrize("case", NONSENSE)
async def test_nonsense_in_a_status_stops_no_release(case: str) -> None:
    """What cannot be read is unknown."""
    play = Acted(None, True, definitions=loose())
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(25)
    path = f"{path_of('Canary', 'test', 'shop')}/status"
    await play.stage.client.call("PATCH", path, {"status": NONSENSE[case]}, MERGE)
    await play.phase("Succeeded")
    listed = await play.stage.client.call("GET", path_of("Event", "test"))
    assert not [event["message"] for event in listed["items"] if "bug in flagger" in event["message"]]


@pytest.mark.parametrize("phase", ["Terminating", "Terminated"])
async def test_a_deletion_that_says_it_is_over_goes_on(phase: str) -> None:
    """The reference writes the last phase before it takes its finalizer away; we finish the deletion."""
    play = Acted(None, True, definitions=loose(), revertOnDeletion=True)
    await play.begin()
    path = f"{path_of('Canary', 'test', 'shop')}/status"
    await play.stage.client.call("PATCH", path, {"status": {"phase": phase}}, MERGE)
    await play.stage.delete("Canary", "shop")
    await play.stage.clock.sleep(60)
    with pytest.raises(ApiError):
        await play.stage.get("Canary", "shop")
    assert (await play.stage.get("Deployment", "shop"))["spec"]["replicas"] == 2
    listed = await play.stage.client.call("GET", path_of("Event", "test"))
    assert not [event["message"] for event in listed["items"] if "bug in flagger" in event["message"]]
