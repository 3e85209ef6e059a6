"""Counters over a window: rate(), increase() and related functions.

The extrapolation rules are those of Prometheus 3. The samples rarely span the whole window, so the rules extrapolate
the change to its edges. Where the series seems to begin or end inside the window, they extrapolate by at most half a
sampling interval, and never below zero for a counter. Only the function table calls this module.
"""

from __future__ import annotations

from .values import Window

_FAR = 1.1
"""Do not extrapolate to an edge that is at least this many sampling intervals from the samples."""


def rate(window: Window) -> float | None:
    """Per-second increase of a counter."""
    increased = increase(window)
    return None if increased is None else increased / _seconds(window)


def increase(window: Window) -> float | None:
    """Increase of a counter over the whole window. A reset counts as a restart from zero."""
    if len(window.times) < 2:
        return None
    return _grown(window) * _stretch(window, counter=True)


def delta(window: Window) -> float | None:
    """Change of a gauge over the whole window."""
    if len(window.times) < 2:
        return None
    return (window.values[-1] - window.values[0]) * _stretch(window, counter=False)


def irate(window: Window) -> float | None:
    """Per-second increase between a counter's last two samples."""
    if len(window.times) < 2:
        return None
    before, last = window.values[-2], window.values[-1]
    gained = last if last < before else last - before
    return gained * 1000 / (window.times[-1] - window.times[-2])


def idelta(window: Window) -> float | None:
    """Change between a gauge's last two samples."""
    return window.values[-1] - window.values[-2] if len(window.times) > 1 else None


def resets(window: Window) -> float:
    """How often a counter decreased."""
    return float(sum(b < a for a, b in zip(window.values, window.values[1:], strict=False)))


def changes(window: Window) -> float:
    """How often the value changed. NaN after NaN is not a change."""
    pairs = zip(window.values, window.values[1:], strict=False)
    return float(sum(a != b and not (a != a and b != b) for a, b in pairs))


def deriv(window: Window) -> float | None:
    """Per-second slope of the best-fitting line of a gauge."""
    fit = _line(window, window.times[0])
    return None if fit is None else fit[0]


def predict_linear(window: Window, seconds: float) -> float | None:
    """The value of a gauge `seconds` after the window, on the best-fitting line."""
    fit = _line(window, window.end)
    return None if fit is None else fit[0] * seconds + fit[1]


def _seconds(window: Window) -> float:
    return (window.end - window.start) / 1000


def _grown(window: Window) -> float:
    values = window.values
    grown = values[-1] - values[0]
    previous = values[0]
    for value in values:
        if value < previous:
            grown += previous
        previous = value
    return grown


def _stretch(window: Window, *, counter: bool) -> float:
    """The factor that extrapolates the change between first and last sample to the window."""
    times = window.times
    sampled = (times[-1] - times[0]) / 1000
    step = sampled / (len(times) - 1)
    to_start, to_end = ((gap / 1000) for gap in (times[0] - window.start, window.end - times[-1]))
    to_start, to_end = (gap if gap < step * _FAR else step / 2 for gap in (to_start, to_end))
    if counter:
        grown, first = _grown(window), window.values[0]
        if grown > 0 and first >= 0:
            to_start = min(to_start, sampled * (first / grown))
    return (sampled + to_start + to_end) / sampled


def _line(window: Window, origin: int) -> tuple[float, float] | None:
    """Slope and intercept at `origin` by least squares; None for fewer than two samples."""
    count = len(window.times)
    if count < 2:
        return None
    if all(value == window.values[0] for value in window.values):
        return 0.0, window.values[0]
    xs = [(time - origin) / 1000 for time in window.times]
    mean_x, mean_y = sum(xs) / count, sum(window.values) / count
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, window.values, strict=True)) / spread
    return slope, mean_y - slope * mean_x
