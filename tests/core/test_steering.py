"""Actions of people: the table of action and phase, the guards before it, and what each effect leads to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from core.world import KUBERNETES, MESH, START, Killed, World, asked, hook, ready_world
from pyflagger.api.actions import FULL, Action
from pyflagger.api.canary import Phase
from pyflagger.api.durations import stamp
from pyflagger.api.facts import ALL_PRIMARY, Fault, Managed, Problem, Route
from pyflagger.core.decision import Promote, SetRoute
from pyflagger.core.effects import Column, column
from pyflagger.core.memory import Conflict, Time
from pyflagger.core.steering import TABLE
from pyflagger.core.view import View

RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
GATES = [hook("confirm-rollout"), hook("confirm-traffic-increase"), hook("confirm-promotion")]
WEIGHTED = {"stepWeight": 20, "maxWeight": 60, "metrics": [RATE], "webhooks": GATES}
BROKEN = Problem(Fault.CLUSTER, "deployment web is broken", "Mend it.")


def running(**facts: Any) -> World:
    """A release at weight 20."""
    return _at(ready_world(WEIGHTED, **facts).change("v1:r2"), 20)


def _at(world: World, weight: int) -> World:
    while world.status.canary_weight != weight:
        world.run(0.5)
    return world


def idle() -> World:
    """No release."""
    return ready_world(WEIGHTED)


def waiting() -> World:
    """At the first gate."""
    return ready_world(WEIGHTED, hooks={"confirm-rollout": "no"}).change("v1:r2").until(Phase.WAITING)


def at_the_last_gate() -> World:
    """All steps are done."""
    return ready_world(WEIGHTED, hooks={"confirm-promotion": "no"}).change("v1:r2").until(Phase.WAITING_PROMOTION)


def rolling_back() -> World:
    """A rollback has begun and waits for the primary."""
    world = running()
    assert world.primary
    world.primary.failing = "some"
    return world.ask("abort")


def promoting() -> World:
    """The primary has the new revision."""
    world = ready_world(WEIGHTED, rollout=30).change("v1:r2")
    return world.until(Phase.PROMOTING)


def failed() -> World:
    """Rolled back."""
    world = ready_world(WEIGHTED, metrics={RATE["name"]: 1}).change("v1:r2").until(Phase.FAILED)
    world.metrics.clear()
    return world


def suspended() -> World:
    """In the middle of a release."""
    return running().spec(suspend=True)


def initializing() -> World:
    """The primary does not come up."""
    world = ready_world(WEIGHTED)
    world.canary = world.canary.model_copy(update={"status": world.status.but(phase=Phase.INITIALIZING)})
    assert world.primary
    world.primary.failing = "some"
    return world


def deleting() -> World:
    """The target is not ready to take over."""
    world = ready_world(WEIGHTED).delete()
    world.target.failing = "some"
    world.look()
    return world


PLACES: Mapping[str, Callable[[], World]] = {
    "idle": idle,
    "waiting": waiting,
    "judging": running,
    "last gate": at_the_last_gate,
    "rolling back": rolling_back,
    "copied": promoting,
    "failed": failed,
    "suspended": suspended,
    "initializing": initializing,
    "deleting": deleting,
}


@cache
def _made(place: str) -> World:
    return PLACES[place]()


def at(place: str) -> World:
    """A canary in a state of the table. Each is played once."""
    return deepcopy(_made(place))


COLUMNS = {"last gate": Column.JUDGING, "deleting": Column.DELETING}

ASKED: Mapping[str, dict[str, Any]] = {
    "promote": {"action": "promote"},
    "promote-full": {"action": "promote", "full": True},
    "pause": {"action": "pause"},
    "resume": {"action": "resume"},
    "abort": {"action": "abort"},
    "retry": {"action": "retry"},
    "restart": {"action": "restart"},
    "weight": {"action": "weight", "weight": 30},
    "undo": {"action": "undo"},
    "open-gate": {"action": "open-gate", "gate": "confirm-promotion"},
    "close-gate": {"action": "close-gate", "gate": "confirm-promotion"},
}


WANTED = """
             idle              waiting    judging    last-gate  rolling-back copied     failed         suspended
promote      nothing-under-way not-begun  -          -          rolling-back already-so failed-already suspended
promote-full nothing-under-way -          -          -          rolling-back already-so failed-already suspended
pause        -                 -          -          -          -            copied     -              -
resume       already-so        already-so already-so already-so already-so   already-so already-so     already-so
abort        nothing-under-way -          -          -          already-so   copied     already-so     suspended
retry        nothing-under-way not-failed not-failed not-failed rolling-back not-failed -              suspended
restart      nothing-under-way not-begun  -          -          rolling-back copied     failed-already suspended
weight       nothing-under-way not-begun  -          -          rolling-back copied     failed-already suspended
undo         no-record         under-way  under-way  under-way  under-way    promoting  no-record      suspended
open-gate    nothing-under-way -          -          -          rolling-back copied     failed-already suspended
close-gate   nothing-under-way -          -          -          rolling-back copied     failed-already suspended
"""


def cells() -> list[tuple[str, str, str]]:
    """Action, place and code; `-` is Done."""
    head, *lines = [line for line in WANTED.splitlines() if line.strip()]
    places = [place.replace("-", " ") for place in head.split()]
    found = []
    for line in lines:
        action, *codes = line.split()
        found += [(action, place, code) for place, code in zip(places, codes, strict=True)]
        found += [(action, "initializing", "initializing"), (action, "deleting", "deleting")]
    return found


def answered(world: World, action: str, **more: Any) -> tuple[str, str]:
    """State and code of the answer to an action."""
    world.ask(**{**ASKED[action], **more})
    if not world.requests:
        return world.codes[-1]
    world.run(1)
    return world.codes[-1]


@pytest.mark.parametrize(("action", "place", "code"), cells())
def test_the_table(action: str, place: str, code: str) -> None:
    """Each action in each state: done, already so, or refused, and then nothing is pending."""
    world = at(place)
    assert column(View.of(world.situation())) is COLUMNS.get(place, Column(place) if place in set(Column) else None)
    before = world.status
    state, got = answered(world, action)
    assert (state, got) == (("Done", "") if code == "-" else ("Done" if code == "already-so" else "Refused", code))
    assert not world.requests and world.status.last_action and world.status.last_action.result == state
    if state == "Refused":
        assert world.status.but(last_action=None) == before.but(last_action=None), "a refusal changes nothing"
        assert any("refused: " in text for text in world.texts)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("action", ASKED)
def test_guards(action: str, place: str) -> None:
    """Another revision and a time that is over, in each state."""
    world = at(place)
    gone = place in ("initializing", "deleting")
    wrong = answered(world, action, revision="v1:other")
    assert wrong == ("Refused", place if gone else "other-revision")
    assert answered(world, action, expires=stamp(world.now)) == ("Expired", "expired")
    assert any(text.endswith(f"expired at {stamp(world.now)}") for text in world.texts)


@pytest.mark.parametrize("place", ["idle", "waiting", "judging", "copied", "failed"])
@pytest.mark.parametrize("action", ASKED)
def test_a_blocked_canary(action: str, place: str) -> None:
    """Only what changes nothing but the status; what is refused anyway is refused for that reason."""
    world = at(place)
    world.problems = (BROKEN,)
    calm = at(place)
    usual = answered(calm, action)
    found = answered(world, action)
    harmless = action in ("pause", "resume", "close-gate") or (action, place) == ("abort", "judging")
    unread = action == "undo" and place in ("idle", "failed")
    if usual[0] == "Refused" and not unread:
        assert found == usual
    elif harmless or (action, place) == ("abort", "failed"):
        assert found[0] == "Done"
    else:
        assert found == ("Refused", "blocked")


def test_an_abort_of_a_blocked_canary_is_carried_out_later() -> None:
    """It is written down."""
    world = running()
    world.problems = (BROKEN,)
    world.ask("abort")
    assert world.status.phase is Phase.PROGRESSING and world.status.rollback == "Aborted"
    world.problems = ()
    assert world.until(Phase.FAILED).route == ALL_PRIMARY


def test_every_verb_has_a_row() -> None:
    """And a column of this test."""
    assert set(TABLE) == {FULL, *Action} == set(ASKED)
    assert {action for action, *_ in cells()} == set(ASKED)


def test_an_action_that_breaks_the_rules() -> None:
    """Where the API server evaluates none."""
    world = running().ask("dance").ask("weight").ask("open-gate", gate="other")
    assert world.codes == [("Refused", "invalid"), ("Refused", "invalid"), ("Refused", "no-such-gate")]
    assert "there are: confirm-rollout (confirm-rollout), confirm-traffic-increase" in world.marked[-1][3]


# Pauses -------------------------------------------------------------------------------------------------------------


def test_a_pause_holds_and_a_resume_goes_on() -> None:
    """Rounds go on being judged; the step follows one interval after the resume."""
    world = running().ask("pause", reason="logs")
    calls = len(world.calls)
    world.run(100)
    assert world.status.canary_weight == 20 and len(world.calls) > calls + 5
    world.ask("resume")
    resumed = world.now
    _at(world, 40)
    assert world.now >= resumed + world.interval
    assert world.until(Phase.SUCCEEDED).outcomes[-1] == "Promoted"
    assert (
        "Paused shop.test at canary weight 20 by ann: logs" in world.texts and "Resumed shop.test by ann" in world.texts
    )


@pytest.mark.parametrize("where", [0, 40])
def test_a_pause_before_the_first_step_and_before_the_promotion(where: int) -> None:
    """The first round and the last one."""
    world = ready_world({"stepWeight": 20, "maxWeight": 40, "webhooks": [hook("pre-rollout")]}).change("v1:r2")
    world = world.until(Phase.PROGRESSING) if where == 0 else _at(world, where)
    world.ask("pause").run(100)
    assert (world.status.phase, world.status.canary_weight) == (Phase.PROGRESSING, where)
    world.ask("resume").until(Phase.SUCCEEDED)


def test_a_paused_release_rolls_back() -> None:
    """As ever; the pause holds the next release."""
    world = running().ask("pause")
    world.metrics = {RATE["name"]: 1}
    world.until(Phase.FAILED)
    assert world.status.hold is not None
    world.metrics = {}
    world.change("v1:r3").run(60)
    assert world.status.phase is Phase.FAILED
    world.ask("resume").until(Phase.SUCCEEDED)


def test_a_pause_that_only_counts_failed_checks() -> None:
    """They move nothing; after the resume one more round decides."""
    world = running().ask("pause", onFailure="hold")
    world.metrics = {RATE["name"]: 1}
    world.run(80)
    assert world.status.failed_checks > 2 and world.status.phase is Phase.PROGRESSING
    world.ask("resume")
    assert world.status.failed_checks == 1
    world.until(Phase.FAILED)


def test_a_check_that_passes_again_while_paused() -> None:
    """The condition Halted ends."""
    world = running().ask("pause")
    world.metrics = {RATE["name"]: [1, 100]}
    world.run(12)
    assert any(each.type == "Halted" for each in world.status.conditions)
    world.run(12)
    assert not any(each.type == "Halted" for each in world.status.conditions)


@pytest.mark.parametrize(("then", "phase"), [("resume", Phase.SUCCEEDED), ("abort", Phase.FAILED)])
def test_a_pause_with_an_end(then: str, phase: Phase) -> None:
    """It ends by itself, and what follows is said."""
    world = running()
    end = stamp(world.now + 50)
    world.ask("pause", until=end, then=then).run(45)
    assert world.status.hold and world.status.canary_weight == 20
    world.until(phase)
    assert world.status.hold is None
    text = "Rolling back shop.test: the pause" if then == "abort" else "Resumed shop.test: the pause"
    assert any(said.startswith(f"{text} by ann ended at {end}") for said in world.texts)


def test_an_end_between_releases() -> None:
    """There is nothing to abort."""
    world = idle().ask("pause", until=stamp(START + 500), then="abort").run(600)
    assert world.status.hold is None and world.status.phase is Phase.INITIALIZED


def test_a_long_pause_is_told_each_day() -> None:
    """A Warning and an alert, once a day; another one after another day."""
    world = idle().ask("pause").fresh_record()
    world.run(3 * 86400)
    told = [text for text in world.texts if "has been paused by ann for" in text]
    assert [text.split(" for ")[1] for text in told] == ["24 hours", "48 hours", "72 hours"]
    assert len(world.alerts) == 3


def test_a_changed_pause() -> None:
    """Another end replaces the pause."""
    world = running().ask("pause").ask("pause", onFailure="hold")
    assert world.codes == [("Done", ""), ("Done", "")] and world.status.hold and world.status.hold.on_failure == "hold"


def test_a_pause_twice() -> None:
    """The second one changes nothing, not even who holds the release."""
    world = running().ask("pause").ask("pause", by="bob")
    assert world.codes == [("Done", ""), ("Done", "already-so")] and world.status.hold and world.status.hold.by == "ann"


def test_a_new_revision_of_a_paused_release() -> None:
    """It restarts at weight 0 and stays held."""
    world = running().ask("pause").change("v1:r3").run(60)
    assert (world.status.phase, world.route) == (Phase.PROGRESSING, ALL_PRIMARY)


def test_a_pause_at_the_first_gate() -> None:
    """The gate opens, and nothing starts."""
    world = waiting().ask("pause")
    world.hooks = {}
    world.run(60)
    assert world.status.phase is Phase.WAITING
    world.ask("resume").until(Phase.SUCCEEDED)


@pytest.mark.parametrize("facts", [{"spec": {"skipAnalysis": True}}, {"keeps": 0}])
def test_a_pause_holds_every_way_to_a_copy(facts: dict[str, Any]) -> None:
    """A skipped analysis and a handover."""
    world = ready_world({"stepWeight": 50, "maxWeight": 50, "metrics": []}, **facts).change("v1:r2")
    if "keeps" in facts:
        while world.status.canary_weight != 100:
            world.run(0.25)
    else:
        world.until(Phase.PROGRESSING)
    world.ask("pause").run(60)
    assert world.status.phase is Phase.PROGRESSING
    world.ask("resume").until(Phase.SUCCEEDED)


def test_a_pause_of_a_revision_that_cannot_serve() -> None:
    """It does not even begin."""
    world = idle().ask("pause")
    world.deaf = {"v1:r2": BROKEN}
    world.change("v1:r2").run(30)
    assert world.status.phase is Phase.INITIALIZED


# Promotions ---------------------------------------------------------------------------------------------------------


def test_a_promotion_judges_now() -> None:
    """The gates of the promotion are not asked, and a pause ends."""
    world = running(hooks={"confirm-promotion": "no"}).ask("pause").fresh_record().ask("promote")
    assert world.codes[-1] == ("Done", "") and world.status.hold is None
    assert [name for name, *_ in world.calls] == [RATE["name"]]
    assert sum(isinstance(each, Promote) for each in world.actions) == 1
    assert world.until(Phase.SUCCEEDED).outcomes[-1] == "Promoted"
    assert "Promotion of shop.test asked for by ann" in world.texts


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"metrics": {RATE["name"]: 93}}, "success rate 93.00% < 99%"),
        ({"hooks": {"rollout": "no"}}, "rollout"),
        ({"hooks": {"rollback": True}}, "Rollback"),
    ],
)
def test_a_promotion_whose_round_fails(facts: dict[str, Any], why: str) -> None:
    """It is refused with the check, and no failed check is counted."""
    world = ready_world({**WEIGHTED, "webhooks": [hook("rollout"), hook("rollback")]}, hooks={"rollback": "no"})
    _at(world.change("v1:r2"), 20)
    world.hooks, world.metrics = {"rollback": "no", **facts.get("hooks", {})}, facts.get("metrics", {})
    world.ask("promote")
    assert world.codes == [("Refused", "checks-fail")] and why in world.marked[0][3]
    assert (world.status.failed_checks, world.status.phase) == (0, Phase.PROGRESSING)


def test_a_promotion_before_anything_was_judged() -> None:
    """Only in full."""
    world = ready_world(WEIGHTED, rollout=30).change("v1:r2").until(Phase.PROGRESSING)
    assert world.ask("promote").codes == [("Refused", "unjudged")]


@pytest.mark.parametrize("facts", [{}, {"keeps": 0}])
@pytest.mark.parametrize("make", [waiting, running, at_the_last_gate])
def test_a_full_promotion(make: Callable[..., World], facts: dict[str, Any]) -> None:
    """No check is asked, all gates are open, and pods must be ready."""
    world = make()
    world.keeps = facts.get("keeps")
    world.metrics, world.hooks = {RATE["name"]: 1}, dict.fromkeys(("confirm-rollout", "confirm-promotion"), "no")
    world.fresh_record().ask("promote", full=True, reason="hotfix")
    assert world.until(Phase.SUCCEEDED).calls == []
    assert ("warn", "Promotion of shop.test asked for by ann: hotfix") in world.alerts
    assert world.status.promote is None and world.primary and world.primary.revision == "v1:r2"


def test_a_full_promotion_is_about_one_revision() -> None:
    """A new one is judged."""
    world = waiting().ask("promote", full=True)
    world.target.ready_at = world.now + 30
    world.change("v1:r3").look()
    assert world.status.promote is None and world.status.phase is Phase.PROGRESSING
    world = waiting()
    world.kill_after = 3
    world.ask("promote", full=True).change("v1:r3")
    world.metrics = {RATE["name"]: 1}
    assert world.run(200).status.phase is not Phase.SUCCEEDED


def test_a_promotion_waits_for_pods_and_an_abort_overtakes_it() -> None:
    """The promotion is refused then."""
    world = running()
    world.target.failing = "some"
    world.ask("promote").run(20)
    assert world.codes == []
    world.ask("resume").run(1)
    assert world.codes == []
    world.ask("abort")
    assert [code for _, code in world.codes[:2]] == ["", "rolling-back"]


def test_a_promotion_waits_for_the_route_and_expires() -> None:
    """Nothing is judged meanwhile."""
    world = running()
    world.route_waiting = "HTTPRoute shop is not ready"
    world.ask("promote", expires=stamp(world.now + 30)).run(60)
    assert world.codes == [("Expired", "expired")]


def test_a_promotion_of_a_release_that_fails() -> None:
    """The rollback comes first."""
    world = running().ask("pause", onFailure="hold")
    world.metrics = {RATE["name"]: 1}
    world.run(60)
    assert world.ask("promote").codes[-1] == ("Refused", "checks-fail")
    world = running()
    world.canary = world.canary.model_copy(update={"status": world.status.but(failed_checks=5)})
    assert world.ask("promote").codes == [("Refused", "rolling-back")]


def test_a_promotion_during_a_handover() -> None:
    """It is under way already."""
    world = ready_world({"stepWeight": 50, "maxWeight": 50, "metrics": []}, keeps=0).change("v1:r2")
    while world.status.canary_weight != 100:
        world.run(0.25)
    assert world.ask("promote").codes == [("Done", "already-so")]


# Aborts, retries, restarts, weights ---------------------------------------------------------------------------------


def test_an_abort_at_the_first_gate() -> None:
    """The revision is refused; a retry runs it again."""
    world = waiting().ask("abort", reason="not today").until(Phase.FAILED)
    assert "Rolling back shop.test aborted by ann: not today" in world.texts
    world.hooks = {}
    world.run(30)
    assert world.status.phase is Phase.FAILED
    world.ask("retry").until(Phase.SUCCEEDED)
    assert world.status.again is None


def test_an_abort_at_the_first_gate_of_a_blocked_canary() -> None:
    """Its revision may be unknown."""
    world = waiting()
    world.target_problem = BROKEN
    assert world.ask("abort").codes == [("Refused", "blocked")]


def test_a_retry_goes_through_its_gate() -> None:
    """And is not withdrawn there."""
    world = failed()
    world.hooks = {"confirm-rollout": "no"}
    world.ask("retry").run(60)
    assert world.status.phase is Phase.WAITING
    world.hooks = {}
    world.until(Phase.SUCCEEDED)
    assert world.records[max(world.records)]["spec"]["cause"] == "retry"


def test_a_retry_of_what_needs_none() -> None:
    """Asked for twice, a new revision, and the promoted one."""
    world = failed()
    world.problems = ()
    world.ask("pause").ask("retry").ask("retry")
    assert world.codes[1:] == [("Done", ""), ("Done", "already-so")]
    world = failed().ask("pause").change("v1:r3").ask("retry")
    assert world.codes[-1] == ("Done", "already-so")
    world = failed().change("v1:r1").ask("retry")
    assert world.codes == [("Refused", "not-failed")]


def test_a_restart() -> None:
    """From weight 0, with the same number, and gates that people opened are closed again."""
    world = running().ask("open-gate", gate="confirm-promotion").fresh_record().ask("restart")
    assert world.routes[0] == ALL_PRIMARY and world.status.gates is None
    assert world.status.release and world.status.release.number == 2
    world.until(Phase.SUCCEEDED)
    assert world.outcomes == ["Initialized", "Promoted"]


def test_a_weight() -> None:
    """At once; the next step is the next larger one."""
    world = running().fresh_record().ask("weight", weight=50)
    assert world.routes == [Route(50, 50)]
    world.until(Phase.SUCCEEDED)
    assert world.weights == [50, 70, 0]
    assert "Canary weight of shop.test set to 50 by ann" in world.texts


def test_a_weight_that_holds() -> None:
    """The pause is of the same write."""
    world = at_the_last_gate().ask("weight", weight=10, hold=True).run(60)
    assert (world.status.phase, world.status.canary_weight) == (Phase.PROGRESSING, 10)
    assert world.status.hold is not None


@pytest.mark.parametrize(
    ("analysis", "facts", "code"),
    [
        ({"iterations": 5}, KUBERNETES, "no-weights"),
        ({"iterations": 5}, MESH, "no-weights"),
        ({"stepWeight": 10, "maxWeight": 20}, {}, "above-max"),
        (
            {"stepWeight": 10, "maxWeight": 60, "webhooks": [hook("pre-rollout")]},
            {"hooks": {"pre-rollout": "no"}},
            "not-checked",
        ),
    ],
)
def test_a_weight_that_cannot_be(analysis: dict[str, Any], facts: dict[str, Any], code: str) -> None:
    """The provider, the strategy, the maximum, and pre-rollout checks."""
    world = ready_world({**analysis, "threshold": 9}, **facts).change("v1:r2").until(Phase.PROGRESSING)
    world.run(6)
    assert world.ask("weight", weight=30).codes == [("Refused", code)]


# Gates --------------------------------------------------------------------------------------------------------------


def test_gates_of_people() -> None:
    """An open one is not asked; a closed one wins over its URL; both for one revision."""
    world = waiting().ask("open-gate", gate="confirm-rollout")
    assert world.status.phase is Phase.PROGRESSING
    world.ask("close-gate", gate="confirm-promotion").ask("close-gate", gate="confirm-promotion")
    assert world.codes[1:] == [("Done", ""), ("Done", "already-so")]
    world.fresh_record().until(Phase.WAITING_PROMOTION, limit=200)
    assert "confirm-promotion" not in [name for name, *_ in world.calls]
    world.ask("open-gate", gate="confirm-promotion").until(Phase.SUCCEEDED)
    assert world.status.gates is None


def test_a_gate_that_asks_nobody() -> None:
    """It is closed until an action opens it."""
    gate = {**hook("confirm-promotion", "approve"), "url": "flagger://gate"}
    world = ready_world({"stepWeight": 20, "maxWeight": 40, "webhooks": [gate]}).change("v1:r2")
    world.until(Phase.WAITING_PROMOTION).run(100)
    assert world.calls == [] and world.status.phase is Phase.WAITING_PROMOTION
    told = next(each.message for each in world.status.conditions if each.type == "Promoted")
    assert told.endswith("To open it: flagger gate open shop approve -n test")
    world.ask("open-gate", gate="approve").until(Phase.SUCCEEDED)


@pytest.mark.parametrize("action", ["promote", "weight"])
def test_a_route_that_another_controller_resets(action: str) -> None:
    """Neither a promotion nor a weight."""
    world = running()
    fought = Conflict(times=9, at=Time(world.now), by=Managed("argocd", "ingress web"))
    world.memory = replace(world.memory, conflicts={"routing": fought})
    assert answered(world, action) == ("Refused", "contested")


# Crashes ------------------------------------------------------------------------------------------------------------

STORIES: Mapping[str, tuple[Callable[[], World], dict[str, Any], Phase]] = {
    "pause": (running, ASKED["pause"], Phase.PROGRESSING),
    "resume": (lambda: running().ask("pause"), ASKED["resume"], Phase.SUCCEEDED),
    "abort": (running, ASKED["abort"], Phase.FAILED),
    "abort at the gate": (waiting, ASKED["abort"], Phase.FAILED),
    "promote": (running, ASKED["promote"], Phase.SUCCEEDED),
    "promote in full": (waiting, ASKED["promote-full"], Phase.SUCCEEDED),
    "retry": (failed, ASKED["retry"], Phase.SUCCEEDED),
    "restart": (running, ASKED["restart"], Phase.SUCCEEDED),
    "weight": (running, ASKED["weight"], Phase.SUCCEEDED),
    "gate": (at_the_last_gate, ASKED["open-gate"], Phase.SUCCEEDED),
    "refused": (running, ASKED["retry"], Phase.SUCCEEDED),
}


@pytest.mark.long
@pytest.mark.parametrize("story", STORIES)
def test_killed_after_every_write(story: str) -> None:
    """The effect is there once, one result, one record closed, and nothing is pending."""
    make, spec, phase = STORIES[story]
    calm = make()
    begun = len(calm.actions)
    calm.ask(**spec).run(150)
    assert calm.status.phase is phase
    for cut in range(len(calm.actions) - begun):
        world = make()
        world.kill_after = cut
        world.ask(**spec).run(200)
        assert (world.status.phase, world.requests) == (phase, []), f"killed after {cut}"
        assert [each[:2] for each in world.marked] == [each[:2] for each in calm.marked], f"killed after {cut}"
        assert world.outcomes == calm.outcomes, f"killed after {cut}"
        assert sum(isinstance(each, Promote) for each in world.actions) <= 1 + (story == "retry")


def test_a_death_in_the_middle_of_a_weight() -> None:
    """The route has it and the status does not: the action is carried out again, and nobody else is blamed."""
    world = running()
    world.kill_after = 1
    world.requests.append(asked("w", stamp(world.now), action="weight", weight=50))
    with pytest.raises(Killed):
        world.settle()
    world.look()
    assert world.codes == [("Done", "")] and not any("Another client" in text for text in world.texts)
    assert [each.route.canary for each in world.actions if isinstance(each, SetRoute)][-1] == 50
