"""A rollout that may leave the primary without a pod: the canary takes everybody first, and gives them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.world import KUBERNETES, MESH, Killed, World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.defaults import HEARD_SECONDS, SETTLE_SECONDS
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Route
from pyflagger.core import reasons
from pyflagger.core.decision import Promote, ScaleTarget, SetRoute

STEPS = {"stepWeight": 20, "maxWeight": 40}
TURNS = {"iterations": 2}
AB = {"iterations": 2, "match": [{"headers": {"a": {"exact": "b"}}}]}
TAKES = "Routing all traffic to canary: the update strategy of web-primary.test may leave it without pods"


def released(analysis: dict[str, Any], **facts: Any) -> World:
    """A new revision in an initialized world whose primary drains."""
    return ready_world(analysis, **{"keeps": 0, **facts}).change("v1:r2")


CASES: dict[str, tuple[Callable[[], World], list[Route]]] = {
    "weights": (lambda: released(STEPS), [Route(80, 20), Route(60, 40), ALL_CANARY, ALL_PRIMARY]),
    "stepped home": (
        lambda: released({**STEPS, "stepWeightPromotion": 50}),
        [Route(80, 20), Route(60, 40), ALL_CANARY, Route(50, 50), ALL_PRIMARY],
    ),
    "a/b": (lambda: released(AB), [ALL_CANARY, ALL_CANARY, ALL_PRIMARY]),
    "a/b on a mesh": (lambda: released(AB, **MESH), [ALL_CANARY, ALL_CANARY, ALL_PRIMARY]),
    "blue/green": (lambda: released(TURNS), [ALL_CANARY, ALL_PRIMARY]),
    "apex service": (lambda: released(TURNS, **KUBERNETES), [ALL_CANARY, ALL_PRIMARY]),
    "skipped": (lambda: released(STEPS, spec={"skipAnalysis": True}), [ALL_CANARY, ALL_PRIMARY]),
    "apex service, skipped": (
        lambda: released(TURNS, spec={"skipAnalysis": True}, **KUBERNETES),
        [ALL_CANARY, ALL_PRIMARY],
    ),
    "all weights anyway": (
        lambda: released({"stepWeight": 50, "maxWeight": 100}),
        [Route(50, 50), ALL_CANARY, ALL_PRIMARY],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_everybody_is_on_the_canary_while_the_primary_rolls(name: str) -> None:
    """`World` refuses a copy before that; the routes are these and none other."""
    story, routes = CASES[name]
    world = story().until(Phase.SUCCEEDED)
    assert world.routes == routes
    assert world.status.canary_weight == 0
    assert world.status.last_promoted_spec == "v1:r2"


def test_a_primary_that_keeps_pods_is_copied_at_once() -> None:
    """With one pod that stays, nobody is moved for it."""
    world = released(STEPS, keeps=1).until(Phase.SUCCEEDED)
    assert world.routes == [Route(80, 20), Route(60, 40), ALL_PRIMARY]
    assert TAKES not in world.texts


def test_it_is_told_and_shown() -> None:
    """One event, the weight in the status, the Promoted condition."""
    world = released(STEPS)
    for _ in range(200):
        if ALL_CANARY not in world.routes:
            world.run(0.5)
    assert world.texts[-1] == TAKES
    assert (world.status.phase, world.status.canary_weight) == (Phase.PROGRESSING, 100)
    assert world.status.conditions[0].message == reasons.CONDITION_HANDOVER.format(kind="Deployment")
    world.until(Phase.SUCCEEDED)
    assert world.texts.count(TAKES) == 1


def test_it_costs_what_proxies_need_to_hear() -> None:
    """Of the canary before the copy, of the primary's new pods before they get traffic."""

    def took(keeps: int) -> float:
        world = released(STEPS, keeps=keeps)
        begun = world.now
        return world.until(Phase.SUCCEEDED).now - begun

    assert took(0) - took(1) == pytest.approx(HEARD_SECONDS + SETTLE_SECONDS, abs=0.5)


def handing_over(**facts: Any) -> World:
    """In the middle: the canary has everybody, nothing is copied yet."""
    world = released(STEPS, **facts)
    for _ in range(400):
        if ALL_CANARY not in world.routes:
            world.run(0.25)
    assert not any(isinstance(action, Promote) for action in world.actions)
    return world


def test_a_new_revision_finds_a_primary_that_is_whole() -> None:
    """It is judged from no traffic on; what was about to be promoted never is."""
    world = handing_over().change("v1:r3").run(0)
    assert world.route == ALL_PRIMARY
    assert world.status.canary_weight == 0
    world.until(Phase.SUCCEEDED)
    assert [action.revision for action in world.actions if isinstance(action, Promote)] == ["v1:r3"]


def test_the_promoted_revision_put_back_cancels_it() -> None:
    """Nothing is copied."""
    world = handing_over().change("v1:r1").until(Phase.INITIALIZED)
    assert world.route == ALL_PRIMARY
    assert not any(isinstance(action, Promote) for action in world.actions)


def test_a_new_revision_after_the_copy_waits_for_the_primary() -> None:
    """Everybody goes home once the primary is ready, not before."""
    world = handing_over(rollout=5.0).until(Phase.PROMOTING).change("v1:r3")
    world.target.failing = "no pods"
    world.run(2)
    assert world.route == ALL_CANARY
    world.target.failing = ""
    world.until(Phase.SUCCEEDED, ending=False)
    promoted = [status.last_promoted_spec for status in world.statuses if status.phase is Phase.SUCCEEDED]
    assert promoted == ["v1:r2", "v1:r3"]


def test_deleted_in_the_middle() -> None:
    """The target takes over; nothing is copied."""
    world = handing_over(spec={"revertOnDeletion": True}).delete().run(30)
    assert world.gone
    assert not any(isinstance(action, Promote) for action in world.actions)


def test_somebody_who_takes_the_route_back_is_answered() -> None:
    """Before the copy and while the primary rolls, the canary gets everybody back."""
    world = handing_over(rollout=8.0)
    world.route = Route(60, 40)
    world.run(0)
    assert world.route == ALL_CANARY
    world.until(Phase.PROMOTING)
    world.route = Route(60, 40)
    world.run(30)
    assert ALL_CANARY in world.routes[-2:]
    assert world.until(Phase.SUCCEEDED).route == ALL_PRIMARY


def test_a_route_that_is_not_taken_up_holds_the_copy() -> None:
    """The gateway still leads visitors to the primary."""
    world = handing_over()
    world.route_waiting = "the gateway has not accepted the route"
    world.run(20)
    assert not any(isinstance(action, Promote) for action in world.actions)
    world.route_waiting = ""
    assert world.until(Phase.SUCCEEDED)


def test_a_canary_that_cannot_carry_everybody_grows_first() -> None:
    """As many replicas as the primary has, within its autoscaler's limit; asked once."""
    world = released(STEPS, most=5)
    assert world.primary is not None
    world.primary.replicas = 4
    world.until(Phase.SUCCEEDED)
    grown = [action for action in world.actions if isinstance(action, ScaleTarget) and action.replicas == 4]
    assert len(grown) == 1
    taken = world.actions.index(SetRoute(ALL_CANARY, everyone=True))
    assert world.actions.index(grown[0]) < taken
    assert "Scaling up web.test to 4 replicas to carry all traffic" in world.texts
    assert not [text for text in world.texts if "carries all traffic with" in text]


def test_what_the_autoscaler_does_not_allow_is_told_before_the_release_and_done_with_less() -> None:
    """A Warning at its beginning, another one when it comes to it."""
    world = released(STEPS, most=3)
    assert world.primary is not None
    world.primary.replicas = 4
    world.run(0)
    early = (
        "web.test has to carry all traffic while web-primary.test is updated, "
        "but its autoscaler allows 3 replicas where the primary has 4"
    )
    assert world.texts == ["New revision detected! Scaling up web.test", early]
    world.until(Phase.SUCCEEDED)
    assert "web.test carries all traffic with 3 replicas, web-primary.test had 4" in world.texts


def test_an_autoscaler_that_takes_pods_back_is_not_fought() -> None:
    """It is asked once, told of, and the release goes on."""
    world = released(STEPS, most=9, takes_back=True)
    assert world.primary is not None
    world.primary.replicas = 4
    world.until(Phase.SUCCEEDED)
    assert len([a for a in world.actions if isinstance(a, ScaleTarget) and a.replicas == 4]) == 1
    assert "web.test carries all traffic with 2 replicas, web-primary.test had 4" in world.texts


def test_a_new_revision_in_a_run_is_warned_of_too() -> None:
    """The limit may have changed since."""
    world = released(STEPS, most=9).run(15)
    world.most = 1
    world.change("v1:r3").run(0)
    assert any("its autoscaler allows 1 replicas" in text for text in world.texts)


def test_a_canary_that_loses_its_pods_meanwhile_ends_in_a_rollback() -> None:
    """The primary is whole: everybody goes back to it."""
    world = handing_over()
    world.target.failing = "deadline"
    world.until(Phase.FAILED)
    assert world.route == ALL_PRIMARY
    assert not any(isinstance(action, Promote) for action in world.actions)


def test_a_promotion_that_fails_leaves_everybody_on_the_canary() -> None:
    """As ever."""
    world = released(STEPS, fate={"v1:r2": "deadline"}).until(Phase.FAILED)
    assert (world.route, world.status.canary_weight) == (ALL_CANARY, 100)


def test_the_gate_is_asked_once() -> None:
    """A handover is no new step: what was approved stays approved."""
    world = released({**STEPS, "webhooks": [hook("confirm-promotion")]}).until(Phase.SUCCEEDED)
    assert len([call for call in world.calls if call[0] == "confirm-promotion"]) == 1


QUICK = ("skipped", "apex service, skipped")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in CASES]
)
def test_killed_after_every_action(name: str) -> None:
    """The same end, nobody without a pod, and the gate of the promotion is not asked again."""
    calm = CASES[name][0]().until(Phase.SUCCEEDED)
    for point in range(len(calm.actions)):
        world = CASES[name][0]()
        world.kill_after = point
        try:
            world.until(Phase.SUCCEEDED)
        except Killed:
            world.until(Phase.SUCCEEDED)
        world.run(10)
        assert (world.route, world.status.last_promoted_spec) == (ALL_PRIMARY, "v1:r2"), f"killed after {point}"
        assert world.target.replicas == 0
        assert not [text for text in world.texts if "Another client set" in text], f"killed after {point}"
