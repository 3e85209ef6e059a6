"""From a target that serves to a primary that does, and what stands in the way."""

from __future__ import annotations

import pytest

from core.world import World, canary, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_PRIMARY, Fault, Problem
from pyflagger.core.decision import Ensure, Part, PauseAutoscaler, ScaleTarget, WriteStatus

RATE = {"stepWeight": 20, "maxWeight": 20, "metrics": [{"name": "request-success-rate"}]}
ABSENT = Problem(Fault.CLUSTER, 'deployment web.test get query error: deployments.apps "web" not found', "Create it.")


def test_the_order_of_things() -> None:
    """Services, probe, primary; once that is ready autoscaler, apex, the target to zero, routes; then the status."""
    world = World(canary(RATE), paused=False, parts={Part.PRIMARY_AUTOSCALER: "missing"})
    world.until(Phase.INITIALIZED)
    kinds = (Ensure, PauseAutoscaler, ScaleTarget, WriteStatus)
    made = [
        action if not isinstance(action, WriteStatus) else action.status.phase
        for action in world.actions
        if isinstance(action, kinds)
    ]
    assert made == [
        Phase.INITIALIZING,
        Ensure(Part.CANARY_SERVICE),
        Ensure(Part.PRIMARY_SERVICE),
        Ensure(Part.PRIMARY_WORKLOAD),
        Ensure(Part.PRIMARY_AUTOSCALER),
        Ensure(Part.APEX_SERVICE),
        PauseAutoscaler(True),
        ScaleTarget(None),
        Ensure(Part.ROUTING),
        Phase.INITIALIZED,
    ]
    assert world.texts == ["all the metrics providers are available!", "Initialization done! shop.test"]
    assert world.said[0][2] == "Initializing" and world.said[-1][2:4] == ("Initialized", world.pending)
    assert world.said[0][3] != world.pending, "nothing is applied yet"
    assert world.alerts == [("info", "New Deployment detected, initialization completed.")]
    assert world.status.last_applied_spec == world.status.last_promoted_spec == "v1:r1"
    assert world.route == ALL_PRIMARY


def test_conditions_on_the_way() -> None:
    """Unknown while it lasts, true at the end."""
    world = World(canary())
    world.until(Phase.INITIALIZED)
    shown = [(c.status, c.message) for status in world.statuses for c in status.conditions]
    assert shown == [
        ("Unknown", "New Deployment detected, starting initialization."),
        ("True", "Deployment initialization completed."),
    ]


def test_a_provider_that_is_away_stops_nothing() -> None:
    """It is told of once."""
    world = World(canary(RATE), probe="nobody home").until(Phase.INITIALIZED)
    assert world.texts[0] == "Error checking metric providers: nobody home" and world.said[0][1] == "W"
    assert len(world.texts) == 2


def test_without_analysis_no_provider_is_asked() -> None:
    """A Canary may have none at all; then it is promoted as it comes."""
    world = World(canary(skipAnalysis=True)).until(Phase.INITIALIZED)
    assert world.texts == ["Initialization done! shop.test"]
    none = canary()
    bare = World(none.model_copy(update={"spec": none.spec.model_copy(update={"analysis": None})}))
    bare.until(Phase.INITIALIZED)
    bare.change("v1:r2").until(Phase.SUCCEEDED)
    assert bare.counts == [("success", "skipped")]


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("failing", ["busy", "deadline"])
def test_a_primary_that_does_not_come_up_changes_nothing_for_users(skip: bool, failing: str) -> None:
    """Neither target nor apex is touched; it goes on when the primary does."""
    world = World(canary(skipAnalysis=skip))

    def broken(w: World) -> None:
        if w.primary is not None:
            w.primary.failing = failing

    world.after = broken
    world.run(100)
    assert world.status.phase is Phase.INITIALIZING and world.target.replicas == 2
    assert world.parts[Part.APEX_SERVICE] == "missing" and world.parts[Part.ROUTING] == "missing"
    assert world.texts.count(f"web-primary.test not ready: {failing}") == 1
    assert world.primary is not None
    world.after, world.primary.failing = None, ""
    world.until(Phase.INITIALIZED)


def test_a_target_that_comes_late() -> None:
    """Said once, with a condition that goes when the target comes."""
    world = World(canary(), target_problem=ABSENT)
    world.run(30)
    assert world.texts == [ABSENT.text] and world.status.phase is Phase.INITIALIZING
    blocked = world.status.conditions[1]
    assert (blocked.type, blocked.reason) == ("Blocked", "Cluster") and blocked.message.startswith(ABSENT.text)
    world.target_problem = None
    world.until(Phase.INITIALIZED)
    assert [c.type for c in world.status.conditions] == ["Promoted"]


def test_a_missing_config_is_told_after_services_and_probe() -> None:
    """The primary cannot be made; everything before it is."""
    missing = Problem(Fault.MANIFEST, 'createPrimaryDeployment failed: configmaps "c" not found')
    world = World(canary(), parts={Part.PRIMARY_WORKLOAD: missing}).run(20)
    assert world.texts == ["all the metrics providers are available!", missing.text]
    assert world.parts[Part.CANARY_SERVICE] == "ok" and world.primary is None
    world.parts[Part.PRIMARY_WORKLOAD] = "missing"
    world.until(Phase.INITIALIZED)
    assert len(world.texts) == 3


def test_problems_of_routes_stop_it_before_the_target_is_touched() -> None:
    """Without routes to the primary the target goes on serving."""
    world = World(canary(), route_problem=Problem(Fault.MANIFEST, "no such ingress")).run(20)
    assert world.target.replicas == 2 and world.texts == ["no such ingress"]


def test_a_target_that_changes_meanwhile_is_released_afterwards() -> None:
    """What the primary was made of is not what the target says: no hash claims so, and a run starts."""
    world = World(canary(), rollout=5)
    world.run(1).change("v1:r2").until(Phase.INITIALIZED, Phase.PROGRESSING)
    assert world.primary is not None and world.primary.revision == "v1:r1"
    world.until(Phase.SUCCEEDED)
    assert world.primary.revision == "v1:r2" and "v1:r1" not in {s.last_promoted_spec for s in world.statuses}


def test_some_meshes_need_their_routes_first() -> None:
    """Pods of App Mesh join it when they are made."""
    world = World(canary(), provider="appmesh:v1beta2").until(Phase.INITIALIZED)
    made = [action.part for action in world.actions if isinstance(action, Ensure)]
    assert made.index(Part.ROUTING) < made.index(Part.PRIMARY_WORKLOAD)


def test_the_finalizer_follows_the_manifest_even_while_suspended() -> None:
    """Its presence is written at once."""
    world = World(canary(suspend=True), parts={Part.FINALIZER: "drift"})
    world.look()
    assert Ensure(Part.FINALIZER) in world.actions


# Suspension ---------------------------------------------------------------------------------------------------------


def test_suspended_from_the_start_it_stays_initializing() -> None:
    """Nothing is made."""
    world = World(canary(suspend=True)).run(50)
    assert world.status.phase is Phase.INITIALIZING and world.primary is None
    assert world.texts == ["skipping canary run as object is suspended"]
    world.spec(suspend=False).until(Phase.INITIALIZED)


def test_suspended_and_invalid_it_says_only_that_it_is_suspended() -> None:
    """Nothing else is looked at."""
    world = World(canary(suspend=True), problems=(Problem(Fault.MANIFEST, "bad"),)).run(5)
    assert world.texts == ["skipping canary run as object is suspended"] and world.statuses == []


def test_suspended_in_the_middle_nothing_moves() -> None:
    """Said once each time; afterwards it goes on from where it was."""
    world = ready_world({"stepWeight": 20, "maxWeight": 40, "webhooks": [hook("rollout")]}).change("v1:r2").run(5)
    world.spec(suspend=True).fresh_record().run(100)
    assert world.texts == ["skipping canary run as object is suspended"] and world.said[0][1] == "N"
    assert world.calls == [] and world.statuses == [] and world.decision.wake is None
    world.spec(suspend=False).look()
    assert world.status.canary_weight == 40
    world.spec(suspend=True).look()
    assert world.texts.count("skipping canary run as object is suspended") == 2
    world.spec(suspend=False).until(Phase.SUCCEEDED)
