"""The laws of checks and runs: against vectors of another implementation, hand-made cases, and each other."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pyflagger.foresight import chain, chance, overlap
from pyflagger.foresight.chain import Ending
from pyflagger.foresight.checks import Odds, odds
from pyflagger.foresight.judges import Judge
from pyflagger.foresight.poisson import Below, masses
from pyflagger.foresight.rules import NOTHING, Lapse, Policy, Rounds, judged

VECTORS: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "vectors.json").read_text())
RAMP = [share / 100 for share in range(5, 55, 5)]
PLAIN = Policy()


def whole(ending: Ending) -> None:
    """Each release is promoted or rolled back."""
    assert abs(ending.promoted + ending.rolled_back - 1) < 1e-12


def run(fails: Sequence[float], threshold: int, *, consecutive: bool = False) -> Ending:
    """A run with these probabilities of a failed check."""
    found = chain.ending(Rounds([[Odds(fail)] for fail in fails], [Policy()]), threshold, consecutive=consecutive)
    whole(found)
    return found


# One check ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VECTORS["checks"], ids=str)
def test_one_check(case: dict[str, Any]) -> None:
    """As in the vectors, where windows without data may fail or pass."""
    found = odds(case["n"], case["p"], case["limit"], least=case["minimum"])
    empty = found.none if case["empty_fails"] and not case["minimum"] else 0.0
    assert found.bad + empty == pytest.approx(case["fails"], abs=1e-9)


@pytest.mark.parametrize("mean", [0.0, 1e-9, 0.5, 100, 1e4, 1e6])
def test_the_law_of_arrivals_is_whole(mean: float) -> None:
    """Its sum is 1 and its mean is that given, also where terms are tiny."""
    first, terms = masses(mean)
    assert math.fsum(terms) == pytest.approx(1, abs=1e-14)
    assert math.fsum(at * term for at, term in enumerate(terms, first)) == pytest.approx(mean, rel=1e-9, abs=1e-12)
    assert Below(mean)(math.inf) == pytest.approx(1, abs=1e-12)
    assert Below(mean)(0) == 0


@pytest.mark.parametrize(
    "limit, bad",
    [
        (-0.01, 1 - math.exp(-10)),  # more than 100 % must succeed
        (0.0, 1 - math.exp(-2)),  # no bad request
        (1.0, 0.0),
        (1.5, 0.0),
    ],
)
def test_limits_at_the_ends(limit: float, bad: float) -> None:
    """Ten requests of which a fifth is bad."""
    found = odds(10, 0.2, limit)
    assert found.bad == pytest.approx(bad, abs=1e-12)
    assert found.none == pytest.approx(math.exp(-10))


def test_a_share_at_the_limit_passes_on_its_edge() -> None:
    """One bad and one good request are 50 %: that passes, and rounding may fail it."""
    found = odds(0.01, 0.5, 0.5)
    assert found.edge == pytest.approx(0.005**2 * math.exp(-0.01), rel=1e-3)
    assert found.bad + found.none + found.passed == pytest.approx(1)


def test_queries_that_fail_leave_less_for_the_rest() -> None:
    """The other outcomes keep their proportions."""
    one, two = odds(100, 0.005, 0.01), odds(100, 0.005, 0.01, errors=0.1)
    assert two.error == 0.1
    assert two.bad == pytest.approx(0.9 * one.bad)
    assert two.passed == pytest.approx(0.9 * one.passed)


# A run --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VECTORS["runs"], ids=lambda case: f"{case['fails'][:3]}, {case['threshold']}")
def test_a_run(case: dict[str, Any]) -> None:
    """Its end and its expected checks at each step."""
    found = run(case["fails"], case["threshold"])
    assert found.rolled_back == pytest.approx(case["rollback"], abs=1e-9)
    assert found.promoted == pytest.approx(case["promote"], abs=1e-9)
    assert found.rolled == pytest.approx(case["by_step"], abs=1e-9)
    assert found.visits == pytest.approx(case["visits"], abs=1e-9)


@pytest.mark.parametrize("case", VECTORS["consecutive"], ids=lambda case: str(case["threshold"]))
def test_a_run_that_counts_failures_in_a_row(case: dict[str, Any]) -> None:
    """A pass forgets them."""
    found = run(case["fails"], case["threshold"], consecutive=True)
    assert found.rolled_back == pytest.approx(case["rollback"], abs=1e-9)


@pytest.mark.parametrize(
    "n, p, policy, threshold, least, errors, percent",
    [
        (0.5, 0.005, Policy(), 5, 0, 0, 98.5),
        (0.5, 0.005, Policy("wait", 10), 5, 0, 0, 0.0),
        (1.5, 0.005, Policy(), 5, 0, 0, 20.4),
        (50, 0.005, Policy("wait", 10), 5, 20, 0, 17.9),
        (100, 0.005, Policy("wait", 10), 5, 100, 0, 1.0),
        (300, 0.005, Policy(), 2, 0, 0.02, 47.1),
        (300, 0.005, Policy(), 5, 0, 0.1, 15.4),
        (300, 0.005, Policy(error_limit=2), 5, 0, 0.1, 2.2),
        (0, 0.005, Policy("wait", 2), 3, 0, 0, 100),
        (0, 0.005, Policy("pass", 2), 3, 0, 0, 0),
        (0, 0.005, Policy(delay=10), 3, 0, 0, 0),
        (0, 0.005, Policy(delay=8), 3, 0, 0, 100),
    ],
)
def test_a_run_with_a_policy(
    n: float, p: float, policy: Policy, threshold: int, least: int, errors: float, percent: float
) -> None:
    """Ten steps and a limit of 1 %: the figures of the design, and the ends of each policy."""
    found = chain.ending(Rounds([[odds(n, p, 0.01, least=least, errors=errors)]] * 10, [policy]), threshold)
    whole(found)
    assert 100 * found.rolled_back == pytest.approx(percent, abs=0.051)


def test_a_silence_goes_on_while_queries_fail() -> None:
    """The time without data counts from its start, and an error does not end it. A value does."""
    wait = Policy("wait", 3, error_limit=9)
    verdict, lapse = judged(wait, NOTHING, "none")
    assert (verdict, lapse) == ("wait", Lapse(1))
    verdict, lapse = judged(wait, lapse, "error")
    assert (verdict, lapse) == ("wait", Lapse(2, 1))
    verdict, lapse = judged(wait, lapse, "none")
    assert (verdict, lapse) == ("wait", Lapse(3))
    assert judged(wait, lapse, "none") == ("fail", NOTHING)
    assert judged(wait, lapse, "pass") == ("pass", NOTHING)


def test_two_metrics_fail_a_round_together() -> None:
    """A round fails if one of them fails, and waits if one waits."""
    each = Odds(0.2, none=0.1)
    rounds = Rounds([[each, each]], [Policy(), Policy("wait", 9)])
    found: dict[str, float] = {}
    for (verdict, _), probability in rounds.at(0, rounds.start).items():
        found[verdict] = found.get(verdict, 0) + probability
    assert found == pytest.approx({"fail": 1 - 0.7 * 0.8, "wait": 0.7 * 0.1, "pass": 0.7 * 0.7})


# Windows that overlap -----------------------------------------------------------------------------------------------


def windows(case: dict[str, Any]) -> overlap.Windows:
    """The windows of a vector."""
    rates = [case["rate"] * share for share in RAMP]
    return overlap.Windows(rates, case["interval"], case["window"], case["p"], case["limit"])


@pytest.mark.parametrize("case", VECTORS["overlap"], ids=lambda case: str([*case.values()][:6]))
def test_windows_that_overlap(case: dict[str, Any]) -> None:
    """Exact on a fine grid, and within 0.03 points on a coarse one."""
    found = overlap.ending(windows(case), case["threshold"])
    whole(found)
    tolerance = 1e-9 if windows(case).width == 1 else 3e-4
    assert found.rolled_back == pytest.approx(case["rollback"], abs=tolerance)


def test_windows_that_hardly_overlap_are_like_windows_that_do_not() -> None:
    """Both laws meet at the window of an interval."""
    rates, fails = [2 * share for share in RAMP], [odds(120 * share, 0.005, 0.01) for share in RAMP]
    apart = chain.ending(Rounds([[fail] for fail in fails], [Policy()]), 5)
    close = overlap.ending(overlap.Windows(rates, 60, 60.0001, 0.005, 0.01), 5)
    assert close.rolled_back == pytest.approx(apart.rolled_back, abs=1e-5)
    assert close.checks == pytest.approx(apart.checks, abs=1e-3)


def judge(seen: float, policy: Policy = PLAIN, **more: Any) -> Judge:
    """A success rate of 99 %."""
    fields: dict[str, Any] = {"index": 0, "name": "rate", "kind": "failed", "limit": 0.01, "window": seen}
    return Judge(**{**fields, "seen": seen, "blind": 0.0, "least": 0, "policy": policy, **more})


@pytest.mark.parametrize("case", VECTORS["overlap"][1:15:6], ids=lambda case: str([*case.values()][:6]))
def test_a_simulation_meets_the_exact_law(case: dict[str, Any]) -> None:
    """Within four standard errors, and the same figures at each call."""
    rates = [case["rate"] * share for share in RAMP]
    scene = chance.Scene(rates, [judge(case["window"])], [case["p"]], case["interval"], 0.0)
    found = chance.ending(scene, case["threshold"], most=2000)
    whole(found)
    assert found.rolled_back == pytest.approx(case["rollback"], abs=4 * found.error)
    assert found == chance.ending(scene, case["threshold"], most=2000)


def test_a_simulation_knows_policies_and_several_metrics() -> None:
    """The same law as the chain where no windows overlap."""
    policies = [Policy("wait", 3, delay=2), Policy(error_limit=1)]
    both = [judge(45, policies[0], least=10), judge(30, policies[1], kind="slow")]
    rates = [6 * share for share in RAMP]
    table = [[each.odds(rate, share, 0.1) for each, share in zip(both, (0.01, 0.004), strict=True)] for rate in rates]
    exact = chain.ending(Rounds(table, policies), 3)
    played = chance.ending(chance.Scene(rates, both, (0.01, 0.004), 60, 0.1), 3, most=4000)
    assert played.rolled_back == pytest.approx(exact.rolled_back, abs=0.05)
    assert played.checks == pytest.approx(exact.checks, rel=0.05)
