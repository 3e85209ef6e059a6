"""What never happens to users' traffic, whatever breaks: a test for each way in which the reference gets it wrong."""

from __future__ import annotations

import pytest

from core.world import KUBERNETES, MESH, PLAIN, Pods, World, canary, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.defaults import HEARD_SECONDS
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.core.conditions import DEGRADED
from pyflagger.core.decision import Ensure, Part, PauseAutoscaler, Promote, ScaleTarget, SetRoute
from pyflagger.core.strategy import next_weight

RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
TO_20 = {"stepWeight": 20, "maxWeight": 20}


def failed_promotion() -> World:
    """A world in which the primary never came up with `v1:r2`."""
    world = ready_world(TO_20, fate={"v1:r2": "deadline"})
    return world.change("v1:r2").until(Phase.FAILED)


def acted(world: World, *kinds: type) -> list[object]:
    """The actions of some kinds."""
    return [action for action in world.actions if isinstance(action, kinds)]


# A primary that is broken -------------------------------------------------------------------------------------------


def test_a_failed_promotion_leaves_the_canary_serving() -> None:
    """The primary is past its deadline: all traffic to the canary, which keeps its pods; told and counted once."""
    world = failed_promotion()
    assert world.route == ALL_CANARY and world.target.replicas == 2
    assert world.status.canary_weight == 100
    text = "web-primary.test not ready: deadline"
    assert world.texts[-2:] == [text, f"Promotion of web.test failed, primary not ready: {text}"]
    assert world.alerts[-1] == ("error", f"Promotion failed, primary not ready: {text}")
    assert world.counts == [("failure", "completed")]
    assert "keeps serving" in world.status.conditions[0].message
    assert world.status.last_promoted_spec == "v1:r1"


def test_a_failed_promotion_calls_the_post_rollout_hooks() -> None:
    """They hear of the failure."""
    analysis = {**TO_20, "webhooks": [hook("post-rollout", "report")]}
    world = ready_world(analysis, fate={"v1:r2": "deadline"}, hooks={"report": "nope"})
    world.change("v1:r2").until(Phase.FAILED)
    assert [(name, phase) for name, phase, _ in world.calls] == [("report", "Failed")]
    assert world.said[-1][2:] == ("Failed", world.pending, "Post-rollout hook report failed nope")


def test_after_a_failed_promotion_the_next_revision_mends_the_primary() -> None:
    """The canary keeps all traffic, is judged with it, and the primary takes over only once it is ready."""
    world = failed_promotion()
    world.fresh_record().change("v1:r3").until(Phase.SUCCEEDED)
    assert world.weights == [0], "traffic moved once: to the mended primary"
    assert world.texts[0] == "New revision detected! Scaling up web.test"
    assert world.status.last_promoted_spec == "v1:r3" and world.target.replicas == 0


def test_after_a_failed_promotion_the_old_revision_is_rolled_forward_too() -> None:
    """Putting the promoted template back is no revert then: the primary does not run it."""
    world = failed_promotion()
    world.fresh_record().change("v1:r1").until(Phase.SUCCEEDED)
    assert world.primary is not None and world.primary.revision == "v1:r1"
    assert world.route == ALL_PRIMARY


def test_a_new_revision_that_fails_while_the_primary_is_broken_keeps_serving() -> None:
    """There is nothing to go back to: the run fails, traffic and pods stay."""
    world = ready_world({**TO_20, "metrics": [RATE]}, fate={"v1:r2": "deadline"}, metrics={RATE["name"]: [100, 1]})
    world.change("v1:r2").until(Phase.FAILED)
    world.fresh_record().change("v1:r3").until(Phase.PROGRESSING).until(Phase.FAILED)
    assert world.route == ALL_CANARY and world.target.replicas == 2 and world.weights == []
    assert world.texts[-1] == "Canary failed! Primary is not ready, shop.test keeps 100% of the traffic"
    assert (world.status.canary_weight, world.status.last_applied_spec) == (100, "v1:r3")


def test_yet_another_revision_while_mending_restarts_without_moving_traffic() -> None:
    """The primary still cannot take it."""
    world = failed_promotion().change("v1:r3").run(5)
    assert world.status.phase is Phase.PROGRESSING
    world.fresh_record().change("v1:r4").look()
    assert world.texts == ["New revision detected! Restarting analysis for web.test"]
    assert world.routes == [] and world.status.canary_weight == 100
    world.until(Phase.SUCCEEDED)
    assert world.status.last_promoted_spec == "v1:r4"


def test_after_a_failed_promotion_a_primary_that_came_back_gets_its_traffic_with_the_next_run() -> None:
    """An ordinary run then, from no weight."""
    world = failed_promotion()
    assert world.primary is not None
    world.primary.failing = ""
    world.run(50)
    assert world.route == ALL_CANARY, "until somebody acts, what serves goes on serving"
    world.fresh_record().change("v1:r3").until(Phase.SUCCEEDED)
    assert world.weights == [0, 20, 0]


def test_a_failed_promotion_with_a_canary_that_is_not_ready_moves_nothing_until_it_is() -> None:
    """Traffic goes only where pods are."""
    world = ready_world(TO_20, fate={"v1:r2": "deadline"})
    world.change("v1:r2").run(4)

    def slow(w: World) -> None:
        if w.status.phase is Phase.PROMOTING:
            w.target.failing = "slow"

    world.after = slow
    world.until(Phase.FAILED)
    assert world.route == Route(80, 20) and world.status.canary_weight == 100
    world.target.failing = ""
    world.look()
    assert world.route == ALL_CANARY
    world.change("v1:r3").until(Phase.SUCCEEDED)


def test_a_canary_that_gets_ready_while_the_failure_is_told_takes_over() -> None:
    """The failed promotion is written down already; its hooks are still to be asked."""
    analysis = {**TO_20, "webhooks": [hook("post-rollout")]}
    world = ready_world(analysis, fate={"v1:r2": "deadline"}).change("v1:r2").run(4)

    def late(w: World) -> None:
        w.target.failing = "slow" if w.status.phase is Phase.PROMOTING and not w.status.rollback else ""

    world.after = late
    world.until(Phase.FAILED)
    assert world.route == ALL_CANARY and acted(world, SetRoute)[-1] == SetRoute(ALL_CANARY, everyone=True)


@pytest.mark.parametrize("phase", [Phase.PROMOTING, Phase.FINALISING])
def test_a_primary_that_breaks_in_either_last_phase_fails_the_promotion(phase: Phase) -> None:
    """Also after traffic went back, as long as the canary has pods."""
    world = ready_world(TO_20).change("v1:r2").until(Phase.PROMOTING)

    def breaks(w: World) -> None:
        if w.status.phase is phase and w.primary is not None:
            w.primary.failing = "deadline"

    world.after = breaks
    breaks(world)
    world.until(Phase.FAILED)
    assert world.route == ALL_CANARY and world.target.replicas == 2


def test_without_a_router_a_failed_promotion_points_users_at_the_canary() -> None:
    """The one real switch that provider kubernetes has is used then, and back when the primary is mended."""
    world = ready_world({"iterations": 1}, fate={"v1:r2": "deadline"}, **KUBERNETES)
    world.route = ALL_PRIMARY
    world.change("v1:r2").until(Phase.FAILED)
    assert world.route == ALL_CANARY
    world.change("v1:r3").until(Phase.SUCCEEDED)
    assert world.route == ALL_PRIMARY


def test_match_rules_are_left_out_when_everybody_has_to_go_to_the_canary() -> None:
    """After a failed promotion of an A/B release those who do not match need pods too."""
    world = ready_world({"iterations": 1, "match": [{"headers": {"a": {"exact": "b"}}}]}, fate={"v1:r2": "deadline"})
    world.change("v1:r2").until(Phase.FAILED)
    assert acted(world, SetRoute)[-1] == SetRoute(ALL_CANARY, everyone=True)
    world.fresh_record().change("v1:r3").until(Phase.SUCCEEDED)
    assert world.weights == [0]


@pytest.mark.parametrize("retriable", [True, False])
def test_nothing_starts_while_the_primary_is_not_ready(retriable: bool) -> None:
    """The revision is not consumed: it starts when the primary is back. Past its deadline an alert goes out, once."""
    world = ready_world()
    assert world.primary is not None
    world.primary.failing = "busy" if retriable else "deadline"
    world.change("v1:r2").run(60)
    assert world.status.phase is Phase.INITIALIZED and world.status.last_applied_spec == "v1:r1"
    assert world.texts == [f"web-primary.test not ready: {world.primary.failing}"]
    on_hold = ("error", f"Canary is on hold, primary not ready: {world.texts[0]}")
    assert world.alerts == ([] if retriable else [on_hold])
    world.primary.failing = ""
    world.until(Phase.SUCCEEDED)


def test_a_run_holds_its_weight_while_the_primary_is_not_ready() -> None:
    """No rollback to pods that are not there, no step, no failed check."""
    world = ready_world().change("v1:r2").run(5)
    assert world.primary is not None
    world.primary.failing = "deadline"
    world.fresh_record().run(100)
    assert world.route == Route(80, 20) and world.status.phase is Phase.PROGRESSING
    assert not acted(world, SetRoute, ScaleTarget) and world.status.failed_checks == 0
    world.primary.failing = ""
    world.until(Phase.SUCCEEDED)


def test_a_run_holds_its_weight_while_the_data_plane_has_not_taken_the_route() -> None:
    """No step, no failed check, said once an interval at most; it goes on by itself."""
    world = ready_world().change("v1:r2").run(5)
    before = world.route
    world.route_waiting = "HTTPRoute web: parent Gateway gw is not ready"
    world.fresh_record().run(100)
    assert world.route == before and not acted(world, SetRoute) and world.status.failed_checks == 0
    world.route_waiting = ""
    world.until(Phase.SUCCEEDED)


def test_a_route_that_is_never_taken_stops_no_rollback() -> None:
    """The deadline of the canary's pods ends the run all the same."""
    world = ready_world().change("v1:r2").run(5)
    world.route_waiting = "HTTPRoute web: parent Gateway gw is not ready"
    world.target.failing = "deadline"
    world.until(Phase.FAILED)
    assert world.route == ALL_PRIMARY


def test_a_rollback_waits_for_a_primary_that_is_only_late() -> None:
    """Begun and written down, it goes on when there is something to go back to."""
    world = ready_world({**TO_20, "threshold": 1, "metrics": [RATE]}, metrics={RATE["name"]: 1})
    world.change("v1:r2").run(12)
    assert world.primary is not None and world.status.phase is Phase.PROGRESSING

    def late(w: World) -> None:
        if w.status.rollback and w.primary is not None:
            w.primary.failing = "busy"

    world.after = late
    world.run(20)
    assert world.status.rollback == "FailedChecks" and world.route == Route(80, 20)
    assert world.decision.reasons[0].code == "rollback-holds"
    world.after, world.primary.failing = None, ""
    world.run(HEARD_SECONDS)
    assert world.status.phase is Phase.FAILED and world.route == ALL_PRIMARY
    assert sum("Rolling back" in text for text in world.texts) == 1


def test_a_primary_with_no_pods_takes_no_traffic() -> None:
    """Zero replicas are not ready, unless an autoscaler put them there (which the situation then does not show)."""
    world = ready_world().change("v1:r2").run(5)
    assert world.primary is not None
    world.primary.replicas = 0
    world.fresh_record().run(5)
    assert world.texts[0].startswith("web-primary.test not ready: it is scaled to zero")
    assert world.routes == [ALL_CANARY] and world.primary.replicas == 0


def test_reverting_while_the_primary_is_not_ready_moves_nothing() -> None:
    """A cancelled run, too, goes back only to pods that are there."""
    world = ready_world().change("v1:r2").run(5)
    assert world.primary is not None
    world.primary.failing = "busy"
    world.fresh_record().change("v1:r1").run(20)
    assert world.routes == [] and world.status.phase is Phase.PROGRESSING
    world.primary.failing = ""
    world.run(HEARD_SECONDS)
    assert world.status.phase is Phase.INITIALIZED and world.route == ALL_PRIMARY


# Revisions ----------------------------------------------------------------------------------------------------------


def test_a_deleted_primary_is_restored_from_the_promoted_template() -> None:
    """Idle, the target is that template."""
    world = ready_world()
    world.primary, world.parts[Part.PRIMARY_WORKLOAD] = None, "missing"
    world.look()
    assert world.primary is not None and world.primary.revision == "v1:r1"


def test_a_deleted_primary_is_never_made_from_an_unvetted_target() -> None:
    """It is judged first; visitors do not wait for that."""
    world = ready_world().change("v1:r2").run(5)
    world.primary, world.parts[Part.PRIMARY_WORKLOAD] = None, "missing"
    world.fresh_record().look()
    assert Ensure(Part.PRIMARY_WORKLOAD) not in world.actions
    assert world.texts[0].startswith("web-primary.test not ready: it does not exist")
    assert world.primary is None and world.route == ALL_CANARY


def test_a_primary_that_is_not_seen_yet_holds() -> None:
    """Deleted, but not known to be missing: wait for the watch."""
    world = ready_world()
    world.primary = None
    world.change("v1:r2").look()
    assert world.texts == ["web-primary.test not ready: it does not exist"]


def test_copying_something_newer_than_was_judged_does_nothing() -> None:
    """The copy names its revision; when the target moved on, the run starts over."""
    world = ready_world(TO_20).change("v1:r2").run(10)
    apply = world._apply

    def race(action: object) -> bool:
        if isinstance(action, Promote):
            world.change("v1:r3")
            world._apply = apply  # type: ignore[method-assign]
        return apply(action)  # type: ignore[arg-type]

    world._apply = race  # type: ignore[assignment,method-assign]
    world.until(Phase.SUCCEEDED)
    assert any("Restarting analysis" in text for text in world.texts)
    assert world.status.last_promoted_spec == "v1:r3"


@pytest.mark.parametrize("analysis", [TO_20, {**TO_20, "stepWeightPromotion": 5}])
def test_a_change_while_promoting_moves_traffic_home_and_waits_its_turn(analysis: dict[str, int]) -> None:
    """Unvetted pods lose the rest of the traffic at once; what was copied is what is promoted; then the next run."""
    world = ready_world(analysis).change("v1:r2").until(Phase.PROMOTING)
    world.fresh_record().change("v1:r3").run(4)
    assert world.weights == [0, 20], "the next run begins with the pods that are there"
    ends = [status for status in world.statuses if status.phase is Phase.SUCCEEDED]
    assert [status.last_promoted_spec for status in ends] == ["v1:r2"]
    assert world.status.phase is Phase.PROGRESSING and world.status.last_applied_spec == "v1:r3"
    world.until(Phase.SUCCEEDED)
    assert world.status.last_promoted_spec == "v1:r3"


def test_a_canary_that_breaks_while_promoting_stops_nothing() -> None:
    """The primary runs the new template and is healthy: the promotion ends well."""
    world = ready_world(TO_20).change("v1:r2").until(Phase.PROMOTING)
    world.target.failing = "deadline"
    world.until(Phase.SUCCEEDED)
    assert world.status.last_promoted_spec == "v1:r2"


def test_a_revert_in_the_middle_cancels_without_failing() -> None:
    """Traffic back, pods gone, nothing promoted, nothing failed; the abandoned revision can be tried again."""
    world = ready_world().change("v1:r2").run(15)
    assert world.status.canary_weight == 40
    world.fresh_record().change("v1:r1").run(1)
    assert world.route == ALL_PRIMARY and world.target.replicas > 0, "proxies have yet to hear of it"
    world.run(HEARD_SECONDS)
    assert world.status.phase is Phase.INITIALIZED and world.target.replicas == 0
    assert world.status.last_applied_spec == world.status.last_promoted_spec == "v1:r1"
    assert world.texts == ["Promoted revision is back! Cancelling analysis for web.test"]
    assert world.counts == [] and world.status.conditions[0].status == "True"
    world.change("v1:r2").until(Phase.SUCCEEDED)


@pytest.mark.parametrize("failed_before", [False, True])
def test_a_revert_while_waiting_starts_nothing(failed_before: bool) -> None:
    """What waited for approval is gone."""
    analysis = {**TO_20, "threshold": 1, "webhooks": [hook("confirm-rollout", "ok")], "metrics": [RATE]}
    world = ready_world(analysis, hooks={"ok": [True, "no"] if failed_before else "no"}, metrics={RATE["name"]: 1})
    if failed_before:
        world.change("v1:r2").until(Phase.FAILED)
        world.change("v1:r3").until(Phase.WAITING)
        world.change("v1:r2").look()
        assert world.status.phase is Phase.FAILED
        world.change("v1:r3").until(Phase.WAITING)
    else:
        world.change("v1:r2").until(Phase.WAITING)
    world.change("v1:r1").run(1)
    assert world.status.phase is Phase.INITIALIZED
    assert world.status.last_applied_spec == "v1:r1" and world.target.replicas == 0


def test_after_a_failure_the_promoted_template_starts_nothing_and_the_failed_one_can_be_tried_again() -> None:
    """The refused revision is forgotten once the target is back at the promoted one."""
    world = ready_world({**TO_20, "threshold": 1, "metrics": [RATE]}, metrics={RATE["name"]: [1, 100]})
    world.change("v1:r2").until(Phase.FAILED)
    world.change("v1:r1").run(20)
    assert world.status.phase is Phase.FAILED and world.status.last_applied_spec == "v1:r1"
    world.change("v1:r2").until(Phase.SUCCEEDED)


def test_a_config_change_is_a_release() -> None:
    """Same template, other configs; recorded only with the start, and promoted with their copies."""
    world = ready_world(TO_20, configs={"configmap/a": "1"})
    world.configs = {"configmap/a": "2"}
    world.until(Phase.SUCCEEDED)
    assert world.primary_configs == {"configmap/a": "2"} and world.status.tracked_configs == {"configmap/a": "2"}


def test_a_config_change_in_the_middle_restarts() -> None:
    """As a new template would."""
    world = ready_world(TO_20, configs={"configmap/a": "1"}).change("v1:r2").run(5)
    world.configs = {"configmap/a": "2"}
    world.look()
    assert "New revision detected! Restarting analysis for web.test" in world.texts
    assert world.weights == [20, 0, 20]


def test_a_target_scaled_to_zero_in_the_middle_is_scaled_up_again() -> None:
    """A weight on no pods would be an outage."""
    world = ready_world().change("v1:r2").run(1)
    world.target.replicas = 0
    world.look()
    assert world.target.replicas == 2


def test_stray_traffic_on_a_canary_without_pods_goes_back() -> None:
    """Somebody changed the routes while nothing is released."""
    world = ready_world()
    world.route = Route(70, 30)
    world.look()
    assert world.route == ALL_PRIMARY


def test_a_target_scaled_up_while_idle_is_left_alone_unless_asked_otherwise() -> None:
    """Scaling it down again is opted in to."""
    world = ready_world()
    world.target.replicas = 2
    world.look()
    assert world.target.replicas == 2
    world.reassert_zero = True
    world.look()
    assert world.target.replicas == 0


def test_a_deleted_copy_of_a_config_comes_back_in_every_phase() -> None:
    """What is "missing" can be restored with the data that were promoted, so nothing unjudged gets to the primary."""
    world = ready_world()
    world.parts[Part.PRIMARY_CONFIGS] = "missing"
    world.look()
    assert world.parts[Part.PRIMARY_CONFIGS] == "ok"
    world.change("v1:r2").run(5)
    world.parts[Part.PRIMARY_CONFIGS] = "missing"
    world.fresh_record().look()
    assert Ensure(Part.PRIMARY_CONFIGS) in world.actions and world.status.phase is Phase.PROGRESSING
    world.until(Phase.SUCCEEDED)


def test_what_cannot_be_restored_is_told_while_the_release_goes_on() -> None:
    """One event and a condition; both end with the trouble."""
    lost = Problem(Fault.CLUSTER, "configmap a-primary.test was deleted", "Create it.")
    world = ready_world().change("v1:r2").run(5)
    world.degraded = (lost,)
    world.fresh_record().look()
    world.look()
    assert [text for text in world.texts if "configmap" in text] == [lost.text]
    (condition,) = [each for each in world.status.conditions if each.type == DEGRADED]
    assert condition.message == "configmap a-primary.test was deleted. Create it." and condition.reason == "Cluster"
    world.until(Phase.SUCCEEDED)
    assert [each.type for each in world.status.conditions].count(DEGRADED) == 1
    assert [text for text in world.texts if "configmap" in text] == [lost.text], "once"
    world.degraded = ()
    world.look()
    assert DEGRADED not in [each.type for each in world.status.conditions]


# Autoscalers --------------------------------------------------------------------------------------------------------

SCALED = {"autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}}
FOLLOWS = "HorizontalPodAutoscaler web-primary.test follows web: "


def scaled_world() -> World:
    """One whose target has an autoscaler."""
    world = ready_world()
    world.canary = world.canary.model_copy(update={"spec": canary(**SCALED).spec})
    return world


def test_new_bounds_reach_the_primary_at_once_between_releases() -> None:
    """With an event that names them; in a run they wait for its end."""
    world = scaled_world()
    world.autoscaler_bounds = "minReplicas 2 → 5"
    world.look()
    assert world.autoscaler_bounds == "" and world.texts[-1] == f"{FOLLOWS}minReplicas 2 → 5"
    world.change("v1:r2").run(5)
    world.autoscaler_bounds = "minReplicas 5 → 2"
    world.look()
    assert world.autoscaler_bounds and world.status.phase is Phase.PROGRESSING
    world.until(Phase.SUCCEEDED)
    world.look()
    assert world.texts[-1] == f"{FOLLOWS}minReplicas 5 → 2"


def test_a_promotion_says_what_it_changes_in_the_primarys_autoscaler() -> None:
    """Whoever edited it reads so; labels alone are nobody's news."""
    world = scaled_world().change("v1:r2").run(5)
    world.parts[Part.PRIMARY_AUTOSCALER], world.autoscaler_edit = "drift", "maxReplicas 9 → 4, metrics"
    world.until(Phase.SUCCEEDED)
    world.change("v1:r3").run(5)
    world.parts[Part.PRIMARY_AUTOSCALER] = "drift"
    world.until(Phase.SUCCEEDED)
    assert [text for text in world.texts if FOLLOWS in text] == [f"{FOLLOWS}maxReplicas 9 → 4, metrics"]


def test_an_inherited_pause_is_taken_away_with_a_word() -> None:
    """Once, in every phase."""
    world = scaled_world()
    world.autoscaler_unpaused = True
    world.parts[Part.PRIMARY_AUTOSCALER] = "missing"
    world.look()
    assert not world.autoscaler_unpaused and len([text for text in world.texts if "inherited a pause" in text]) == 1


# Leftovers ----------------------------------------------------------------------------------------------------------


def test_unused_config_copies_go_when_nothing_is_released() -> None:
    """They are kept during a run."""
    world = ready_world().change("v1:r2").run(5)
    world.parts[Part.STALE_CONFIGS] = "drift"
    world.look()
    assert world.parts[Part.STALE_CONFIGS] == "drift"
    world.until(Phase.SUCCEEDED).run(1)
    assert world.parts[Part.STALE_CONFIGS] == "ok"


# What a provider cannot do ------------------------------------------------------------------------------------------


def test_match_rules_without_a_provider_for_them_never_send_everybody() -> None:
    """It runs as blue/green: no live traffic before the analysis is through."""
    analysis = {"iterations": 2, "match": [{"headers": {"a": {"exact": "b"}}}]}
    world = ready_world(analysis, capabilities=Capabilities())
    world.change("v1:r2").run(15)
    assert world.status.iterations == 2 and world.weights == []


@pytest.mark.parametrize("analysis", [{**TO_20, "mirror": True}, {"iterations": 1, "mirror": True}])
def test_mirroring_without_a_provider_for_it_goes_on_without(analysis: dict[str, int]) -> None:
    """One warning, then straight to the weights."""
    world = ready_world(analysis, **PLAIN).change("v1:r2").until(Phase.SUCCEEDED)
    assert sum("does not support traffic mirroring" in text for text in world.texts) == 1
    assert not any(route.mirrored for route in world.routes)


def test_provider_kubernetes_says_once_what_it_cannot_do() -> None:
    """No match rules, no weights; ten iterations are run when the manifest has none."""
    match = [{"headers": {"a": {"exact": "b"}}}]
    world = ready_world({"stepWeight": 10, "match": match}, **KUBERNETES)
    world.change("v1:r2").until(Phase.SUCCEEDED)
    for text in (
        "A/B testing is not supported when using the kubernetes provider",
        "Progressive traffic is not supported when using the kubernetes provider",
        "Setting canaryAnalysis.iterations: 10",
    ):
        assert world.texts.count(text) == 1
    assert "Advance shop.test canary iteration 10/10" in world.texts


def test_approval_is_asked_once_before_all_traffic_moves() -> None:
    """Blue/green: once traffic moved, a later refusal cannot leave it there."""
    world = ready_world(
        {"iterations": 1, "webhooks": [hook("confirm-promotion", "go")]}, hooks={"go": [True, "no"]}, **MESH
    )
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert [name for name, *_ in world.calls] == ["go"]


def test_approval_after_a_wait_moves_on_as_usual() -> None:
    """Blue/green with a gate that was closed at first."""
    world = ready_world(
        {"iterations": 1, "webhooks": [hook("confirm-promotion", "go")]}, hooks={"go": ["no", "no", True]}, **MESH
    )
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert world.phases == ["Progressing", "WaitingPromotion", "Progressing", "Promoting", "Finalising", "Succeeded"]
    assert len(world.calls) == 3


@pytest.mark.parametrize(
    ("weights", "weight", "following"),
    [([1, 2, 10, 80], 5, 10), ([10, 5], 7, 10), ([50], 50, 50), ([30, 200], 30, 100), ([], 0, 0)],
)
def test_the_next_listed_weight_is_the_smallest_that_is_larger(weights: list[int], weight: int, following: int) -> None:
    """A weight that is not listed never jumps to everything."""
    analysis = canary({"stepWeights": weights}).spec.analysis
    assert analysis is not None and next_weight(analysis, weight) == following


def test_an_analysis_without_steps_says_so() -> None:
    """Nothing is promoted, nothing loops."""
    world = ready_world({}).change("v1:r2").run(60)
    assert world.texts.count("The analysis has no steps.") == 1 and world.weights == []
    assert world.status.phase is Phase.PROGRESSING


def test_going_home_in_steps_from_no_weight_ends() -> None:
    """`stepWeightPromotion` of a canary that has no traffic."""
    world = ready_world({"iterations": 1, "stepWeightPromotion": 10}, **KUBERNETES)
    world.change("v1:r2").until(Phase.SUCCEEDED)


# Holding and scaling ------------------------------------------------------------------------------------------------


def test_a_canary_past_its_deadline_is_rolled_back_and_told_of() -> None:
    """Its own text, the deadline's event and alert, then the failure."""
    world = ready_world().change("v1:r2", failing="deadline").until(Phase.FAILED)
    text = "canary deployment web.test not ready: deadline"
    assert world.texts[1:] == [
        text,
        f"Rolling back shop.test progress deadline exceeded {text}",
        "Canary failed! Scaling down shop.test",
    ]
    assert world.alerts[-1] == ("error", f"Progress deadline exceeded {text}")
    assert world.weights == []


def test_autoscalers_are_paused_and_resumed_around_a_run() -> None:
    """Resumed before the target is scaled up, paused before it is scaled down."""
    world = ready_world(TO_20, paused=False)
    assert world.paused is True
    world.change("v1:r2").until(Phase.SUCCEEDED)
    moves = acted(world, PauseAutoscaler, ScaleTarget)
    assert moves == [PauseAutoscaler(False), ScaleTarget(2), PauseAutoscaler(True), ScaleTarget(None)]


def test_a_primary_autoscaler_changes_only_with_a_promotion_but_is_restored_at_any_time() -> None:
    """Drift waits for the primary to get the new template; a missing one does not."""
    world = ready_world(TO_20)
    world.parts[Part.PRIMARY_AUTOSCALER] = "drift"
    world.change("v1:r2").run(5)
    assert world.parts[Part.PRIMARY_AUTOSCALER] == "drift"
    world.until(Phase.SUCCEEDED)
    assert world.parts[Part.PRIMARY_AUTOSCALER] == "ok"
    world.parts[Part.PRIMARY_AUTOSCALER] = "missing"
    world.look()
    assert world.parts[Part.PRIMARY_AUTOSCALER] == "ok"


@pytest.mark.parametrize("part", [Part.CANARY_SERVICE, Part.PRIMARY_SERVICE, Part.APEX_SERVICE, Part.ROUTING])
def test_drift_is_mended_at_any_time_and_keeps_the_weights(part: Part) -> None:
    """In the middle of a run, too."""
    world = ready_world().change("v1:r2").run(5)
    world.parts[part] = "drift"
    world.fresh_record().look()
    assert world.actions == [Ensure(part)]
    assert world.route == Route(80, 20) and world.status.canary_weight == 20


def test_drift_of_the_primary_is_mended() -> None:
    """What is generated around its template."""
    world = ready_world()
    world.parts[Part.PRIMARY_WORKLOAD] = "drift"
    world.look()
    assert world.parts[Part.PRIMARY_WORKLOAD] == "ok"


def test_a_primary_that_drifts_during_the_promotion_is_restored() -> None:
    """It serves: the canary is not given all traffic for it."""
    world = ready_world().change("v1:r2").until(Phase.PROMOTING).fresh_record()
    world.parts[Part.PRIMARY_WORKLOAD] = "drift"
    world.until(Phase.SUCCEEDED)
    assert world.parts[Part.PRIMARY_WORKLOAD] == "ok" and ALL_CANARY not in world.routes


def test_a_kind_without_replicas_is_never_scaled() -> None:
    """A Service has nothing to scale."""
    world = ready_world(TO_20, scalable=False)
    world.fresh_record().change("v1:r2").until(Phase.SUCCEEDED)
    assert not acted(world, ScaleTarget)


def test_traffic_that_appears_while_finalising_is_moved_before_pods_go() -> None:
    """Somebody else wrote the routes."""
    world = ready_world({**TO_20, "webhooks": [hook("post-rollout", "p")]}).change("v1:r2").until(Phase.PROMOTING)

    def meddle(w: World) -> None:
        if w.status.phase is Phase.FINALISING:
            w.after, w.route = None, Route(90, 10)

    world.after = meddle
    world.until(Phase.SUCCEEDED)
    assert world.weights[-1] == 0


def test_problems_hold_everything() -> None:
    """In the middle of a run nothing moves while there is one; it goes on when it is mended."""
    world = ready_world().change("v1:r2").run(5)
    world.problems = (Problem(Fault.MANIFEST, "bad spec", "mend it"),)
    world.fresh_record().change("v1:r3").run(50)
    assert world.texts == ["bad spec"] and world.route == Route(80, 20) and world.status.last_applied_spec == "v1:r2"
    assert [c.type for c in world.status.conditions] == ["Promoted", "Blocked"]
    world.problems = ()
    world.until(Phase.SUCCEEDED)
    assert [c.type for c in world.status.conditions] == ["Promoted"]


def test_pods_by_hand() -> None:
    """The world's own rule: pods past a deadline are past saving."""
    assert not Pods("r", failing="deadline").readiness("x", 0).retriable
