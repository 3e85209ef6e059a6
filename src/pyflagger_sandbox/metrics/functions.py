"""The function table: PromQL functions as plain functions on numbers, windows and vectors.

`MAPS` work on each element of an instant vector, `OVER` on each series of a range vector, `VECTORS` on a whole vector.
The evaluator has the functions that need the syntax tree or the time (absent, timestamp, time).
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from . import rates
from .aggregate import REDUCERS, mean, variance
from .quantiles import histogram_quantile, quantile
from .syntax import regex
from .values import NAN, QueryError, Sample, Value, Vector, Window, labels_of, without_name

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _total(function: Callable[[float], float]) -> Callable[[float], float]:
    """A function of `math` that returns IEEE 754 values where Python raises."""

    def safe(value: float) -> float:
        try:
            return function(value)
        except ValueError:
            return NAN
        except OverflowError:
            return math.inf

    return safe


def _log(base: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: -math.inf if value == 0 else _total(base)(value)


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(function(value)) if math.isfinite(value) else value


def _round(value: float, to: float = 1.0) -> float:
    if not to or math.isnan(to) or not math.isfinite(value):
        return value if to and not math.isnan(to) else NAN
    inverse = 1.0 / to
    scaled = value * inverse + 0.5
    return math.floor(scaled) / inverse if math.isfinite(scaled) and inverse else scaled


def _clamp(value: float, low: float = -math.inf, high: float = math.inf) -> float:
    if value != value or low != low or high != high:
        return NAN
    return max(low, min(high, value))


def _sign(value: float) -> float:
    return value if value != value or value == 0 else math.copysign(1.0, value)


def _calendar(read: Callable[[datetime], int]) -> Callable[[float], float]:
    def of(value: float) -> float:
        try:
            return float(read(datetime.fromtimestamp(math.floor(value), UTC)))
        except (ValueError, OverflowError, OSError):
            return NAN

    return of


MAPS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "round": _round,
    "clamp_min": lambda value, low: _clamp(value, low=low),
    "clamp_max": lambda value, high: _clamp(value, high=high),
    "exp": _total(math.exp),
    "ln": _log(math.log),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "sqrt": _total(math.sqrt),
    "sgn": _sign,
    "deg": math.degrees,
    "rad": math.radians,
    **{
        name: _total(getattr(math, name))
        for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
    },
    **{name: _total(getattr(math, name)) for name in ("asinh", "acosh", "atanh")},
}

CALENDAR: Mapping[str, Callable[[float], float]] = {
    "minute": _calendar(lambda day: day.minute),
    "hour": _calendar(lambda day: day.hour),
    "day_of_week": _calendar(lambda day: day.isoweekday() % 7),
    "day_of_month": _calendar(lambda day: day.day),
    "day_of_year": _calendar(lambda day: day.timetuple().tm_yday),
    "days_in_month": _calendar(lambda day: calendar.monthrange(day.year, day.month)[1]),
    "month": _calendar(lambda day: day.month),
    "year": _calendar(lambda day: day.year),
}

OVER: Mapping[str, Callable[..., float | None]] = {
    "rate": rates.rate,
    "irate": rates.irate,
    "increase": rates.increase,
    "delta": rates.delta,
    "idelta": rates.idelta,
    "resets": rates.resets,
    "changes": rates.changes,
    "deriv": rates.deriv,
    "predict_linear": rates.predict_linear,
    "avg_over_time": lambda window: mean(window.values),
    "min_over_time": lambda window: REDUCERS["min"](window.values),
    "max_over_time": lambda window: REDUCERS["max"](window.values),
    "sum_over_time": lambda window: REDUCERS["sum"](window.values),
    "count_over_time": lambda window: float(len(window.values)),
    "last_over_time": lambda window: window.values[-1],
    "first_over_time": lambda window: window.values[0],
    "present_over_time": lambda window: 1.0,
    "stdvar_over_time": lambda window: variance(window.values),
    "stddev_over_time": lambda window: math.sqrt(variance(window.values)),
    "quantile_over_time": lambda window, q: quantile(q, window.values),
}

KEEP_NAME = frozenset({"last_over_time", "first_over_time"})
"""Functions over time whose result keeps the metric's name."""


def over_time(name: str, window: Window, scalars: list[float]) -> float | None:
    """Apply a function to one series of a range vector; None when the series has too few samples."""
    return OVER[name](window, *scalars)


def _sort(vector: Vector, *, descending: bool) -> Vector:
    sign = -1 if descending else 1
    return Vector(
        sorted(vector.samples, key=lambda s: (s.value != s.value, sign * s.value if s.value == s.value else 0))
    )


def _clamp_vector(vector: Vector, low: float, high: float) -> Vector:
    if low > high:
        return Vector([])
    return Vector([Sample(without_name(labels), _clamp(value, low, high)) for labels, value in vector.samples])


def _label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    _check_label(target, "label_replace()")
    compiled = regex(pattern)
    result = []
    for labels, value in vector.samples:
        found = compiled.fullmatch(dict(labels).get(source, ""))
        if found is not None:
            text = _expand(replacement, found)
            labels = labels_of([*(pair for pair in labels if pair[0] != target), (target, text)])
        result.append(Sample(labels, value))
    return Vector(result)


def _expand(template: str, found: re.Match[str]) -> str:
    """Expand Go's template for replacements: `$1`, `$name`, `${1}x`, `$$`. An unknown group is empty."""

    def group(reference: re.Match[str]) -> str:
        name = reference["braced"] or reference["plain"]
        if name is None:
            return "$"
        try:
            return found[int(name) if name.isdigit() else name] or ""
        except (IndexError, ValueError):
            return ""

    return re.sub(r"\$(?:\$|\{(?P<braced>\w+)\}|(?P<plain>\w+))", group, template, flags=re.ASCII)


def _label_join(vector: Vector, target: str, separator: str, *sources: str) -> Vector:
    _check_label(target, "label_join()")
    result = []
    for labels, value in vector.samples:
        known = dict(labels)
        text = separator.join(known.get(source, "") for source in sources)
        rest = [pair for pair in labels if pair[0] != target]
        result.append(Sample(labels_of([*rest, (target, text)]), value))
    return Vector(result)


def _check_label(name: str, function: str) -> None:
    if not _LABEL.fullmatch(name):
        raise QueryError("execution", f"invalid destination label name in {function}: {name}")


def _scalar(vector: Vector) -> float:
    return vector.samples[0].value if len(vector.samples) == 1 else NAN


VECTORS: Mapping[str, Callable[..., Value]] = {
    "clamp": _clamp_vector,
    "histogram_quantile": lambda q, vector: Vector(histogram_quantile(q, vector.samples)),
    "label_join": _label_join,
    "label_replace": _label_replace,
    "scalar": _scalar,
    "sort": lambda vector: _sort(vector, descending=False),
    "sort_desc": lambda vector: _sort(vector, descending=True),
    "vector": lambda value: Vector([Sample((), value)]),
    "pi": lambda: math.pi,
}
