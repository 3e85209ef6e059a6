"""The state of a comparison of canary and primary, as `status.comparisons[]` stores it during a release.

`core.betting` computes it, and the next round continues from it. It stores its numbers in full, so that the same units
of time give the same evidence after a restart. Dataclasses, as in `published`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BLIND_MAX = 5
"""Units in a row without requests on one side, after which the limits of the metric judge it."""

SHOWN_MAX = 1e9
"""The largest evidence that is shown as a number."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Requests of one side, and how many of them were bad. Fractions are possible."""

    bad: float = 0.0
    requests: float = 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one metric has shown so far in a run.

    `until`: seconds since the epoch; requests before it are counted or left out. `wealth`: the natural logarithm of the
    money on each alternative. `reserve`: that of the money that is not bet yet. `canary`, `primary`: sums over all
    counted units. `odds`: two sums whose ratio estimates the odds ratio of canary to primary without mixing times
    (Mantel and Haenszel). `units`: how many have been counted. `blind`: how many in a row had no requests on one side.
    `bound`: for durations, the bound of a bucket as its label `le` has it; slower requests are bad. `limit`: the same
    in seconds.
    """

    name: str = ""
    until: float = 0.0
    wealth: tuple[float, ...] = ()
    reserve: float = 0.0
    canary: Counted = field(default_factory=Counted)
    primary: Counted = field(default_factory=Counted)
    odds: tuple[float, ...] = ()
    units: int = 0
    blind: int = BLIND_MAX
    bound: str = ""
    limit: float = 0.0


def odds(ratio: float) -> str:
    """Evidence as people read it: `34:1`."""
    if ratio >= SHOWN_MAX:
        return f"over {SHOWN_MAX:,.0f}:1"
    return f"{ratio:,.0f}:1" if ratio >= 10 else f"{ratio:.1f}:1"
