"""What the status and the operator's memory are for: hashes of the reference, said-once texts, deletion, ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.world import MESH, World, canary, hook, ready_world
from pyflagger.api.canary import CanaryStatus, Phase
from pyflagger.api.defaults import HEARD_SECONDS
from pyflagger.api.facts import ALL_PRIMARY, READY, Fault, Problem, Readiness, Route
from pyflagger.core.conditions import Cause, Rollback, roll_back
from pyflagger.core.decision import (
    Action,
    Alert,
    Count,
    Decision,
    Part,
    PauseAutoscaler,
    Reason,
    ReleaseFinalizer,
    Revert,
    Say,
    ScaleTarget,
)
from pyflagger.core.revision import RevisionChange, checksum, idle_change, running_change
from pyflagger.core.situation import Sync, Target

STEPS = {"stepWeight": 20, "maxWeight": 40}
FOREIGN = "bcdfg65"
SAY = Say("Normal", Reason("code", "text"), "", "")


MANY = {"stepWeight": 20, "maxWeight": 60}


def with_status(world: World, **changes: object) -> World:
    """Somebody else wrote the status; the operator starts."""
    world.canary = world.canary.model_copy(update={"status": world.status.but(**changes)})
    world.restart()
    return world.fresh_record()


@pytest.mark.parametrize(
    ("actions", "writes"),
    [((), False), ((SAY, Alert("info", "text"), Count("success", "completed")), False), ((SAY, ScaleTarget(2)), True)],
    ids=["nothing", "reports", "a report and a write"],
)
def test_a_decision_that_only_reports_writes_nothing(actions: tuple[Action, ...], writes: bool) -> None:
    """After it the cluster is what the decision has seen."""
    assert Decision(actions=actions).writes is writes


# Hashes of the reference --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED])
def test_a_foreign_hash_is_replaced_silently_when_the_primary_runs_the_target(phase: Phase) -> None:
    """Swapping the operator releases nothing."""
    world = with_status(ready_world(STEPS), phase=phase, last_applied_spec=FOREIGN, last_promoted_spec=FOREIGN)
    world.run(30)
    assert (world.status.last_applied_spec, world.status.last_promoted_spec) == ("v1:r1", "v1:r1")
    assert world.said == [] and world.alerts == [] and world.phases == [phase]


def test_a_foreign_hash_over_a_changed_target_is_a_new_revision() -> None:
    """A change that was made while no operator ran is not lost."""
    world = with_status(ready_world(STEPS), last_applied_spec=FOREIGN, last_promoted_spec=FOREIGN)
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert world.status.last_promoted_spec == "v1:r2"


def test_a_foreign_hash_of_a_failure_does_not_try_it_again() -> None:
    """The refused revision was the target's when the reference looked last."""
    world = ready_world(STEPS)
    with_status(world, phase=Phase.FAILED, last_applied_spec=FOREIGN, last_promoted_spec=FOREIGN).change("v1:r2")
    world.run(30)
    assert world.status.phase is Phase.FAILED and world.status.last_applied_spec == "v1:r2" and world.texts == []
    world.change("v1:r3").until(Phase.SUCCEEDED)


def test_a_foreign_run_goes_on_after_a_full_interval() -> None:
    """Same weight, same revision, no step at once."""
    world = ready_world(STEPS).change("v1:r2").run(8)
    with_status(world, last_applied_spec=FOREIGN, last_promoted_spec=FOREIGN, last_tick_time=None)
    world.run(9)
    assert world.weights == [] and world.texts == [] and world.status.last_applied_spec == "v1:r2"
    world.run(2)
    assert world.weights == [40]
    world.until(Phase.SUCCEEDED)


def test_a_foreign_wait_for_promotion_reports_the_real_weight() -> None:
    """The reference hides it there."""
    world = ready_world(STEPS).change("v1:r2").run(14)
    with_status(world, phase=Phase.WAITING_PROMOTION, canary_weight=0, iterations=-1, last_applied_spec=FOREIGN)
    world.run(1)
    assert world.status.canary_weight == 40
    world.until(Phase.SUCCEEDED)


@pytest.mark.parametrize("changed", [True, False])
def test_a_foreign_promotion_ends_with_what_was_copied(changed: bool) -> None:
    """Whether the target is still that is told by the primary."""
    world = ready_world(STEPS).change("v1:r2").until(Phase.PROMOTING)
    with_status(world, last_applied_spec=FOREIGN, last_promoted_spec=FOREIGN)
    if changed:
        world.change("v1:r3")
    world.until(Phase.SUCCEEDED)
    expected = [FOREIGN, "v1:r3"] if changed else ["v1:r2"]
    ends = [s.last_promoted_spec for s in world.statuses if s.phase is Phase.SUCCEEDED]
    world.run(60)
    ends = list(dict.fromkeys(s.last_promoted_spec for s in world.statuses if s.phase is Phase.SUCCEEDED))
    assert ends == expected


def stored(world: World) -> dict[str, object]:
    """The hashes as another operator would read them."""
    wire = world.status.to_wire()
    kept = [told["message"].split(" ")[:2] for told in wire["conditions"] if told["type"] == "SameRevision"]
    return {"applied": wire["lastAppliedSpec"], "promoted": wire["lastPromotedSpec"], "kept": kept}


def test_the_reference_finds_its_hash_when_it_comes_back() -> None:
    """It releases nothing anew. What flagger releases itself has flagger's hash, and the other one is forgotten."""
    world = with_status(ready_world(STEPS), last_applied_spec="other", last_promoted_spec=FOREIGN).run(30)
    assert stored(world) == {"applied": FOREIGN, "promoted": FOREIGN, "kept": [[FOREIGN, "v1:r1"]]}
    world.change("v1:r2").until(Phase.PROGRESSING)
    assert stored(world) == {"applied": "v1:r2", "promoted": FOREIGN, "kept": [[FOREIGN, "v1:r1"]]}
    world.until(Phase.SUCCEEDED)
    assert stored(world) == {"applied": "v1:r2", "promoted": "v1:r2", "kept": []}


def test_a_foreign_run_keeps_its_hash_to_the_end() -> None:
    """Whenever the reference comes back, it knows the revision of the run, and that of the primary."""
    world = ready_world(STEPS).change("v1:r2").run(8)
    with_status(world, last_applied_spec=FOREIGN, last_promoted_spec="bcdfg64", last_tick_time=None).run(1)
    assert stored(world) == {"applied": FOREIGN, "promoted": "bcdfg64", "kept": [[FOREIGN, "v1:r2"]]}
    world.until(Phase.PROMOTING)
    assert stored(world)["applied"] == FOREIGN
    world.until(Phase.SUCCEEDED)
    assert stored(world) == {"applied": FOREIGN, "promoted": FOREIGN, "kept": [[FOREIGN, "v1:r2"]]}


def test_a_failure_keeps_the_hash_of_the_refused_revision() -> None:
    """So that the reference does not try it again either."""
    world = ready_world(STEPS)
    with_status(world, phase=Phase.FAILED, last_applied_spec=FOREIGN, last_promoted_spec="bcdfg64").change("v1:r2")
    world.run(30)
    assert stored(world) == {"applied": FOREIGN, "promoted": "bcdfg64", "kept": [[FOREIGN, "v1:r2"]]}


def test_a_status_of_crds_that_drop_the_promoted_hash_keeps_the_applied_one() -> None:
    """There is no other."""
    world = with_status(ready_world(STEPS), last_applied_spec=FOREIGN, last_promoted_spec="").run(30)
    assert stored(world)["kept"] == [[FOREIGN, "v1:r1"]]


CONFIGS = {"configmap/a": "1"}


def target(revision: str, configs: dict[str, str] | None = None) -> Target:
    """A target that is ready."""
    return Target(revision, configs, READY, at_zero=False)


@pytest.mark.parametrize(
    ("stored", "now", "changed"),
    [(None, None, False), (None, {}, False), (None, CONFIGS, True), (CONFIGS, {}, True), (CONFIGS, None, False)],
)
def test_configs_found_and_lost(stored: dict[str, str] | None, now: dict[str, str] | None, changed: bool) -> None:
    """Nothing tracked and nothing found is no change; tracking that is off never is one."""
    status = CanaryStatus(
        phase=Phase.SUCCEEDED, last_applied_spec="v1:a", last_promoted_spec="v1:a", tracked_configs=stored
    )
    assert idle_change(status, target("v1:a", now), True) is (RevisionChange.NEW if changed else RevisionChange.NONE)


def test_a_foreign_run_with_other_configs_starts_over() -> None:
    """Their checksums can be compared."""
    status = CanaryStatus(phase=Phase.PROGRESSING, last_applied_spec=FOREIGN, tracked_configs={"configmap/a": "0"})
    assert running_change(status, target("v1:a", CONFIGS), False) is RevisionChange.NEW


def test_the_promoted_template_with_other_configs_is_no_revert() -> None:
    """Only what the primary really runs is."""
    status = CanaryStatus(phase=Phase.PROGRESSING, last_applied_spec="v1:b", last_promoted_spec="v1:a")
    assert running_change(status, target("v1:a", CONFIGS), False) is RevisionChange.NEW
    assert running_change(status, target("v1:a", CONFIGS), True) is RevisionChange.REVERTED


configs = st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
revisions = st.text(max_size=4)


@given(revisions, configs, revisions, configs)
def test_a_checksum_differs_when_either_input_does(
    one: str, some: dict[str, str] | None, other: str, more: dict[str, str] | None
) -> None:
    """And is the same otherwise."""
    assert (checksum(one, some) == checksum(other, more)) is ((one, some) == (other, more))


# Memory -------------------------------------------------------------------------------------------------------------


def test_standing_texts_are_said_when_they_change() -> None:
    """Once each, and again by a new process."""
    world = ready_world().change("v1:r2", failing="one").run(30)
    world.target.failing = "two"
    world.run(30)
    shown = [f"canary deployment web.test not ready: {text}" for text in ("one", "two")]
    assert world.texts[1:] == shown
    world.restart()
    world.run(30)
    assert world.texts[1:] == [*shown, shown[1]]


def test_a_deadline_is_looked_at_in_time() -> None:
    """A waiting workload says when to look again."""
    world = ready_world(rollout=8).change("v1:r2").run(1)
    assert world.decision.wake == world.target.ready_at


def test_problems_are_said_one_by_one_and_together_again_when_they_change() -> None:
    """Each has its event; the condition names them all."""
    world = ready_world()
    world.problems = (Problem(Fault.MANIFEST, "a"), Problem(Fault.CLUSTER, "b"), Problem(Fault.MANIFEST, "a"))
    world.run(20)
    assert world.texts == ["a", "b"] and world.status.conditions[1].message == "a; b"
    assert [reason.fault for reason in world.decision.reasons] == [Fault.MANIFEST, Fault.CLUSTER]
    world.restart()
    world.run(20)
    assert world.texts == ["a", "b", "a", "b"], "a new process says it again and writes nothing"
    assert len(world.statuses) == 1


def test_what_others_are_about_to_mend_is_waited_for() -> None:
    """Nothing moves and nothing is told, but the reason is known; in time it goes on, and too late it is told."""
    world = ready_world()
    passing = Problem(Fault.CLUSTER, "none made yet", passes_by=world.now + 30)
    world.target_problem = passing
    world.change("v1:r2").run(20)
    assert world.texts == [] and world.statuses == [] and world.status.phase is Phase.INITIALIZED
    assert [(r.code, r.text) for r in world.decision.reasons] == [("awaited", "none made yet")]
    assert world.decision.wake == passing.passes_by
    world.run(20)
    assert world.texts == ["none made yet"] and world.status.conditions[1].message == "none made yet"
    world.target_problem = None
    world.run(20)
    assert world.status.phase is Phase.PROGRESSING and "none made yet" not in world.texts[1:]


def test_a_problem_beside_one_that_passes_is_told() -> None:
    """The one is told and named by the condition, the other still waited for."""
    world = ready_world()
    world.problems = (Problem(Fault.MANIFEST, "bad", passes_by=world.now - 1), Problem(Fault.MANIFEST, "worse"))
    world.target_problem = Problem(Fault.CLUSTER, "none made yet", passes_by=world.now + 30)
    world.run(10)
    assert world.texts == ["bad", "worse"] and world.status.conditions[1].message == "bad; worse"
    assert world.decision.wake == world.target_problem.passes_by


def test_a_primary_that_cannot_be_read_holds() -> None:
    """An error is not an answer."""
    world = ready_world()
    world.primary_problem = Problem(Fault.CLUSTER, "no access")
    world.change("v1:r2").run(20)
    assert world.texts == ["no access"] and world.status.phase is Phase.INITIALIZED


def test_a_kind_that_cannot_be_read_holds_and_hides_what_follows_from_it() -> None:
    """Told is the cause, not that its objects seem to be missing; once it is mended the release goes on."""
    world = ready_world(STEPS)
    world.unread = (Problem(Fault.CLUSTER, "not allowed to list routes"),)
    world.target_problem = Problem(Fault.MANIFEST, "target not found")
    world.change("v1:r2").run(20)
    assert world.texts == ["not allowed to list routes"] and world.status.phase is Phase.INITIALIZED
    assert world.status.conditions[1].message == "not allowed to list routes"
    world.unread, world.target_problem = (), None
    world.until(Phase.SUCCEEDED)


def test_a_refused_action_is_told_and_tried_again() -> None:
    """One text and a condition, and the release goes on as if it were allowed; both go when it was."""
    world = ready_world(STEPS)
    world.change("v1:r2").run(2)
    world.refused = Problem(Fault.CLUSTER, "not allowed to patch routes")
    world.run(20)
    assert world.texts.count("not allowed to patch routes") == 1
    assert world.status.phase is Phase.PROGRESSING
    assert world.status.conditions[1].message == "not allowed to patch routes"
    world.refused = None
    world.until(Phase.SUCCEEDED)
    assert world.texts.count("not allowed to patch routes") == 1
    assert len(world.status.conditions) == 1


# Ends ---------------------------------------------------------------------------------------------------------------


def test_success_forgets_failed_checks_and_keeps_cookies() -> None:
    """The counter belongs to a run; what routing keeps in the status is not touched."""
    world = ready_world({**STEPS, "metrics": [{"name": "request-success-rate", "threshold": 99}]})
    world.metrics["request-success-rate"] = [1, 100]
    with_status(world, session_affinity_cookie="a=b").change("v1:r2").until(Phase.SUCCEEDED)
    assert world.status.failed_checks == 0 and world.status.session_affinity_cookie == "a=b"


def test_cookies_follow_the_weight() -> None:
    """One for the release, the last one to be deleted after it, and a rollback ends it as a promotion does."""
    affinity = {"sessionAffinity": {"cookieName": "stay", "primaryCookieName": "home"}}
    world = ready_world({**STEPS, **affinity}, **MESH).change("v1:r2").until(Phase.SUCCEEDED)
    running = {s.session_affinity_cookie for s in world.statuses if s.canary_weight}
    assert len(running) == 1 and running.pop().startswith("stay=")
    assert len({s.primary_session_affinity_cookie for s in world.statuses if s.canary_weight}) == 2
    last = world.status
    assert (last.session_affinity_cookie, last.primary_session_affinity_cookie) == ("", "")
    first = last.previous_session_affinity_cookie
    world.fresh_record().change("v1:r3").until(Phase.SUCCEEDED)
    assert world.status.previous_session_affinity_cookie not in ("", first)


def test_what_hooks_say_after_the_end_changes_nothing() -> None:
    """A failing post-rollout hook is told of, the ones after it are not called."""
    hooks = [hook("post-rollout", name) for name in ("a", "b", "c")]
    world = ready_world({**STEPS, "webhooks": hooks}, hooks={"b": "no"}).change("v1:r2").until(Phase.SUCCEEDED)
    assert [name for name, *_ in world.calls] == ["a", "b"]
    assert world.texts[-3:-1] == ["Post-rollout check a passed", "Post-rollout hook b failed no"]


def test_an_idle_canary_is_left_in_peace() -> None:
    """No wake-up, no write, no word."""
    world = ready_world().run(3600)
    assert world.actions == [] and world.decision.wake is None


def test_a_rollout_that_has_only_just_begun_is_no_news() -> None:
    """Until its status tells of the new spec there is nothing to say, and nothing is done."""
    world = ready_world().change("v1:r2", failing="settling").run(5)
    assert world.texts[-1].startswith("New revision detected!") and world.weights == []
    assert world.decision.reasons[0].text.endswith("settling")
    world.target.failing = ""
    assert world.until(Phase.SUCCEEDED).status.failed_checks == 0


@pytest.mark.parametrize("phase", [Phase.TERMINATED, Phase.TERMINATING])
def test_what_is_over_stays_so(phase: Phase) -> None:
    """Also when the object is still there for somebody else's sake."""
    world = with_status(ready_world(), phase=phase).delete()
    world.deleting = False
    assert world.change("v1:r2").run(60).actions == [] and world.decision.reasons[0].code == "deleted"


@pytest.mark.parametrize("phase", [Phase.TERMINATED, Phase.TERMINATING, Phase.UNKNOWN])
def test_what_is_not_being_deleted_is_initialized_again(phase: Phase) -> None:
    """Said once. What the target runs by now is a new revision."""
    world = with_status(ready_world(), phase=phase).change("v1:r2").run(1)
    assert [text for text in world.texts if "again: its status has" in text] == [world.texts[0]]
    assert world.until(Phase.SUCCEEDED).phases[:3] == ["Initializing", "Initialized", "Progressing"]


@pytest.mark.parametrize("part", ["ok", "drift"])
@pytest.mark.parametrize("broken", [False, True])
def test_routes_of_an_earlier_life_lead_to_the_primary_before_the_target_sleeps(part: Sync, broken: bool) -> None:
    """As soon as the primary is ready; until then nothing moves."""
    world = ready_world(MANY).change("v1:r2").run(15)
    assert world.route and world.route.canary and world.primary is not None
    world.parts[Part.ROUTING], world.primary.failing = part, "for now" if broken else ""
    with_status(world, phase=Phase.TERMINATED).run(1)
    assert world.routes == ([] if broken else [ALL_PRIMARY])
    world.primary.failing = ""
    assert world.until(Phase.SUCCEEDED).routes[0] == ALL_PRIMARY


def test_a_value_that_cannot_be_read_is_told_once() -> None:
    """And what it was understood as is written."""
    world = ready_world()
    read = CanaryStatus.model_validate({**world.status.to_wire(), "canaryWeight": 300})
    world.canary = world.canary.model_copy(update={"status": read})
    world.run(30)
    told = "Replacing invalid values in the status of shop.test: status.canaryWeight 300"
    assert world.texts == [told] and world.status.unread == ()


def test_an_unknown_phase_is_told_with_what_was_stored() -> None:
    """Then the canary is initialized again."""
    world = ready_world()
    read = CanaryStatus.model_validate({**world.status.to_wire(), "phase": "Analysing"})
    world.canary = world.canary.model_copy(update={"status": read})
    world.run(30)
    assert world.texts[0].endswith("in the status of shop.test: status.phase 'Analysing'")
    assert world.phases == ["Initializing", "Initialized"]


# Deletion -----------------------------------------------------------------------------------------------------------

REVERTING = {"revertOnDeletion": True}


def test_deletion_hands_back_in_a_safe_order() -> None:
    """The target's pods first, and only once they are ready what sends users to them."""
    world = ready_world(spec=REVERTING, paused=True).delete()
    world.run(1)
    assert world.status.phase is Phase.TERMINATING and not world.gone
    assert [a for a in world.actions if isinstance(a, Revert | PauseAutoscaler)] == [
        PauseAutoscaler(False),
        Revert("target"),
    ]
    world.run(10)
    assert world.gone
    assert [a for a in world.actions if isinstance(a, Revert | ReleaseFinalizer)] == [
        Revert("target"),
        Revert("apex-service"),
        Revert("routing"),
        ReleaseFinalizer(),
    ]
    assert world.texts[0] == "Terminating canary shop.test" and world.texts[-1] == "Terminated canary shop.test"
    assert [phase for *_, phase, _, text in world.said if text.startswith("Termina")] == ["Initialized", "Terminating"]
    assert "starting initialization" not in world.status.conditions[0].message


def test_deletion_waits_for_the_target_for_as_long_as_it_takes() -> None:
    """Traffic stays on the primary; it is looked at again every interval."""
    world = ready_world(spec=REVERTING)
    world.target.failing = "deadline"
    world.delete().run(200)
    text = "canary not ready during finalizing: canary deployment web.test not ready: deadline"
    assert world.texts == ["Terminating canary shop.test", text] and not world.gone
    assert world.decision.wake == world.now + world.interval or world.decision.wake is not None
    assert Revert("apex-service") not in world.actions
    world.target.failing = ""
    world.run(20)
    assert world.gone


def test_what_served_stays_until_proxies_have_heard_of_the_end() -> None:
    """Handed back at once, gone a moment later, also when another process goes on with it."""
    world = ready_world(spec=REVERTING)
    world.delete().run(world.rollout + HEARD_SECONDS - 0.5)
    assert Revert("routing") in world.actions and not world.gone
    world.restart()
    world.run(HEARD_SECONDS - 0.5)
    assert not world.gone
    world.run(1)
    assert world.gone


def test_deletion_stops_a_run_and_starts_none() -> None:
    """No ticks from then on, whatever the target says."""
    world = ready_world(STEPS, spec=REVERTING).change("v1:r2").run(8).fresh_record()
    world.delete().change("v1:r3").run(60)
    assert world.gone and world.routes == [] and world.phases == ["Terminating"]


@pytest.mark.parametrize("suspend", [True, False])
def test_deletion_is_not_held_up_by_problems(suspend: bool) -> None:
    """Neither by an invalid manifest nor by a target that is gone, nor by suspension."""
    world = ready_world(spec=REVERTING).spec(suspend=suspend)
    world.problems = (Problem(Fault.MANIFEST, "bad"),)
    world.target_problem = Problem(Fault.CLUSTER, "not there")
    world.delete().run(5)
    assert world.gone and Revert("target") not in world.actions


def test_deletion_waits_for_what_cannot_be_read() -> None:
    """Nothing is handed back blindly, and the finalizer stays until it can be."""
    world = ready_world(spec=REVERTING)
    world.unread = (Problem(Fault.CLUSTER, "not allowed to list routes"),)
    world.delete().run(20)
    assert not world.gone and not [action for action in world.actions if isinstance(action, Revert)]
    assert world.texts[-1] == "not allowed to list routes"
    world.unread = ()
    world.run(20)
    assert world.gone


def test_deletion_while_a_rollback_is_under_way() -> None:
    """The rollback is forgotten: everything goes back anyway."""
    world = ready_world(STEPS, spec=REVERTING)
    begun = roll_back(world.status, Rollback(Cause.DEADLINE, Reason("x", "out of time")), world.now)
    with_status(world, conditions=begun.conditions, phase=Phase.PROGRESSING)
    assert world.status.rollback == "DeadlineExceeded"
    world.delete().run(20)
    assert world.gone and world.status.rollback is None


def test_deletion_without_our_finalizer_is_none_of_our_business() -> None:
    """The object goes, and what it owns with it."""
    world = ready_world()
    world.delete().deleting = False
    world.fresh_record().run(60)
    assert world.actions == []


def test_readiness_of_the_model() -> None:
    """What the world tells of pods that roll."""
    world = World(canary(), rollout=5)
    world.target.ready_at = world.now + 5
    assert world.target.readiness("x", world.now) == Readiness(False, "x not ready: rolling", True, world.now + 5)


def test_routes_of_a_fresh_world() -> None:
    """All traffic on the primary once it is initialized."""
    assert ready_world().route == ALL_PRIMARY == Route(100, 0)


# What an earlier spec left ------------------------------------------------------------------------------------------

OLD = ("Ingress web-canary", "Service web-primary")
TOLD = "Ingress web-canary, Service web-primary of shop.test: left from an earlier spec and no longer reconciled"


def test_what_is_left_is_named_once_and_stops_nothing() -> None:
    """Through a whole release; another list is told anew, none is silent, and a new process tells again."""
    world = ready_world(STEPS)
    world.leftovers = OLD
    world.change("v1:r2").until(Phase.SUCCEEDED).run(60)
    assert world.texts.count(TOLD) == 1 and world.texts[0] == TOLD
    assert [kind for _, kind, *_, text in world.said if text == TOLD] == ["W"]
    world.leftovers = OLD[:1]
    assert world.fresh_record().run(60).texts == [f"{OLD[0]}{TOLD.removeprefix(', '.join(OLD))}"]
    world.leftovers = ()
    assert world.fresh_record().run(60).texts == []
    world.leftovers = OLD
    world.run(10).restart()
    assert world.run(10).texts == [TOLD, TOLD]


def test_nothing_is_named_before_the_new_is_there() -> None:
    """While there is something to mend or to make, what is left may still be all that serves."""
    world = World(canary(STEPS), leftovers=OLD)
    assert TOLD not in world.until(Phase.INITIALIZING).texts
    world.until(Phase.INITIALIZED).run(10)
    assert world.texts[-1] == TOLD
    world = ready_world(STEPS)
    world.leftovers, world.problems = OLD, (Problem(Fault.MANIFEST, "spec.service.port is missing"),)
    assert TOLD not in world.run(60).texts


def test_a_primary_with_a_short_selector_is_named_once_and_stops_nothing() -> None:
    """A selector is immutable: it serves on, and the text says how to replace it. Nobody is told before it serves."""
    told = "web-primary.test does not select its pods by tier, zone, as web.test does"
    world = World(canary(STEPS), unselected=("tier", "zone"))
    assert not [text for text in world.until(Phase.INITIALIZING).texts if told in text]
    world.until(Phase.INITIALIZED)
    world.change("v1:r2").until(Phase.SUCCEEDED).run(60)
    assert len([text for text in world.texts if text.startswith(told)]) == 1
    world.fresh_record().restart()
    assert len([text for text in world.run(60).texts if text.startswith(told)]) == 1
