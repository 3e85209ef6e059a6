"""The operator dies after every single action of a release, and the next process brings it to the same end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from core.world import KUBERNETES, MESH, Killed, World, canary, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.core.decision import Count, Promote

RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
HOOKS = [hook(kind) for kind in ("confirm-rollout", "pre-rollout", "rollout", "confirm-promotion", "post-rollout")]
FULL = {"stepWeight": 20, "maxWeight": 40, "webhooks": HOOKS, "metrics": [RATE]}
MATCH = [{"headers": {"a": {"exact": "b"}}}]


def released(analysis: dict[str, Any], **facts: Any) -> Callable[[], World]:
    """A story: a new revision in an initialized world."""
    spec = facts.pop("spec", None)

    def story() -> World:
        world = ready_world(analysis, spec=spec, paused=False, **facts)
        return world.change("v1:r2")

    return story


def fresh() -> World:
    """A story: the Canary was just created."""
    return World(canary(FULL), paused=False)


def restarted() -> World:
    """A story: another revision in the middle."""
    world = ready_world(FULL).change("v1:r2").run(15)
    return world.change("v1:r3")


def reverted() -> World:
    """A story: the promoted revision put back in the middle."""
    return ready_world(FULL).change("v1:r2").run(15).change("v1:r1")


def mended() -> World:
    """A story: a new revision after a failed promotion."""
    world = ready_world(FULL, fate={"v1:r2": "deadline"}).change("v1:r2").until(Phase.FAILED)
    return world.fresh_record().change("v1:r3")


def deleted() -> World:
    """A story: deletion in the middle of a run."""
    return ready_world(FULL, spec={"revertOnDeletion": True}).change("v1:r2").run(15).delete()


STORIES: dict[str, Callable[[], World]] = {
    "bootstrap": fresh,
    "good": released(FULL),
    "stepping home": released({**FULL, "stepWeightPromotion": 20}),
    "rolled back": released({**FULL, "threshold": 1}, metrics={RATE["name"]: 1}),
    "deadline": lambda: released(FULL)().change("v1:r2", failing="deadline"),
    "rolled back by hook": released({**FULL, "webhooks": [*HOOKS, hook("rollback")]}, hooks={"rollback": True}),
    "failed promotion": released(FULL, fate={"v1:r2": "deadline"}),
    "mended": mended,
    "restarted": restarted,
    "reverted": reverted,
    "deleted": deleted,
    "skipped": released(FULL, spec={"skipAnalysis": True}),
    "A/B": released({"iterations": 2, "match": MATCH, "webhooks": HOOKS}),
    "blue/green": released({"iterations": 2, "webhooks": HOOKS}, **MESH),
    "mirrored blue/green": released({"iterations": 2, "mirror": True}, **MESH),
    "mirrored weighted": released({"stepWeight": 20, "maxWeight": 20, "mirror": True}, **MESH),
    "without a router": released({"iterations": 2}, **KUBERNETES),
}


def end(world: World) -> tuple[Any, ...]:
    """Where a world ended, without times and the results of the last round: a crash after its step loses those."""
    status, primary = world.status, world.primary
    conditions = [(c.type, c.status, c.reason, c.message) for c in status.conditions]
    shown = status.but(last_tick_time=None, last_transition_time=None, conditions=(), round=None)
    return shown, conditions, world.route, world.target.replicas, primary and primary.revision, world.paused, world.gone


def monotone(world: World, story: str) -> None:
    """Weights went up step by step, and down only to go home."""
    if story == "stepping home":
        return
    rising = [0, *world.weights]
    for before, after in pairwise(rising):
        assert after == 0 or after > before or after == 100


QUICK = ("bootstrap", "good", "rolled back", "failed promotion", "deleted", "reverted", "mirrored blue/green")
"""Those that are not left to the long tests."""


@pytest.mark.parametrize(
    "story", [each if each in QUICK else pytest.param(each, marks=pytest.mark.long) for each in STORIES]
)
def test_killed_after_every_action(story: str) -> None:
    """Every prefix of every decision's writes converges: same end, weights in order, every check made again or kept."""
    calm = STORIES[story]()
    done = len(calm.actions)
    calm.run(150)
    expected, steps = end(calm), [r.canary for r in calm.routes]
    count = len(calm.actions) - done
    assert count > 3
    for cut in range(count):
        world = STORIES[story]()
        world.kill_after = cut
        world.run(170)
        assert end(world) == expected, f"killed after {cut}"
        monotone(world, story)
        assert list(dict.fromkeys(world.weights)) == list(dict.fromkeys(steps)), f"killed after {cut}"
        for text in calm.texts:
            assert text in world.texts, f"killed after {cut}: {text!r} was lost"
        assert world.outcomes == calm.outcomes, f"killed after {cut}"
        assert {a for a in world.actions if isinstance(a, Count)} == {a for a in calm.actions if isinstance(a, Count)}


@pytest.mark.parametrize("story", ["good", "stepping home", "A/B", "blue/green", "mirrored weighted"])
def test_a_death_never_shortens_a_step(story: str) -> None:
    """Whatever the moment of death, two steps are never less than an interval apart, and nothing is stepped twice."""
    calm = STORIES[story]().run(150)
    for cut in range(len(calm.actions)):
        world = STORIES[story]()
        times: list[float] = []
        seen = len(world.routes)

        def watch(w: World, times: list[float] = times, seen: int = seen) -> None:
            found = [r for r in w.routes[seen:] if 0 < r.canary < 100]
            times.extend([w.now] * (len(found) - len(times)))

        world.after, world.kill_after = watch, cut
        world.run(170)
        gaps = [b - a for a, b in pairwise(times)]
        assert all(gap >= world.interval for gap in gaps), f"killed after {cut}: {times}"


def test_what_was_copied_is_not_judged_again() -> None:
    """Killed between the copy and the write that says so: the next process goes on to wait for the primary."""
    calm = STORIES["good"]().run(150)
    copy = next(i for i, action in enumerate(calm.actions) if isinstance(action, Promote))
    world = STORIES["good"]()
    world.kill_after = copy + 1 - len(world.actions)
    world.run(170)
    assert world.status.phase is Phase.SUCCEEDED
    calls = [name for name, *_ in world.calls]
    assert calls.count("confirm-promotion") == 1 and calls.count("rollout") == 2
    assert sum(isinstance(action, Promote) for action in world.actions) == 1


def test_a_process_that_dies_is_told_of() -> None:
    """The world's own rule: a death is an exception until the next look."""
    world = STORIES["good"]()
    world.kill_after = 0
    with pytest.raises(Killed):
        world.settle()
