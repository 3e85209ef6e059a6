"""A primary that somebody deleted or scaled to zero: whatever the phase, shipping a good version ends the outage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.world import KUBERNETES, MESH, World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.defaults import SEEN_SETTLE_SECONDS
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Route
from pyflagger.core.decision import Ensure, Part, Promote, WriteStatus

STEPS = {"stepWeight": 20, "maxWeight": 40}
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
JUDGED = {**STEPS, "metrics": [RATE]}

STRATEGIES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "weights": (JUDGED, {}, {}),
    "back in steps": ({**JUDGED, "stepWeightPromotion": 50}, {}, {}),
    "mirrored": ({**JUDGED, "mirror": True}, MESH, {}),
    "a-b": ({"iterations": 2, "match": [{"headers": {"x": {"exact": "y"}}}], "metrics": [RATE]}, {}, {}),
    "blue-green": ({"iterations": 2, "metrics": [RATE]}, {}, {}),
    "without a router": ({"iterations": 2, "metrics": [RATE]}, KUBERNETES, {}),
    "skipped": (JUDGED, {}, {"skipAnalysis": True}),
}


def idle(world: World) -> None:
    """Initialized."""


def succeeded(world: World) -> None:
    """After a release."""
    world.change("v1:r2").until(Phase.SUCCEEDED)


def failed(world: World) -> None:
    """After a release whose pods never got ready."""
    world.change("v1:bad", failing="deadline").until(Phase.FAILED)


def waiting(world: World) -> None:
    """Before a gate, which opens later."""
    hooks = [hook("confirm-rollout", "gate")]
    analysis = world.canary.spec.analysis
    assert analysis is not None
    webhooks = type(analysis).model_validate({"webhooks": hooks}).webhooks
    world.spec(analysis=analysis.model_copy(update={"webhooks": webhooks}))
    world.hooks["gate"] = ["closed", "closed", "closed", True]
    world.change("v1:r2").until(Phase.WAITING)


def running(world: World) -> None:
    """In the middle of a release."""
    world.change("v1:r2").until(Phase.PROGRESSING).run(12)


def promoting(world: World) -> None:
    """While the primary rolls."""
    world.change("v1:r2").until(Phase.PROMOTING, Phase.SUCCEEDED)


def finalising(world: World) -> None:
    """After traffic went home."""
    world.change("v1:r2").until(Phase.FINALISING, Phase.SUCCEEDED)


MOMENTS = (idle, succeeded, failed, waiting, running, promoting, finalising)


def delete(world: World) -> None:
    """What `kubectl delete deployment web-primary` does."""
    world.primary, world.parts[Part.PRIMARY_WORKLOAD] = None, "missing"


def scale_down(world: World) -> None:
    """What `kubectl scale --replicas=0` does."""
    if world.primary is not None:
        world.primary.replicas = 0


@pytest.mark.parametrize("restarts", [False, pytest.param(True, marks=pytest.mark.long)], ids=["", "restarted"])
@pytest.mark.parametrize("harm", [delete, scale_down])
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_good_version_ends_the_outage(
    strategy: str, moment: Callable[[World], None], harm: Callable[[World], None], restarts: bool
) -> None:
    """Promoted, with all traffic on a primary that runs it."""
    analysis, facts, spec = STRATEGIES[strategy]
    world = ready_world(analysis, spec=spec, **facts)
    moment(world)
    harm(world)
    if restarts:
        world.restart()
    world.change("v1:good").run(400)
    assert world.status.phase is Phase.SUCCEEDED and world.status.last_promoted_spec == "v1:good"
    assert world.primary is not None and (world.primary.revision, world.route) == ("v1:good", ALL_PRIMARY)
    assert world.target.replicas == 0
    assert not [c for c in world.status.conditions if c.type in ("Blocked", "RollingBack", "Halted")]


@pytest.mark.parametrize("harm", [delete, scale_down])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_canary_serves_as_soon_as_it_is_ready(strategy: str, harm: Callable[[World], None]) -> None:
    """No visitor waits for the judgement; it comes before the copy all the same."""
    analysis, facts, spec = STRATEGIES[strategy]
    world = ready_world(analysis, spec=spec, **facts)
    failed(world)
    harm(world)
    world.change("v1:good")
    world.fresh_record().run(world.rollout + 0.1)
    assert world.route == ALL_CANARY
    world.until(Phase.SUCCEEDED)
    assert world.routes == [ALL_CANARY, ALL_PRIMARY] if strategy != "back in steps" else world.routes[:2]
    if strategy != "skipped":
        judged = [at for at, call in enumerate(world.calls) if call[0] == RATE["name"]]
        assert judged, "promoted without being judged"
    made = [action for action in world.actions if isinstance(action, Promote | Ensure)]
    assert made[0] == Promote("v1:good")


@pytest.mark.parametrize("harm", [delete, scale_down])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pods_that_are_seen_before_the_api_counts_them(strategy: str, harm: Callable[[World], None]) -> None:
    """The canary serves once its pods were seen for long enough; by the API's time that is up to a second later."""
    analysis, facts, spec = STRATEGIES[strategy]
    world = ready_world(analysis, spec=spec, **facts)
    failed(world)
    harm(world)
    world.now = int(world.now) + 0.2
    world.target.cut = True
    world.change("v1:good")
    world.fresh_record().run(world.rollout + SEEN_SETTLE_SECONDS + 0.1)
    assert world.route == ALL_CANARY
    world.until(Phase.SUCCEEDED)
    assert world.routes == [ALL_CANARY, ALL_PRIMARY] if strategy != "back in steps" else world.routes[:2]
    assert not [text for text in world.texts if text.startswith("Another client")]


def test_what_is_said() -> None:
    """Once each: before the new version, on the run, and with an alert; nothing of it is left at the end."""
    world = ready_world(JUDGED, keep=0)
    failed(world)
    delete(world)
    world.fresh_record().run(60)
    lost = "web-primary.test does not exist and web.test is not the promoted revision"
    assert world.texts == [lost] and world.decision.reasons[0].fault
    (blocked,) = (c for c in world.status.conditions if c.type == "Blocked")
    assert blocked.reason == "Cluster" and "flagger judges the new revision on its own pods" in blocked.message
    world.change("v1:good").until(Phase.PROGRESSING).run(5)
    covered = (
        "web-primary.test not ready: it does not exist. web.test gets all traffic as soon as it is ready, "
        "and is judged with it"
    )
    assert world.texts.count(covered) == 1
    assert (
        "error",
        "The canary gets all traffic, primary not ready: web-primary.test not ready: it does not exist",
    ) in (world.alerts)
    told = {c.type: c.message for c in world.status.conditions}
    assert told["Promoted"] == "Primary is gone, Deployment gets all traffic and is judged with it."
    assert "Blocked" not in told
    world.until(Phase.SUCCEEDED)
    told = {c.type: c.message for c in world.status.conditions}
    assert told["Promoted"] == "Canary analysis completed successfully, promotion finished."


def test_what_was_refused_is_not_served() -> None:
    """Deleting the primary is no judgement in favour of the version that failed."""
    world = ready_world({**JUDGED, "threshold": 1}, metrics={RATE["name"]: 1}, keep=0)
    world.change("v1:bad").until(Phase.FAILED)
    delete(world)
    world.fresh_record().run(300)
    assert world.routes == [] and world.target.replicas == 0 and world.primary is None
    world.change("v1:r1").run(10)
    assert world.primary is not None and world.primary.revision == "v1:r1" and world.status.phase is Phase.FAILED


def test_a_bad_version_without_a_primary_is_not_promoted() -> None:
    """It keeps serving, as nobody else can; the next one is judged and promoted."""
    world = ready_world({**JUDGED, "threshold": 1}, metrics={RATE["name"]: [1, 1, 100]})
    delete(world)
    world.change("v1:bad").until(Phase.FAILED)
    assert world.route == ALL_CANARY and world.primary is None and world.target.replicas > 0
    assert any("keeps 100% of the traffic" in text for text in world.texts)
    world.change("v1:worse").until(Phase.PROGRESSING).until(Phase.FAILED)
    world.change("v1:good").until(Phase.SUCCEEDED)
    assert world.route == ALL_PRIMARY


def test_pods_that_never_get_ready_without_a_primary() -> None:
    """Their deadline ends the run, and a good version is not kept waiting."""
    world = ready_world(JUDGED)
    delete(world)
    world.change("v1:bad", failing="deadline").until(Phase.FAILED)
    assert world.routes == []
    world.change("v1:good").until(Phase.SUCCEEDED)
    assert world.route == ALL_PRIMARY


def test_deleted_while_a_rollback_is_under_way() -> None:
    """Nobody is there to go back to: the canary gets the rest, too."""
    world = ready_world({**JUDGED, "threshold": 1}, metrics={RATE["name"]: 1})

    def harm(of: World) -> None:
        if of.status.rollback and of.primary is not None:
            delete(of)

    world.after = harm
    world.change("v1:bad").until(Phase.FAILED)
    assert world.route == ALL_CANARY and world.status.canary_weight == 100
    world.metrics[RATE["name"]] = 100
    world.change("v1:good").until(Phase.SUCCEEDED)
    assert world.route == ALL_PRIMARY


@pytest.mark.parametrize("at", [promoting, finalising])
def test_deleted_while_it_is_promoted(at: Callable[[World], None]) -> None:
    """It is made anew of what was judged; meanwhile the proved canary serves."""
    world = ready_world(JUDGED)
    at(world)
    delete(world)
    world.fresh_record().look()
    assert world.primary is not None and world.primary.revision == "v1:r2"
    if at is promoting:
        assert world.route == ALL_CANARY
    world.until(Phase.SUCCEEDED)
    assert world.route == ALL_PRIMARY and world.status.last_promoted_spec == "v1:r2"


def test_another_target_is_not_a_new_version() -> None:
    """The primary of the target before serves on, and nothing leads elsewhere."""
    world = ready_world(JUDGED)
    delete(world)
    world.leftovers = ("Deployment old-primary", "Service old")
    world.change("v1:other").fresh_record().run(60)
    assert world.routes == [] and not [a for a in world.actions if not isinstance(a, WriteStatus)][2:]
    (blocked,) = (c for c in world.status.conditions if c.type == "Blocked")
    assert "Restore spec.targetRef" in blocked.message


def test_gone_and_back_again() -> None:
    """A primary that is scaled up again takes over when the run is done, not before."""
    world = ready_world(JUDGED).change("v1:r2").run(12)
    scale_down(world)
    world.run(1)
    assert world.route == ALL_CANARY and world.primary is not None
    world.primary.replicas = 2
    world.until(Phase.SUCCEEDED)
    assert world.route == ALL_PRIMARY and world.routes[-2:] != [Route(80, 20), ALL_PRIMARY]


@pytest.mark.parametrize("kill", [None, 0, 1, 2])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_made_again_from_its_record(strategy: str, kill: int | None) -> None:
    """The target runs a revision that failed, so the promoted one comes from the record of its release."""
    analysis, facts, spec = STRATEGIES[strategy]
    world = ready_world(analysis, spec=spec, **facts)
    failed(world)
    delete(world)
    world.kill_after = kill
    world.fresh_record().run(60)
    assert world.primary is not None and world.primary.revision == world.status.last_promoted_spec == "v1:r1"
    assert world.status.phase is Phase.FAILED and world.routes == [] and world.target.replicas == 0
    rebuilt = "web-primary.test does not exist: flagger creates it again from the record of release 1"
    assert rebuilt in world.texts and [each for each in world.actions if isinstance(each, Promote)][-1].release == 1
    assert not [c for c in world.status.conditions if c.type == "Blocked"]
    world.change("v1:good").until(Phase.SUCCEEDED)


def damaged(world: World) -> None:
    """A record with the template of another revision."""
    world.records[1]["status"]["template"] = "v1:forged"


def deleted(world: World) -> None:
    """A record that somebody deleted."""
    del world.records[1]


@pytest.mark.parametrize("harm", [damaged, deleted])
def test_a_record_that_is_of_no_use(harm: Callable[[World], None]) -> None:
    """The canary is blocked, as it is without records, and the next version ends that."""
    world = ready_world(JUDGED)
    failed(world)
    harm(world)
    delete(world)
    world.fresh_record().run(60)
    (blocked,) = (c for c in world.status.conditions if c.type == "Blocked")
    assert world.primary is None and "is not the promoted revision" in blocked.message
    assert ("there is no record of release 1" in blocked.message) == (harm is deleted)
    world.change("v1:good").until(Phase.SUCCEEDED)
    assert world.route == ALL_PRIMARY


def test_the_record_of_a_primary_with_another_target() -> None:
    """No primary of another target while that of the target before serves, whatever the records say."""
    world = ready_world(JUDGED)
    failed(world)
    delete(world)
    world.leftovers = ("Deployment old-primary",)
    world.fresh_record().run(60)
    assert world.primary is None and any(c.type == "Blocked" for c in world.status.conditions)
