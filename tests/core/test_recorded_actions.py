"""The actions of people in the records of releases: which, of whom, with which result, and at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.test_records import written as writes
from core.world import World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.records import ACTIONS_MAX, Acted, fitted, grown, written

RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
ANALYSIS = {"stepWeight": 20, "maxWeight": 60, "metrics": [RATE]}


def running(**facts: Any) -> World:
    """A release at weight 20."""
    world = ready_world(ANALYSIS, **facts).change("v1:r2")
    while world.status.canary_weight != 20:
        world.run(0.5)
    return world


def told(world: World, number: int = 2) -> list[tuple[str, str, str]]:
    """Action, user and result of each in the record of a release."""
    found = world.records[number]["status"].get("actions") or []
    return [(each["action"], each["by"], each["result"]) for each in found]


def test_who_did_what_and_when() -> None:
    """In order, with the reason, the client, the answer and the result."""
    world = running().ask("pause", reason="logs", via="cli").run(3).ask("promote", revision="other").run(3)
    world.ask("resume").until(Phase.SUCCEEDED)
    assert told(world) == [("pause", "ann", "Done"), ("promote", "ann", "Refused"), ("resume", "ann", "Done")]
    first = world.records[2]["status"]["actions"][0]
    assert (first["reason"], first["via"]) == ("logs", "cli") and first["text"].startswith("Paused shop.test at")
    assert [each["at"] for each in world.records[2]["status"]["actions"]] == sorted(
        each["at"] for each in world.records[2]["status"]["actions"]
    )


def test_they_cost_no_write() -> None:
    """The next write of the record has them."""
    world = running().ask("pause").run(75)
    before = len(writes(world))
    world.ask("resume")
    assert len(writes(world)) == before
    assert told(world.until(Phase.SUCCEEDED)) == [("pause", "ann", "Done"), ("resume", "ann", "Done")]


@pytest.mark.parametrize("restarts", [1, 3])
def test_the_last_one_survives_a_restart(restarts: int) -> None:
    """Once, however often."""
    world = running().ask("pause", via="cli")
    for _ in range(restarts):
        world.run(5).restart()
    world.ask("resume").until(Phase.SUCCEEDED)
    assert told(world) == [("pause", "ann", "Done"), ("resume", "ann", "Done")]


def test_an_action_on_another_release_is_not_of_this_one() -> None:
    """Not after a restart either, and not between releases."""
    world = running().ask("abort", reason="odd").until(Phase.FAILED).run(5)
    assert told(world) == [("abort", "ann", "Done")]
    world.ask("promote").run(5).change("v1:r3").run(8).restart()
    assert told(world.until(Phase.SUCCEEDED), 3) == []


def test_a_retry_and_an_undo_begin_releases() -> None:
    """Their records name them."""
    world = running().ask("abort", reason="odd").until(Phase.FAILED).ask("retry").run(0.5)
    world.until(Phase.SUCCEEDED)
    assert told(world, 3) == [("retry", "ann", "Done")]
    world.run(30).ask("undo", reason="odd").until(Phase.FAILED)
    assert told(world, 4) == [("undo", "ann", "Done")]


def test_a_gate_that_opened_at_its_deadline() -> None:
    """As an action of its deadline."""
    gate = hook("confirm-rollout", "gate", metadata={"deadline": "1m", "default": "open"})
    world = ready_world({**ANALYSIS, "webhooks": [gate]}, hooks={"gate": "closed"}).change("v1:r2")
    assert told(world.until(Phase.SUCCEEDED)) == [("open-gate", "its deadline", "Done")]


def test_another_revision_takes_the_place() -> None:
    """The actions stay with the release that they were on."""
    world = running().ask("pause").ask("resume").change("v1:r3").until(Phase.SUCCEEDED)
    assert told(world) == [("pause", "ann", "Done"), ("resume", "ann", "Done")] and told(world, 3) == []


def test_a_paused_release_records_its_rounds() -> None:
    """They are judged, and held."""
    world = running().ask("pause").run(130)
    rounds = world.records[2]["status"]["rounds"]
    assert len(rounds) >= 6 and {each["end"] for each in rounds[1:]} == {"held"}


def test_the_last_ones_are_kept() -> None:
    """So many, each once."""
    many = tuple(Acted(action="pause", by=f"u{at}", at="2024") for at in range(ACTIONS_MAX + 5))
    record: Mapping[str, Any] = {"spec": {"startedAt": "2023"}, "status": {"actions": [written(many[0])]}}
    found = grown(record, (), (), 1.0, many)["actions"]
    assert len(found) == len(many)
    assert [each["by"] for each in fitted({}, {"actions": found})["actions"]] == [each.by for each in many[5:]]
