"""The value of a series at a time. Pure: the same seed, metric and time give the same value."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import Random

from pyflagger.api import durations
from pyflagger.metrics.builtin import DURATION, SUCCESS_RATE
from pyflagger_sandbox.rehearsal.script import Reading, Series

LIMITS = {SUCCESS_RATE: (0.0, 100.0), DURATION: (0.0, float("inf"))}
"""Noise leaves the built-in metrics within these."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a series is asked. `now`: seconds since the first step; `images`: what the asked side runs; `nth`: how many
    times this series was asked before; `seed`: of the noise of this metric."""

    now: float
    images: Collection[str]
    nth: int = 0
    seed: str = ""


def version(image: str) -> str:
    """The tag of an image; without a tag, the image."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return tag or image


def value(series: Series, metric: str, moment: Moment, *, noisy: bool = True) -> Reading:
    """What a query of a metric is answered. "none" where no version of the series runs."""
    if any(gap.holds(moment.now) for gap in series.gap):
        return "none"
    spike = next((each.to for each in series.spike if each.holds(moment.now)), None)
    found = _base(series, metric, moment, noisy) if spike is None else spike
    if not noisy or not series.noise or isinstance(found, str):
        return found
    low, high = LIMITS.get(metric, (float("-inf"), float("inf")))
    drawn = Random(f"{moment.seed}/{metric}/{moment.now:.3f}").gauss(0.0, series.noise)
    return round(min(high, max(low, found + drawn)), 6)


def _base(series: Series, metric: str, moment: Moment, noisy: bool) -> Reading:
    if series.constant is not None:
        return series.constant
    if series.errors is not None:
        return round(100.0 - series.errors, 9)
    if series.ramp is not None:
        done = min(1.0, max(0.0, (moment.now - series.ramp.at) / series.ramp.over))
        return round(series.ramp.start + (series.ramp.to - series.ramp.start) * done, 6)
    if series.answers is not None:
        return series.answers[min(moment.nth, len(series.answers) - 1)]
    if series.points is not None:
        return _last(series.points, moment.now)
    texts = [text for image in moment.images for text in (image, version(image))]
    for pattern, each in sorted((series.versions or {}).items(), key=lambda pair: pair[0] not in texts):
        if any(fnmatchcase(text, pattern) for text in texts):
            return value(each, metric, moment, noisy=noisy)
    return "none"


def _last(points: dict[str, Reading], now: float) -> Reading:
    """The point that holds now. Before the first one there are no values."""
    past = [(at, each) for at, each in ((durations.parse(text), each) for text, each in points.items()) if at <= now]
    return max(past, key=lambda pair: pair[0])[1] if past else "none"
