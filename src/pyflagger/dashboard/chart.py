"""A check over the rounds of a release as a chart: positions of points, limits and weights. Pure.

All charts of a release share one axis of time. The axis of values always holds every limit, so that no picture looks
better than the numbers. The macros of `charts.html` draw them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pyflagger.dashboard.gauge import domain

WIDTH, HEIGHT = 320.0, 150.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 312.0, 8.0, 96.0
STRIP_TOP, STRIP_BOTTOM = 106.0, 132.0
"""The band of the weights, beneath the values."""

LARGE, SMALL, FEW = 3.6, 1.8, 40
"""Radius of a point, and the number of points up to which they are large."""


class Point(NamedTuple):
    """The result of a check in a round. `at`: seconds on the axis of time. `value`: None without data."""

    at: float
    value: float | None
    verdict: str
    text: str
    weight: int


class Series(NamedTuple):
    """A check in the rounds of one release. `name` tells it from other series of the same chart."""

    name: str
    points: Sequence[Point]


class Mark(NamedTuple):
    """A point at its place."""

    x: float
    y: float
    verdict: str
    title: str


class Line(NamedTuple):
    """A series: its path, its points, and the path of its weights."""

    name: str
    path: str
    marks: tuple[Mark, ...]
    weights: str


class Flag(NamedTuple):
    """Something that a user did at a time, in words. `at` becomes its place in a chart."""

    at: float
    text: str


class Limit(NamedTuple):
    """A limit, and the forbidden side of it, from `top` for `height`."""

    y: float
    top: float
    height: float


class Chart(NamedTuple):
    """Everything at its place. `least`, `most`: the ends of the axis of values. `start`, `end`: those of time."""

    lines: tuple[Line, ...]
    limits: tuple[Limit, ...]
    least: float
    most: float
    start: float
    end: float
    radius: float
    heaviest: int
    flags: tuple[Flag, ...] = ()


class Scale(NamedTuple):
    """Where values and times lie."""

    least: float
    most: float
    start: float
    end: float
    heaviest: int

    def x(self, at: float) -> float:
        """The place of a time; the middle if there is only one."""
        share = (at - self.start) / (self.end - self.start) if self.end > self.start else 0.5
        return round(LEFT + share * (RIGHT - LEFT), 1)

    def y(self, value: float | None) -> float:
        """The place of a value; the bottom without one."""
        share = 0.0 if value is None else (value - self.least) / (self.most - self.least)
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    def height(self, weight: int) -> float:
        """The place of a weight in its band."""
        return round(STRIP_BOTTOM - weight / self.heaviest * (STRIP_BOTTOM - STRIP_TOP), 1)


def chart(
    series: Sequence[Series],
    least: float | None,
    most: float | None,
    unit: str,
    told: Callable[[Series, Point], str],
    flags: Sequence[Flag] = (),
) -> Chart | None:
    """The chart of a check with its limits. `told`: a point in words. None without a point.

    Flags before the first round and after the last are left out.
    """
    points = [each for one in series for each in one.points]
    if not points:
        return None
    known = [each for each in (least, most, *(point.value for point in points)) if each is not None]
    low, high = domain(known or [0.0], percent=unit == "%")
    times = [each.at for each in points]
    scale = Scale(low, high, min(times), max(times), max(1, *(each.weight for each in points)))
    return Chart(
        lines=tuple(_line(each, scale, told) for each in series),
        limits=tuple(_limits(least, most, scale)),
        least=low,
        most=high,
        start=scale.start,
        end=scale.end,
        radius=LARGE if max(len(each.points) for each in series) <= FEW else SMALL,
        heaviest=scale.heaviest,
        flags=tuple(Flag(scale.x(each.at), each.text) for each in flags if scale.start <= each.at <= scale.end),
    )


def _line(series: Series, scale: Scale, told: Callable[[Series, Point], str]) -> Line:
    points = series.points
    marks = tuple(Mark(scale.x(each.at), scale.y(each.value), each.verdict, told(series, each)) for each in points)
    drawn = [None if each.value is None else (mark.x, mark.y) for mark, each in zip(marks, points, strict=True)]
    steps = [(scale.x(each.at), scale.height(each.weight)) for each in points]
    return Line(series.name, _path(drawn), marks, _stairs(steps))


def _limits(least: float | None, most: float | None, scale: Scale) -> Iterator[Limit]:
    """Each limit with its forbidden side: below the least, above the most."""
    if least is not None:
        at = scale.y(least)
        yield Limit(at, at, round(BOTTOM - at, 1))
    if most is not None:
        at = scale.y(most)
        yield Limit(at, TOP, round(at - TOP, 1))


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """A line through points. It is broken where one has no value."""
    drawn, before = "", False
    for each in points:
        if each is not None:
            drawn += f"{'L' if before else 'M'}{each[0]:g} {each[1]:g}"
        before = each is not None
    return drawn


def _stairs(points: Sequence[tuple[float, float]]) -> str:
    """A line that keeps its height until the next point, and to the right end after the last."""
    if not points:
        return ""
    (x, y), *rest = points
    return f"M{x:g} {y:g}" + "".join(f"H{x:g}V{y:g}" for x, y in rest) + f"H{RIGHT:g}"
