"""Gates: what is told of one that is closed and of one that errs, where, how often, and that nothing fails for it."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import START, World, hook, ready_world
from pyflagger.api.canary import CanaryStatus, Phase
from pyflagger.api.durations import stamp
from pyflagger.core.conditions import CONDITIONS, HALTED, Waits, explain
from pyflagger.core.situation import Refused

LOADTESTER = "http://flagger-loadtester.test/gate/check"
OPENING = """To open it: curl -d '{"name": "shop", "namespace": "test"}' http://flagger-loadtester.test/gate/open"""
BROKEN = Refused("POST http://hooks/gate giving up after 1 attempt(s): connection refused", erred=True)
GATES = {
    "confirm-rollout": (Phase.WAITING, "New revision", "approval"),
    "confirm-traffic-increase": (Phase.PROGRESSING, "Advance", "traffic increase approval"),
    "confirm-promotion": (Phase.WAITING_PROMOTION, "Copying", "promotion approval"),
}


def gated(kind: str, *answers: Any, url: str = LOADTESTER) -> World:
    """A world whose release meets a gate."""
    return ready_world(
        {"stepWeight": 20, "maxWeight": 20, "webhooks": [hook(kind, "gate", url=url)]}, hooks={"gate": list(answers)}
    )


def message(world: World, kind: str = "Promoted") -> str:
    """What a condition says."""
    return next((c.message for c in world.status.conditions if c.type == kind), "")


@pytest.mark.parametrize("kind", GATES)
def test_a_closed_gate_is_named_with_since_when_and_how(kind: str) -> None:
    """In the condition, behind the usual text; the event is the reference's, once; nothing counts as failed."""
    phase, following, what = GATES[kind]
    world = gated(kind, *["closed"] * 4, True)
    world.change("v1:r2").run(4)
    world.until(phase).run(1)
    since = stamp(world.now - 1)
    said = message(world)
    assert said.startswith(f"{CONDITIONS[phase][1]} Gate gate is closed since ") and said.endswith(f". {OPENING}")
    first = said
    world.run(10)
    assert message(world) == first, "since when does not move, and nothing is written anew"
    assert world.texts.count(f"Halt shop.test advancement waiting for {what} gate") == 1
    assert not message(world, HALTED) and world.status.failed_checks == 0
    assert f" since {since[:16]}" in said
    world.run(40)
    assert any(text.startswith(following) for text in world.texts)
    assert "Gate" not in message(world)


@pytest.mark.parametrize("kind", GATES)
def test_a_gate_that_errs_is_told_apart(kind: str) -> None:
    """A Warning with its answer, once; Halted says that it is the hook; it is asked again, and nothing fails."""
    phase, _, what = GATES[kind]
    world = gated(kind, *[BROKEN] * 3, "closed", True)
    world.change("v1:r2").run(4)
    world.until(phase).run(12)
    text = f"Gate gate of shop.test gave no answer that opens or closes it: {BROKEN.text}"
    assert world.texts.count(text) == 1
    assert world.texts.count(f"Halt shop.test advancement waiting for {what} gate") == 1
    (halted,) = (c for c in world.status.conditions if c.type == HALTED)
    assert (halted.status, halted.reason) == ("True", "Hook") and halted.message.startswith(text)
    assert "Gate gate gave no usable answer since " in message(world)
    assert world.status.failed_checks == 0 and world.status.phase is phase
    asked = len(world.calls)
    world.run(20)
    assert len(world.calls) > asked
    assert not message(world, HALTED) and "Gate gate is closed since " in message(world)
    world.until(Phase.SUCCEEDED)
    assert world.texts.count(text) == 1


def test_another_answer_is_told_anew() -> None:
    """What a gate answers now is in the event and in the condition."""
    world = gated("confirm-rollout", BROKEN, Refused("Status 500 Internal Server Error", erred=True))
    world.change("v1:r2").run(15)
    told = [text for text in world.texts if text.startswith("Gate gate")]
    assert [text.rpartition(": ")[2] for text in told] == ["connection refused", "Status 500 Internal Server Error"]
    assert "Status 500" in message(world, HALTED)


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("http://gates.example/ok?token=secret", "It opens when http://gates.example/ok answers 200."),
        ("http://user:pass@gates.example/ok", "It opens when http://gates.example/ok answers 200."),
        (
            "http://loadtester/gate/halt",
            "http://loadtester/gate/halt never opens. To continue, let the webhook call /gate/check or /gate/approve.",
        ),
    ],
)
def test_how_other_gates_open(url: str, way: str) -> None:
    """By their address, without what is secret in it."""
    world = gated("confirm-rollout", "closed", url=url)
    world.change("v1:r2").run(4)
    assert message(world).endswith(f". {way}")
    assert "secret" not in message(world) and "pass" not in message(world)


def test_a_failed_round_behind_a_closed_gate() -> None:
    """While promotion waits, a round that fails is halted for that; the gate is still named."""
    metric = {"name": "errors", "query": "q", "thresholdRange": {"max": 1}}
    analysis = {"stepWeight": 20, "maxWeight": 20, "metrics": [metric], "webhooks": [hook("confirm-promotion", "gate")]}
    world = ready_world({**analysis, "threshold": 5}, hooks={"gate": "closed"}, metrics={"errors": [0, 0, 9, 0]})
    world.change("v1:r2").until(Phase.WAITING_PROMOTION).run(12)
    assert "Gate gate is closed" in message(world)
    seen = set()
    for _ in range(30):
        world.run(1)
        seen.add((bool(message(world, HALTED)), "Gate gate is closed" in message(world)))
    assert seen <= {(True, True), (False, True)}


def test_a_condition_of_other_words_is_left_alone() -> None:
    """Only what begins with the phase's usual text is explained; without a condition there is nothing to explain."""
    waits = Waits("Gate g is closed", "Open it.")
    bare = CanaryStatus(phase=Phase.WAITING)
    assert explain(bare, waits, START) is bare
