"""Deadlines of gates: their start, their default, their Events and alerts, and the decision of a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.test_gates import GATES, gated, message
from core.world import START, World, hook, ready_world
from pyflagger.api.analysis import Metric, Webhook
from pyflagger.api.canary import Phase
from pyflagger.api.durations import epoch, stamp
from pyflagger.api.steered import Gate
from pyflagger.core import gates
from pyflagger.core.conditions import HALTED, WAITING
from pyflagger.core.evidence import Hooks
from pyflagger.core.situation import Refused
from pyflagger.core.view import View

HOUR, INTERVAL = 3600.0, 120.0
NOBODY = "Gate gate of shop.test opens at its deadline: no decision within 2h"
IN_VAIN = "Rolling back shop.test: gate gate was not opened within 2h"


def bound(default: str, *kinds: str, deadline: str = "2h", answers: Any = "closed", **more: Any) -> World:
    """A world whose release meets gates with a deadline: `gate`, then `gate1`, ..."""
    names = ["gate", *(f"gate{at}" for at in range(1, len(kinds)))]
    ends = {"metadata": {"deadline": deadline, "default": default}}
    hooks = [hook(kind, name, **ends, **more) for kind, name in zip(kinds, names, strict=True)]
    analysis = {"stepWeight": 20, "maxWeight": 20, "webhooks": hooks}
    return ready_world(analysis, hooks=dict.fromkeys(names, answers), interval=INTERVAL).change("v1:r2")


def standing(kind: str, default: str, **more: Any) -> World:
    """A release at its gate, just refused."""
    world = bound(default, kind, **more)
    while "Gate gate is closed" not in message(world):
        world.run(0.5)
    return world


def reach(world: World, phase: Phase) -> None:
    """Let hours pass until a phase is reached."""
    for _ in range(300):
        if world.run(INTERVAL).status.phase is phase:
            return
    raise AssertionError(f"still {world.status.phase}: {world.decision.reasons}")


def known(world: World, name: str = "gate") -> Gate:
    """What the status has of a gate."""
    return (world.status.gates or {})[name]


def ends(world: World) -> float:
    """The deadline of the gate."""
    return epoch(known(world).since) + 2 * HOUR


@pytest.mark.parametrize("kind", GATES)
def test_a_gate_opens_at_its_deadline(kind: str) -> None:
    """Within the interval after it, for this revision, with one Warning and one alert."""
    world = standing(kind, "open")
    end = ends(world)
    world.run(2 * HOUR - INTERVAL)
    assert NOBODY not in world.texts and known(world).state == ""
    if kind == "confirm-promotion":
        world.until(Phase.PROMOTING)
    else:
        world.run(2 * INTERVAL)
    assert (known(world).state, known(world).by) == ("open", "its deadline")
    assert end <= START + next(event[0] for event in world.said if event[-1] == NOBODY) <= end + INTERVAL
    reach(world, Phase.SUCCEEDED)
    assert world.texts.count(NOBODY) == 1 and world.alerts.count(("warn", NOBODY)) == 1
    assert world.status.gates is None


@pytest.mark.parametrize("kind", GATES)
def test_a_release_is_aborted_at_the_deadline(kind: str) -> None:
    """With the reason in the event, the alert and the condition; the revision is not tried again."""
    world = standing(kind, "abort")
    world.run(2 * HOUR - INTERVAL)
    assert world.status.rollback is None
    reach(world, Phase.FAILED)
    assert world.texts.count(IN_VAIN) == 1 and world.alerts.count(("warn", IN_VAIN)) == 1
    assert message(world, HALTED).startswith(IN_VAIN)
    assert world.run(HOUR).status.phase is Phase.FAILED
    record = world.records[2]["status"]
    assert record["outcome"] == "RolledBack" and IN_VAIN in record["reason"]["text"]
    assert any(wait["code"] == "GateClosed" for wait in record["waits"])


@pytest.mark.parametrize("default, what", [("open", "flagger opens it"), ("abort", "flagger aborts the release")])
def test_the_conditions_say_until_when_and_what_then(default: str, what: str) -> None:
    """Both conditions have the same time, which does not move, and the way to open it stays last."""
    world = standing("confirm-promotion", default)
    at = stamp(ends(world))
    for _ in range(3):
        world.run(INTERVAL)
        for kind in ("Promoted", WAITING):
            assert f". At {at} {what}. It opens when http://hooks/gate answers 200." in message(world, kind)
    assert known(world) == Gate("", "", world.pending, known(world).since)


def test_the_way_to_open_it_stays_that_of_its_server() -> None:
    """A deadline decides nothing before its end, so the gate is still opened by its URL."""
    world = standing("confirm-rollout", "open")
    world.hooks["gate"] = True
    reach(world, Phase.SUCCEEDED)
    assert NOBODY not in world.texts


def test_a_restart_does_not_move_the_deadline() -> None:
    """The start is in the status."""
    world = standing("confirm-rollout", "open")
    end = ends(world)
    for _ in range(6):
        world.run(HOUR / 3 - 1).restart()
    reach(world, Phase.SUCCEEDED)
    assert START + next(event[0] for event in world.said if event[-1] == NOBODY) <= end + INTERVAL


@pytest.mark.parametrize("muted", [False, True])
def test_a_warning_an_hour_before(muted: bool) -> None:
    """Once, as an event and as an alert; a muted gate sends none."""
    world = standing("confirm-promotion", "abort", muteAlert=muted)
    at = stamp(ends(world))
    text = f"Gate gate of shop.test still holds the release. At {at} flagger aborts the release"
    world.run(HOUR - 2 * INTERVAL)
    assert text not in world.texts
    world.run(HOUR / 2)
    assert world.texts.count(text) == 1
    assert world.alerts.count(("warn", text)) == (0 if muted else 1)


def test_no_warning_before_a_short_deadline() -> None:
    """The event of the closed gate is as young."""
    world = standing("confirm-promotion", "abort", deadline="30m")
    reach(world, Phase.FAILED)
    assert not any("still holds" in text for text in world.texts)


@pytest.mark.parametrize("action", ["open-gate", "close-gate"])
def test_a_person_takes_the_place_of_the_deadline(action: str) -> None:
    """Open: the release goes on. Closed: it stands for as long as people want."""
    world = standing("confirm-rollout", "abort")
    since = known(world).since
    world.ask(action, gate="gate")
    if action == "open-gate":
        reach(world, Phase.SUCCEEDED)
        return
    world.run(3 * HOUR)
    assert world.status.phase is Phase.WAITING and known(world) == Gate("closed", "ann", world.pending, since)
    assert "flagger aborts" not in message(world)
    reach(world.ask("open-gate", gate="gate"), Phase.SUCCEEDED)


def test_a_person_closes_a_gate_that_its_deadline_opened() -> None:
    """It holds the next step."""
    world = bound("open", "confirm-traffic-increase", "confirm-promotion", answers="closed")
    world.hooks["gate1"] = True
    world.run(2 * HOUR)
    while not known(world).state:
        world.run(10)
    world.ask("close-gate", gate="gate").run(3 * HOUR)
    assert world.status.phase is Phase.PROGRESSING and known(world).state == "closed"


def test_a_deadline_counts_from_the_first_refusal() -> None:
    """It is the time that a gate may hold a revision: a step that it let pass does not begin it anew."""
    world = standing("confirm-traffic-increase", "open", answers=["closed", True, "closed"])
    end = ends(world)
    while world.status.canary_weight == 0:
        world.run(0.5)
    reach(world, Phase.SUCCEEDED)
    assert end <= START + next(event[0] for event in world.said if event[-1] == NOBODY) <= end + INTERVAL


def test_another_revision_has_its_own() -> None:
    """The first one waited for most of its time."""
    world = standing("confirm-rollout", "open").run(1.9 * HOUR)
    since = known(world).since
    world.change("v1:r3").run(HOUR)
    assert known(world).since > since and NOBODY not in world.texts
    reach(world, Phase.SUCCEEDED)


def test_failed_checks_outrank_the_deadline() -> None:
    """A gate that opens promotes nothing that does not pass."""
    world = standing("confirm-promotion", "open")
    spec = world.canary.spec.analysis
    assert spec is not None
    metric = Metric.model_validate({"name": "errors", "query": "q", "thresholdRange": {"max": 1}})
    world.metrics["errors"] = 9
    world.spec(analysis=spec.model_copy(update={"metrics": (metric,)}))
    reach(world, Phase.FAILED)
    assert NOBODY not in world.texts


def test_a_pause_outranks_the_deadline() -> None:
    """The time goes on; once it is resumed, the default comes."""
    world = standing("confirm-promotion", "open").ask("pause").run(3 * HOUR)
    assert world.status.phase is Phase.WAITING_PROMOTION and NOBODY not in world.texts
    reach(world.ask("resume"), Phase.SUCCEEDED)
    assert NOBODY in world.texts


@pytest.mark.parametrize("kind", GATES)
def test_several_gates(kind: str) -> None:
    """Each has its own time, which begins when the one before it lets pass."""
    world = bound("open", kind, kind)
    while known_or_none(world, "gate1") is None:
        world.run(INTERVAL)
    assert known(world).state == "open" and known(world, "gate1").since > known(world).since
    reach(world, Phase.SUCCEEDED)
    assert world.texts.count(NOBODY) == 1 and world.texts.count(NOBODY.replace("gate of", "gate1 of")) == 1


def known_or_none(world: World, name: str) -> Gate | None:
    """What the status has of a gate, if anything."""
    return (world.status.gates or {}).get(name)


def test_a_gate_that_fails_has_the_same_deadline() -> None:
    """Nobody opens it either."""
    world = bound("abort", "confirm-rollout", answers=Refused("no", erred=True))
    reach(world, Phase.FAILED)
    assert IN_VAIN in world.texts


def test_an_older_definition_has_no_deadlines() -> None:
    """It drops the start, so nothing comes; the condition says so instead of a time."""
    world = bound("open", "confirm-rollout")
    world.pruned = True
    world.canary = world.canary.model_copy(update={"status": world.status.but(release=None, gates=None)})
    world.run(3 * HOUR)
    assert world.status.phase is Phase.WAITING and NOBODY not in world.texts
    assert "Its deadline has no effect: the Canary definition is older. It opens when" in message(world)


def test_a_gate_without_a_deadline_writes_nothing_of_it() -> None:
    """As before."""
    world = gated("confirm-rollout", "closed").change("v1:r2").until(Phase.WAITING).run(60)
    assert world.status.gates is None


def test_an_open_gate_is_written_whatever_follows() -> None:
    """A decision that writes no status gets a write of its own; one that asks for checks does not."""
    world = standing("confirm-promotion", "open")
    gate = Webhook.model_validate(hook("confirm-promotion", "gate", metadata={"deadline": "1s", "default": "open"}))
    view = View.of(world.situation())
    stays = gates.defaults(view, gate, (), lambda v, s: replace(world.decision, actions=s, needs=(), memory=None))
    assert len(stays.actions) == 3
    asks = gates.defaults(view, gate, (), lambda v, s: (v and Hooks(ask=world.decision).ask) or world.decision)
    assert isinstance(asks, type(world.decision))


def test_the_start_of_a_deadline_that_cannot_be_read() -> None:
    """It begins now."""
    world = standing("confirm-rollout", "open")
    broken = {"gate": replace(known(world), since="yesterday")}
    world.canary = world.canary.model_copy(update={"status": world.status.but(gates=broken)})
    world.run(INTERVAL + 1)
    assert known(world).since.startswith("20")
