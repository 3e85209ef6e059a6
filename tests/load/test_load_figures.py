"""The bench's reading of the audit log and of histograms: what it would call a fault, and what not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench.environment import OPERATOR
from bench.process import quantile
from bench.report import Figure
from bench.witness import WEIGHT, Request, Witness, bill, crooked, first_step, gaps

STEPS = (20, 40, 60)


def event(verb: str = "patch", **more: Any) -> dict[str, Any]:
    """A line of the log about a canary Ingress."""
    return {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": OPERATOR},
        "objectRef": {"resource": "ingresses", "name": "app-1-canary"},
        "requestReceivedTimestamp": "2026-01-02T03:04:05.250000Z",
        "responseStatus": {"code": 200},
        "requestObject": {"metadata": {"annotations": {WEIGHT: "20"}}},
    } | more


def step(at: float, weight: int, name: str = "app-1-canary", status: int = 200) -> Request:
    """A request that sets a weight."""
    return Request(at, "patch", "ingresses", name, status, {"metadata": {"annotations": {WEIGHT: str(weight)}}})


def add(log: Path, text: str) -> None:
    """Append to a log."""
    with log.open("a") as file:
        file.write(text)


def write(log: Path, *events: dict[str, Any]) -> None:
    """Append whole lines."""
    add(log, "".join(f"{json.dumps(each)}\n" for each in events))


def test_the_witness_hears_the_operator_alone_and_each_request_once(tmp_path: Path) -> None:
    """Other users are left out; a watch counts when it begins, anything else when it has been answered."""
    log = tmp_path / "audit.log"
    write(log, event(), event(user={"username": "admin"}), event("watch"), event("watch", stage="ResponseStarted"))
    heard = Witness(log).hear()
    assert [each.verb for each in heard] == ["patch", "watch"]
    assert (heard[0].canary, heard[0].weight, heard[0].at % 60) == ("app-1", 20, 5.25)


def test_the_witness_reads_on(tmp_path: Path) -> None:
    """A line that is being written is left for the next time."""
    log = tmp_path / "audit.log"
    write(log, event())
    witness = Witness(log)
    assert len(witness.hear()) == 1 and witness.hear() == []
    half, rest = json.dumps(event())[:40], json.dumps(event())[40:]
    add(log, half)
    assert witness.hear() == []
    add(log, rest + "\n")
    assert len(witness.hear()) == 1


def test_leases_are_left_out_of_the_bill() -> None:
    """Renewals are told of apart; a subresource is a thing of its own."""
    asked = [Request(0, "update", "leases", "flagger", 200, None), Request(0, "patch", "canaries/status", "a", 200, {})]
    assert bill(asked) == {"patch canaries/status": 1}


@pytest.mark.parametrize(
    ("weights", "well"),
    [
        ((20, 40, 60, 0), True),
        ((20, 40, 40, 60, 0), False),
        ((20, 0, 20, 40, 60, 0), False),
        ((20, 60, 0), False),
        ((20, 40, 60), False),
    ],
)
def test_a_walk_is_straight_or_told(weights: tuple[int, ...], well: bool) -> None:
    """A step twice, a restart, a step left out, no end: each is told."""
    walk = [step(10.0 * number, weight) for number, weight in enumerate(weights)]
    assert (crooked(walk, STEPS) == {}) is well


def test_refused_writes_are_no_steps() -> None:
    """A conflict changes nothing."""
    assert crooked([step(0, 20), step(1, 40, status=409), *(step(2, each) for each in (40, 60, 0))], STEPS) == {}


@pytest.mark.parametrize(
    ("asked", "well"),
    [
        (((20, 200), (40, 500), (60, 200), (0, 200)), True),
        (((20, 200), (40, 0), (40, 200), (60, 200), (0, 200)), True),
        (((20, 200), (40, 409), (60, 200), (0, 200)), False),
        (((20, 200), (40, 500), (20, 200), (40, 200), (60, 200), (0, 200)), False),
    ],
    ids=["carried out for it", "not carried out and asked again", "refused and left out", "restarted"],
)
def test_what_a_dead_client_asked_for(asked: tuple[tuple[int, int], ...], well: bool) -> None:
    """The server says that it failed, whatever came of it; what comes next tells."""
    walk = [step(10.0 * number, weight, status=status) for number, (weight, status) in enumerate(asked)]
    assert (crooked(walk, STEPS) == {}) is well


def test_gaps_are_of_one_canary_and_end_with_it() -> None:
    """Seconds between steps of the same canary; the way back to zero is no step."""
    steps = [step(0, 20), step(1, 20, "app-2-canary"), step(10, 40), step(11.5, 40, "app-2-canary"), step(20, 0)]
    assert gaps(steps) == [10, 10.5]
    assert first_step(steps, 10.5) == 1.0
    assert first_step(steps, 30) is None


def test_quantiles_are_of_what_came_between() -> None:
    """Counts of before are taken off; within a bucket the quantile is linear."""

    def page(*counts: int) -> dict[str, float]:
        return {
            f'lag_bucket{{le="{le}"}}': float(count) for le, count in zip(("0.1", "0.5", "+Inf"), counts, strict=True)
        }

    assert quantile(page(50, 50, 50), page(100, 150, 150), "lag", 0.5) == pytest.approx(0.1)
    assert quantile(page(50, 50, 50), page(100, 150, 150), "lag", 0.75) == pytest.approx(0.3)
    assert quantile(page(0, 0, 0), page(0, 0, 10), "lag", 0.99) == 0.5


def test_a_missed_figure_says_so() -> None:
    """At the limit is within it."""
    assert Figure("x", 20, 25.0, 25.0).holds and Figure("x", 20, 1e9).holds
    assert "missed" in Figure("x", 20, 25.1, 25.0).line() and not Figure("x", 20, 25.1, 25.0).holds
