"""Whatever a Canary says and in whatever order things happen, the rules of `World` hold and nothing gets stuck."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.world import EVERYTHING, Killed, World, canary, hook
from pyflagger.api.canary import Phase
from pyflagger.api.facts import Capabilities
from pyflagger.core.decision import Promote
from pyflagger.core.transitions import ALLOWED

MATCH = [{"headers": {"a": {"exact": "b"}}}]
KINDS = ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "post-rollout")
ENDS = (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)

CLOSED = {Phase.SUCCEEDED: ("Promoted", "Initialized"), Phase.FAILED: ("RolledBack", "Cancelled", "Initialized")}
"""How the record of the last release may have ended, by the phase of the canary."""

strategies = st.one_of(
    st.fixed_dictionaries({"stepWeight": st.integers(1, 100), "maxWeight": st.integers(0, 100)}),
    st.fixed_dictionaries({"stepWeights": st.lists(st.integers(1, 120), min_size=1, max_size=4)}),
    st.fixed_dictionaries({"iterations": st.integers(1, 3)}),
    st.fixed_dictionaries({"iterations": st.integers(1, 3), "match": st.just(MATCH)}),
)
extras = st.fixed_dictionaries(
    {
        "threshold": st.integers(1, 3),
        "mirror": st.booleans(),
        "stepWeightPromotion": st.sampled_from([0, 0, 30, 100]),
        "webhooks": st.lists(st.sampled_from(KINDS), max_size=3, unique=True).map(lambda ks: [hook(k) for k in ks]),
        "metrics": st.sampled_from([[], [{"name": "request-success-rate", "threshold": 99}]]),
    }
)
providers = st.sampled_from(
    [
        ("nginx", Capabilities(ab=True)),
        ("istio", EVERYTHING),
        ("linkerd", Capabilities()),
        ("kubernetes", Capabilities()),
    ]
)
answers = st.lists(st.sampled_from([True, True, True, "no"]), min_size=1, max_size=6).map(lambda xs: [*xs, True])
values = st.lists(st.sampled_from([100, 100, 50]), min_size=1, max_size=6).map(lambda xs: [*xs, 100])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A Canary that was just created, with hooks and metrics that fail now and then."""
    provider, capabilities = draw(providers)
    return World(
        canary({**draw(strategies), **draw(extras)}, skipAnalysis=draw(st.sampled_from([False, False, False, True]))),
        provider=provider,
        capabilities=capabilities,
        rollout=draw(st.sampled_from([0.5, 3.0, 12.0])),
        hooks={kind: draw(answers) for kind in KINDS},
        metrics={"request-success-rate": draw(values)},
        paused=draw(st.sampled_from([None, True, False])),
    )


def primary_fails(world: World, text: str) -> None:
    """The primary breaks, or is mended."""
    if world.primary is not None and world.status.phase in (Phase.PROMOTING, *ENDS):
        world.primary.failing = text


def fail_next_copy(world: World) -> None:
    """The next revision does not come up as primary."""
    world.fate["v1:r2"] = "deadline"


def die_soon(world: World) -> None:
    """The operator dies in the middle of what it does next."""
    world.kill_after = 3


EVENTS: dict[str, Callable[[World], Any]] = {
    "r1": lambda w: w.change("v1:r1"),
    "r2": lambda w: w.change("v1:r2"),
    "r3": lambda w: w.change("v1:r3"),
    "broken": lambda w: w.change("v1:r4", failing="deadline"),
    "primary breaks": lambda w: primary_fails(w, "deadline"),
    "primary is mended": lambda w: primary_fails(w, ""),
    "copy fails": fail_next_copy,
    "restart": World.restart,
    "death": die_soon,
    "suspend": lambda w: w.spec(suspend=True),
    "resume": lambda w: w.spec(suspend=False),
    "pause": lambda w: w.ask("pause"),
    "pause that counts": lambda w: w.ask("pause", onFailure="hold"),
    "go on": lambda w: w.ask("resume"),
    "abort": lambda w: w.ask("abort"),
    "promote": lambda w: w.ask("promote"),
    "retry": lambda w: w.ask("retry"),
    "begin again": lambda w: w.ask("restart"),
    "weight": lambda w: w.ask("weight", weight=15),
    "configs": lambda w: setattr(w, "configs", {"configmap/a": str(w.now)}),
}
histories = st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.floats(0, 40)), max_size=8)


def obeys(world: World) -> None:
    """What holds after any history."""
    phases = [Phase.NEW, *(status.phase for status in world.statuses)]
    assert all(after == before or after in ALLOWED[before] for before, after in pairwise(phases))
    for status in world.statuses:
        assert 0 <= status.canary_weight <= 100
    if world.status.phase in (Phase.SUCCEEDED, Phase.FAILED) and world.status.release:
        assert world.records[world.status.release.number]["status"]["outcome"] in CLOSED[world.status.phase]
    opened = [number for number, each in world.records.items() if each["status"]["outcome"] == "Running"]
    assert all(world.status.release and number >= world.status.release.number for number in opened)
    if world.status.phase not in ENDS and not world.canary.spec.suspend:
        held = not world.target.readiness("", world.now).ready or bool(world.primary and world.primary.failing)
        assert world.decision.wake is not None or held, f"{world.status.phase}: {world.decision.reasons}"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), histories)
def test_any_history_obeys_the_rules_and_ends(world: World, history: list[tuple[str, float]]) -> None:
    """Routes add up, no traffic without pods, every transition in the table, a reason and a wake-up for every wait."""
    world.run(30)
    for event, wait in history:
        EVENTS[event](world)
        world.run(wait)
        obeys(world)
    world.spec(suspend=False)
    world.ask("resume")
    if world.primary is not None:
        world.primary.failing = ""
    world.fate.clear()
    world.kill_after = None
    world.run(1500)
    obeys(world)
    assert world.status.phase in ENDS, world.decision.reasons


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_weights_only_rise_until_they_go_home(world: World) -> None:
    """One release without disturbances: never down and up again, and the copy is made once."""
    world.until(Phase.INITIALIZED).fresh_record()
    world.change("v1:r2").run(1500)
    weights = [weight for weight in world.weights if weight]
    peak = weights.index(max(weights)) if weights else 0
    assert weights[: peak + 1] == sorted(weights[: peak + 1])
    assert weights[peak:] == sorted(weights[peak:], reverse=True)
    assert sum(isinstance(action, Promote) for action in world.actions) <= 1
    assert world.status.phase in ENDS


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.integers(0, 60))
def test_a_death_anywhere_never_leaves_less_than_was_promised(world: World, cut: int) -> None:
    """A fresh look after a death goes on by the table, and ends."""
    world.until(Phase.INITIALIZED).change("v1:r2").kill_after = cut
    try:
        world.settle()
    except Killed:
        world.look()
    world.run(1500)
    obeys(world)
    assert world.status.phase in ENDS
