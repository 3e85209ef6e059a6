"""The requests of both sides in units of time, as a comparison asks for them. Pure.

The counts are whole numbers that follow the traffic, the weight and the errors exactly: there is no chance in them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

from pyflagger.metrics.counts import SIDES
from pyflagger.metrics.promql import WHAT
from pyflagger.wire import HttpRequest

STEPS_MAX = 10_000
Rates = Callable[[float, str], tuple[float, float]]
"""(time, side) → requests a second, and the share of good ones."""


def times_of(request: HttpRequest) -> tuple[float, ...]:
    """The times of a range query, in seconds since the epoch; empty for another request."""
    parts = urlsplit(request.url)
    if not parts.path.endswith("/api/v1/query_range"):
        return ()
    asked: Mapping[str, list[str]] = parse_qs(parts.query or (request.body or b"").decode())
    start, end, step = (float(asked[name][0]) for name in ("start", "end", "step"))
    return tuple(start + at * step for at in range(min(STEPS_MAX, round((end - start) / step) + 1)))


def step_of(request: HttpRequest) -> float:
    """The step of a range query, in seconds."""
    parts = urlsplit(request.url)
    return float(parse_qs(parts.query or (request.body or b"").decode())["step"][0])


def matrix(times: tuple[float, ...], step: float, origin: float, rates: Rates) -> bytes:
    """All and good requests of both sides, for units that end at these times. `origin`: the time that counts from 0."""
    found = {f"{side} {kind}": list[list[object]]() for side in SIDES for kind in ("all", "good")}
    for time in times:
        for side in SIDES:
            rate, good = rates(time, side)
            every = _between(rate, time - origin - step, time - origin)
            bad = _between(rate * (1 - good), time - origin - step, time - origin)
            found[f"{side} all"].append([time, str(every)])
            found[f"{side} good"].append([time, str(every - min(bad, every))])
    result = [{"metric": {WHAT: what}, "values": values} for what, values in found.items() if values]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def _between(rate: float, start: float, end: float) -> int:
    return math.floor(rate * end + 1e-9) - math.floor(rate * start + 1e-9)
