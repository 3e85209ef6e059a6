"""The part of a rule's traffic that is the apex's, where a rule of the user's has further backends: they keep theirs.

Used for routes of the user's, adopted or taken over. Weights are whole numbers. A rule whose weights add up to 100 goes
on doing so (older versions of Istio demand it): its weights come as near as they can, and the annotation SHARE says
which percentage they stand for. All weights of any other rule are multiplied, so that every percentage is exact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from pyflagger.api.facts import Route
from pyflagger.objects import Obj

SHARE = "flagger.app/canary-share"
"""The canary's percent of the apex's part of each rule that has further backends."""
WHOLE = 100
LARGEST = 1_000_000
"""The largest weight that the Gateway API takes."""


@dataclass(frozen=True, slots=True)
class Divided:
    """The weights of a rule."""

    primary: int
    canary: int
    others: tuple[int, ...]


def divided(part: int, others: Sequence[int], percent: int) -> Divided:
    """The weights that give the canary a percentage of the apex's part."""
    kept = part > 1 and part + sum(others) == WHOLE
    factor = 1 if kept else 100 // gcd(part, 100)
    if factor * max(part, *others) > LARGEST:
        factor = 1
    canary = _portion(part * factor, percent)
    return Divided(part * factor - canary, canary, tuple(weight * factor for weight in others))


def _portion(whole: int, percent: int) -> int:
    """The nearest whole number; between the ends neither side is left without visitors if there are two to share."""
    nearest = (whole * percent + 50) // 100
    if percent in (0, 100) or whole < 2:
        return whole * percent // 100
    return min(max(nearest, 1), whole - 1)


def beside_others(named: Sequence[tuple[str, Obj]], known: Collection[str], made: list[Obj], unset: int) -> list[Obj]:
    """Our backends, then the further ones of a live rule, at weights that leave the further ones their part.

    `named`: the live rule's backends by Service. `known`: the Services of the Canary. `made`: our backends, the
    primary first, at weights of 100. `unset`: what a missing weight counts.
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
    """The percentage that two weights stand for: the noted one if it gives these weights, else the nearest."""
    whole, text = primary + canary, str(noted or "")
    percent = int(text) if text.isascii() and text.isdigit() else 0
    if whole == 0 or (percent <= 100 and _portion(whole, percent) == canary):
        return min(percent, 100)
    return (canary * 200 + whole) // (2 * whole)


def shared(primary: Any, canary: Any, noted: Any, mirrored: bool = False) -> Route:
    """The split that two weights beside others stand for."""
    stable, new = numbers((primary, canary), 0)
    percent = percent_of(stable, new, noted)
    return Route(100 - percent, percent, mirrored)


def numbers(weights: Iterable[Any], unset: int) -> list[int]:
    """Weights as numbers. One that is missing is `unset`; if all are, each counts 1. What is no number counts 0."""
    found = list(weights)
    missing = 1 if all(weight is None for weight in found) else unset
    return [missing if weight is None else _number(weight) for weight in found]


def _number(weight: Any) -> int:
    text = str(weight)
    return int(text) if text.isascii() and text.isdigit() else 0
