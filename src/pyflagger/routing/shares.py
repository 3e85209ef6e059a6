"""The apex's share of a user's rule with other backends. Those backends keep their share.

This is for user's routes, adopted or taken over. Weights are integers. If a rule's weights add up to 100, they continue
to do so, because older versions of Istio require it: flagger rounds the weights, and the annotation SHARE stores the
exact percentage. In all other rules flagger multiplies the weights, so that every percentage is exact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from pyflagger.api.facts import Route
from pyflagger.objects import Obj

SHARE = "flagger.app/canary-share"
"""The canary's percentage of the apex's share, for each rule with other backends."""
WHOLE = 100
LARGEST = 1_000_000
"""The maximum weight of the Gateway API."""


@dataclass(frozen=True, slots=True)
class Divided:
    """The weights of a rule."""

    primary: int
    canary: int
    others: tuple[int, ...]


def divided(part: int, others: Sequence[int], percent: int) -> Divided:
    """The weights that give the canary a percentage of the apex's share."""
    kept = part > 1 and part + sum(others) == WHOLE
    factor = 1 if kept else 100 // gcd(part, 100)
    if factor * max(part, *others) > LARGEST:
        factor = 1
    canary = _portion(part * factor, percent)
    return Divided(part * factor - canary, canary, tuple(weight * factor for weight in others))


def _portion(whole: int, percent: int) -> int:
    """The nearest integer. Between 0 and 100 %, both sides get at least 1 if `whole` is at least 2."""
    nearest = (whole * percent + 50) // 100
    if percent in (0, 100) or whole < 2:
        return whole * percent // 100
    return min(max(nearest, 1), whole - 1)


def beside_others(named: Sequence[tuple[str, Obj]], known: Collection[str], made: list[Obj], unset: int) -> list[Obj]:
    """flagger's backends, then the other backends of a live rule, at weights that keep the share of the others.

    `named`: the live rule's backends by Service. `known`: the Services of the Canary. `made`: flagger's backends, the
    primary first, at weights of 100. `unset`: the value of a missing weight.
    """
    others = [backend for name, backend in named if name not in known]
    if not others:
        return made
    weights = numbers((backend.get("weight") for _, backend in named), unset)
    theirs = [weight for weight, (name, _) in zip(weights, named, strict=True) if name not in known]
    percent = sum(backend["weight"] for backend in made[1:])
    found = divided(sum(weights) - sum(theirs), theirs, percent)
    ours = (found.primary, found.canary)[: len(made)]
    return [
        {**backend, "weight": weight} for backend, weight in zip((*made, *others), (*ours, *found.others), strict=True)
    ]


def percent_of(primary: int, canary: int, noted: Any) -> int:
    """The percentage of two weights: the stored one if it results in these weights, else the nearest."""
    whole, text = primary + canary, str(noted or "")
    percent = int(text) if text.isascii() and text.isdigit() else 0
    if whole == 0 or (percent <= 100 and _portion(whole, percent) == canary):
        return min(percent, 100)
    return (canary * 200 + whole) // (2 * whole)


def shared(primary: Any, canary: Any, noted: Any, mirrored: bool = False) -> Route:
    """The split of two weights in a rule with other backends."""
    stable, new = numbers((primary, canary), 0)
    percent = percent_of(stable, new, noted)
    return Route(100 - percent, percent, mirrored)


def numbers(weights: Iterable[Any], unset: int) -> list[int]:
    """Weights as numbers. A missing one is `unset`. If all are missing, each is 1. An invalid one is 0."""
    found = list(weights)
    missing = 1 if all(weight is None for weight in found) else unset
    return [missing if weight is None else _number(weight) for weight in found]


def _number(weight: Any) -> int:
    text = str(weight)
    return int(text) if text.isascii() and text.isdigit() else 0
