"""What a played canary did, in figures, and whether that is what its script expects. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from pyflagger.api.durations import show
from pyflagger.metrics.builtin import SUCCESS_RATE
from pyflagger.objects import Key
from pyflagger_sandbox.rehearsal.answers import Cast
from pyflagger_sandbox.rehearsal.player import Play, Played
from pyflagger_sandbox.rehearsal.script import Bounds, Expect, Times
from pyflagger_sandbox.rehearsal.series import Moment, value
from pyflagger_sandbox.rehearsal.timeline import Entry, Track

STEP_SECONDS = 1.0
"""The step of the sum over harmed visitors."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation, whether it is met, and what was found instead or as well."""

    text: str
    met: bool
    found: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One canary at the end. `harmed`: requests that the canary failed; None if the script does not say enough."""

    canary: str
    phase: str
    ended: bool
    duration: float
    weights: tuple[int, ...]
    checks: int
    failed_checks: int
    harmed: int | None
    missing: tuple[str, ...]
    findings: tuple[Finding, ...]
    timeline: tuple[Entry, ...]

    @property
    def passed(self) -> bool:
        """Whether the release ended, and all expectations are met."""
        return self.ended and all(each.met for each in self.findings)


def outcome(key: Key, play: Play, played: Played) -> Outcome:
    """The outcome of one canary of a play."""
    track, part, cast = played.track, play.parts[key], play.casts[key]
    weights = tuple(weight for _, weight in track.weights if weight)
    harmed = _harmed(track, cast, played.duration)
    findings = tuple(_findings(part.expect, played, weights, harmed)) if part.expect else ()
    waits = [f"it waits: {track.waits}"] if track.waits and not played.ended else []
    return Outcome(
        f"{key.namespace}/{key.name}",
        track.phase,
        played.ended,
        played.duration,
        weights,
        track.checks,
        track.failed_in_all,
        harmed,
        (*waits, *cast.missing),
        findings,
        tuple(track.entries),
    )


def _harmed(track: Track, cast: Cast, end: float) -> int | None:
    """Requests that the canary failed: its share of the traffic, times its errors, summed over seconds."""
    series = cast.series.get(SUCCESS_RATE)
    if cast.traffic is None or series is None or series.answers is not None:
        return None
    total, moves = 0.0, [*track.weights, (end, 0)]
    for (start, weight), (stop, _) in pairwise(moves):
        now = start
        while weight and now < stop:
            step = min(STEP_SECONDS, stop - now)
            good = value(series, SUCCESS_RATE, Moment(now, cast.released), noisy=False)
            share = 1 - good / 100 if isinstance(good, float) else 0.0
            total += cast.traffic * weight / 100 * share * step
            now += step
    return round(total)


def _findings(expect: Expect, played: Played, weights: tuple[int, ...], harmed: int | None) -> Iterator[Finding]:
    track = played.track
    if expect.phase:
        yield Finding(f"phase {expect.phase}", track.phase == expect.phase, track.phase or "no phase")
    if expect.weights is not None:
        yield Finding(f"weights {_list(expect.weights)}", weights == expect.weights, _list(weights))
    if expect.checks:
        yield _bounded("checks", expect.checks, track.checks)
    if expect.failed_checks:
        yield _bounded("failed checks", expect.failed_checks, track.failed_in_all)
    if expect.duration:
        yield _timed(expect.duration, played.duration)
    for text in expect.events:
        yield Finding(f"an event with {text!r}", any(text in each for each in track.events))
    for text in expect.no_events:
        yield Finding(f"no event with {text!r}", not any(text in each for each in track.events))
    if expect.harmed:
        found = "unknown: there is no series request-success-rate by time" if harmed is None else ""
        bound = _bounded("harmed visitors", expect.harmed, harmed or 0)
        yield Finding(bound.text, bound.met and not found, found or bound.found)


def _list(weights: tuple[int, ...]) -> str:
    return ", ".join(map(str, weights)) or "none"


def _within(low: float | None, high: float | None, found: float) -> bool:
    return (low is None or found >= low) and (high is None or found <= high)


def _limits(low: str | None, high: str | None) -> str:
    if low is not None and low == high:
        return low
    return " and ".join([f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None))


def _bounded(what: str, bounds: Bounds, found: int) -> Finding:
    low, high = (f"{each:g}" if each is not None else None for each in (bounds.at_least, bounds.at_most))
    return Finding(f"{_limits(low, high)} {what}", _within(bounds.at_least, bounds.at_most, found), f"{found}")


def _timed(times: Times, found: float) -> Finding:
    low, high = (show(each) if each is not None else None for each in (times.at_least, times.at_most))
    return Finding(f"a duration of {_limits(low, high)}", _within(times.at_least, times.at_most, found), show(found))
