"""Somebody else who writes to our routes: mended, named, fought ever more seldom; what is safe goes on."""

from __future__ import annotations

import itertools

import pytest

from core.world import World, canary, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_PRIMARY, Fault, Managed, Problem, Route
from pyflagger.core.conditions import BLOCKED
from pyflagger.core.decision import Ensure, Part, SetRoute

ARGO = Managed("argocd-controller", "httproute web.test")
CHANGED = "argocd-controller changed httproute web.test: flagger restores it and keeps its weights"
CONTESTED = "argocd-controller changes httproute web.test each time flagger writes it"
NO_SPLIT = Problem(Fault.CLUSTER, "httproute web.test: the weights 0 and 0 do not add up to 100")
STEPS = {"stepWeight": 10, "maxWeight": 50, "threshold": 5}


def released(**facts: object) -> World:
    """At its first weight."""
    world = ready_world(STEPS, manager=ARGO, **facts).change("v1:r2").run(5)
    assert world.route == Route(90, 10)
    return world.fresh_record()


def blocked(world: World) -> str:
    """The message of the condition; empty when there is none."""
    return next((each.message for each in world.status.conditions if each.type == BLOCKED), "")


def mendings(world: World) -> int:
    """How often the routes were mended."""
    return sum(action == Ensure(Part.ROUTING) for action in world.actions)


def fight(world: World, seconds: float, part: Part = Part.ROUTING) -> list[float]:
    """Somebody spoils what is ours within a second of each mending; the times at which it was mended."""
    times: list[float] = []
    end = world.now + seconds
    while world.now < end:
        before = world.actions.count(Ensure(part))
        world.parts[part] = "drift"
        world.run(1.0)
        times += [world.now] * (world.actions.count(Ensure(part)) - before)
    return times


def test_a_route_that_somebody_changed_is_mended_and_they_are_named() -> None:
    """Once: there is nothing to fight about yet, and nobody is asked for more than the one object."""
    world = released()
    world.parts[Part.ROUTING] = "drift"
    world.look()
    assert world.texts == [CHANGED] and world.parts[Part.ROUTING] == "ok"
    assert [name for name, *_ in world.calls] == ["managers"]
    assert world.route == Route(90, 10) and blocked(world) == ""
    assert world.until(Phase.SUCCEEDED).weights == [20, 30, 40, 50, 0]


def test_what_follows_from_our_own_change_is_nobodys_fault() -> None:
    """A new host in the Canary, a new version of flagger: mended without a word."""
    world = released()
    world.manager = Managed()
    world.parts[Part.ROUTING] = "drift"
    world.look()
    assert world.texts == [] and mendings(world) == 1


def test_a_route_that_is_gone_is_told_and_made_again() -> None:
    """With the weight that the release had reached."""
    world = released()
    world.parts[Part.ROUTING], world.route, world.manager = "drift", None, Managed()
    world.after = lambda w: setattr(w, "route", w.route if w.route != ALL_PRIMARY else Route(90, 10))
    world.look()
    assert world.texts[0] == "The route of shop.test is missing: flagger restores it with canary weight 10"
    assert world.status.canary_weight == 10


@pytest.mark.parametrize("phase", [Phase.INITIALIZED, Phase.PROGRESSING])
def test_weights_that_make_no_sense_are_told_and_set_again(phase: Phase) -> None:
    """They block nothing: what can be mended is not left to the user."""
    world = ready_world(STEPS, manager=ARGO) if phase is Phase.INITIALIZED else released()
    world.parts[Part.ROUTING], world.route_problem = "drift", NO_SPLIT
    world.after = lambda w: setattr(w, "route_problem", None)
    world.look()
    assert world.texts == [NO_SPLIT.text] and world.parts[Part.ROUTING] == "ok" and blocked(world) == ""
    assert world.status.phase is phase


def test_weights_that_cannot_be_mended_block() -> None:
    """The manifest's fault has to be mended there; nothing is written."""
    world = released()
    world.parts[Part.ROUTING] = world.route_problem = NO_SPLIT
    world.run(100)
    assert blocked(world).startswith(NO_SPLIT.text) and not mendings(world) and world.weights == []


def test_a_fight_is_named_and_damped() -> None:
    """A handful of writes in the first minute, fewer later; an event and a condition say who it is, once."""
    world = released()
    times = fight(world, 600)
    assert len([at for at in times if at < times[0] + 60]) <= 6
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert gaps[1:] == sorted(gaps[1:]) and gaps[-1] >= 100
    assert world.texts.count(CONTESTED) == 1 and blocked(world).startswith(CONTESTED)
    assert len([name for name, *_ in world.calls if name == "managers"]) == len(times)


def test_a_fight_ends_when_the_other_one_stops() -> None:
    """The condition goes, and the release goes on to its end by itself."""
    world = released()
    fight(world, 60)
    assert blocked(world)
    world.parts[Part.ROUTING] = "ok"
    assert world.until(Phase.SUCCEEDED, limit=900).route == ALL_PRIMARY
    world.run(200)
    assert blocked(world) == ""


def test_no_more_traffic_is_given_in_a_fight() -> None:
    """The checks go on, and a rollback does, too."""
    world = released()
    fight(world, 60)
    assert max(world.weights, default=10) <= 20
    held = world.status.canary_weight
    fight(world, 60)
    assert world.status.canary_weight == held


def test_what_follows_a_source_that_changes_is_no_fight() -> None:
    """Each write is another one: it is made at once, nobody is accused, and the release goes on meanwhile."""
    world, before = released(), 0
    for second in range(60):
        world.parts[Part.ROUTING], world.wanted[Part.ROUTING] = "drift", f"copied from version {second}"
        world.run(1.0)
        assert mendings(world) == before + 1 and blocked(world) == ""
        before = mendings(world)
    assert world.status.phase is Phase.SUCCEEDED and CONTESTED not in world.texts


def test_a_fight_for_labels_holds_no_traffic() -> None:
    """It is told and damped like any other, with the field that ends it; the release takes all of its steps."""
    world, times = released(), list[float]()
    world.manager = Managed("cloud-controller", "service web.test")
    while world.status.phase is not Phase.SUCCEEDED:
        before = world.actions.count(Ensure(Part.APEX_SERVICE))
        world.parts[Part.APEX_SERVICE] = "untidy"
        world.run(1.0)
        times += [world.now] * (world.actions.count(Ensure(Part.APEX_SERVICE)) - before)
    assert world.now < times[0] + 60 and len(times) <= 6
    assert "spec.service.unmanagedMetadata" in blocked(world)


def test_one_fight_does_not_put_off_the_mending_of_another_part() -> None:
    """Each part has its own pauses."""
    world = released()
    fight(world, 120, Part.APEX_SERVICE)
    world.parts[Part.APEX_SERVICE] = world.parts[Part.CANARY_SERVICE] = "drift"
    world.look()
    assert world.parts[Part.CANARY_SERVICE] == "ok" and world.parts[Part.APEX_SERVICE] == "drift"


@pytest.mark.long
@pytest.mark.parametrize(("phase", "least", "most"), [(Phase.PROGRESSING, 20, 31), (Phase.FAILED, 100, 301)])
def test_how_long_a_bad_version_keeps_visitors(phase: Phase, least: float, most: float) -> None:
    """However long somebody has sent them there again, half a minute while it runs; longer where nothing runs."""
    world = released(hooks={"no": True})
    analysis = {**STEPS, "interval": "10s", "webhooks": [hook("rollback", "no")]}
    world.canary = canary(analysis).model_copy(update={"status": world.status})
    if phase is Phase.FAILED:
        world.until(phase)
    times: list[float] = []
    for _ in range(2400):
        if world.route != Route(90, 10):
            times.append(world.now)
            world.route = Route(90, 10)
        world.run(0.5)
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert world.status.phase is phase and blocked(world).startswith(CONTESTED)
    assert least < max(gaps) <= most


@pytest.mark.long
def test_weights_that_are_reset_each_time_are_no_hot_loop() -> None:
    """The steps are taken again, ever more seldom, and it is told who takes them back."""
    world = released()
    end, routed = world.now + 900, list[float]()
    while world.now < end:
        if world.route != ALL_PRIMARY:
            routed.append(world.now)
            world.route = ALL_PRIMARY
        world.run(0.5)
    assert len(routed) <= 12 and blocked(world).startswith(CONTESTED)
    gaps = [later - sooner for sooner, later in itertools.pairwise(routed)]
    assert gaps[-1] > 4 * gaps[0]
    assert world.until(Phase.SUCCEEDED, limit=2000)


def test_traffic_to_a_canary_that_sleeps_is_taken_back_ever_more_seldom() -> None:
    """Each time at once would be as fast as the watch."""
    world = ready_world(STEPS, manager=ARGO)
    for _ in range(600):
        world.route = Route(50, 50)
        world.run(0.5)
    assert 2 <= len([action for action in world.actions if isinstance(action, SetRoute)]) <= 10
    assert blocked(world).startswith(CONTESTED)


@pytest.mark.parametrize(
    ("part", "most"), [(Part.APEX_SERVICE, 25), (Part.PRIMARY_SERVICE, 25), (Part.CANARY_SERVICE, 7)]
)
def test_a_fight_for_a_service_is_damped_alike(part: Part, most: int) -> None:
    """What visitors use is mended every five seconds, as they get no answer meanwhile."""
    world = released()
    assert len(fight(world, 120, part)) <= most
    assert blocked(world).startswith(CONTESTED)


@pytest.mark.parametrize("part", [Part.APEX_SERVICE, Part.PRIMARY_SERVICE])
def test_a_service_that_is_pointed_elsewhere_every_minute_is_mended_at_once(part: Part) -> None:
    """A GitOps controller that applies its own selector each time must not take visitors until a pause is over."""
    world = released()
    for _ in range(20):
        world.parts[part] = "drift"
        world.look()
        assert world.parts[part] == "ok"
        world.run(world.interval)


def test_somebody_unknown_gets_the_benefit_of_the_doubt_for_longer() -> None:
    """Another copy of flagger has our name: it is damped as well, and nobody is accused by name."""
    world = released()
    world.manager = Managed()
    assert len(fight(world, 300)) <= 12
    assert blocked(world).startswith("another controller changes routes each time flagger writes them")


def test_a_field_that_the_server_does_not_keep_is_named() -> None:
    """Nobody else wrote: the definition of the route's kind has no such field."""
    world = released()
    world.manager = Managed(what="spec.trafficPolicy.tsl of destinationrule web-primary.shop")
    assert len(fight(world, 300)) <= 12
    assert blocked(world).startswith("the API server drops spec.trafficPolicy.tsl of destinationrule web-primary.shop")


def test_new_revisions_in_a_row_are_not_a_fight() -> None:
    """Each takes the traffic back at once."""
    world = released()
    for number in range(3, 9):
        world.change(f"v1:r{number}").run(0.1)
        assert world.route == ALL_PRIMARY
        world.run(5)
        assert world.route == Route(90, 10) and blocked(world) == ""


def test_a_new_operator_begins_to_count_anew() -> None:
    """Nothing is stored: it finds out by itself."""
    world = released()
    fight(world, 120)
    world.restart()
    world.parts[Part.ROUTING] = "drift"
    world.look()
    assert world.parts[Part.ROUTING] == "ok"
