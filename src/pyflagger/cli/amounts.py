"""Types of options for what a release is foreseen at: rates such as `50/s`, and shares such as `0.5%`."""

from __future__ import annotations

import math
import re
from typing import Any

import click

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"([0-9]*\.?[0-9]+)(?:/(s|m|h))?")
_SHARE = re.compile(r"([0-9]*\.?[0-9]+)%")


class Rate(click.ParamType[float]):
    """Requests a second: `50/s`, `3000/m`, `10/h`, or a number."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a rate, to requests a second."""
        if isinstance(value, float):
            return value
        found = _RATE.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not a rate such as 50/s, 300/m or 20/h", param, ctx)
        return float(found[1]) / _SECONDS[found[2] or "s"]


class Share(click.ParamType[float]):
    """A share of requests from 0 to 1: `0.5%`."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a percentage, to a share."""
        if isinstance(value, float):
            return value
        found = _SHARE.fullmatch(value)
        if found is None or float(found[1]) > 100:
            self.fail(f"{value!r} is not a percentage such as 0.5%", param, ctx)
        return float(found[1]) / 100


def percent(share: float) -> str:
    """A probability or a share in percent: `3.4%`. Never 0% or 100% unless it is exactly that."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{100 * share:.1f}".removesuffix(".0") + "%"


def count(number: float) -> str:
    """A number of requests: two digits below 10, else whole."""
    if number >= 9.95 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 0.095 else f"{number:.2g}"


def number(value: float) -> str:
    """A number with at most four digits that matter: `50`, `0.5`."""
    return f"{value:.4g}" if math.isfinite(value) and abs(value) < 10_000 else f"{value:,.0f}"
