"""Reads fields of raw objects, which may have any value that an API server can store. Nothing here fails.

The models of `api` read the same fields, but their import alone takes half of the time that `flagger list` may take.
Used by `seeing` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from pyflagger.api import durations
from pyflagger.seeing.model import Time

JUDGING = ("Progressing", "WaitingPromotion")
RUNNING = (*JUDGING, "Waiting", "Promoting", "Finalising")
"""The phases of a release that is under way."""


def text(obj: Mapping[str, Any], key: str) -> str:
    """A text, empty if it is missing or another type."""
    value = obj.get(key)
    return value if isinstance(value, str) else ""


def number(obj: Mapping[str, Any], key: str) -> int:
    """A number as an integer, 0 if it is missing or another type."""
    value = obj.get(key)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else 0


def items(obj: Mapping[str, Any], key: str) -> tuple[dict[str, Any], ...]:
    """The objects of a list, empty if it is missing or another type."""
    value = obj.get(key)
    return tuple(each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def time(obj: Mapping[str, Any], key: str) -> Time | None:
    """A time in RFC 3339."""
    found = durations.epoch_or_none(text(obj, key))
    return None if found is None else Time(found)


def seconds(obj: Mapping[str, Any], key: str, default: float) -> float:
    """A duration in Go's notation."""
    try:
        return durations.parse(text(obj, key))
    except ValueError:
        return default


def texts(obj: Mapping[str, Any], key: str) -> dict[str, str]:
    """A mapping of texts."""
    value = obj.get(key)
    return {name: each for name, each in value.items() if isinstance(each, str)} if isinstance(value, dict) else {}


def conditions(status: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The conditions of a status by type."""
    for each in items(status, "conditions"):
        yield text(each, "type"), each


def holding(status: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The conditions of a status that are True, by type."""
    return {kind: each for kind, each in conditions(status) if text(each, "status") == "True"}


def foreign(status: Mapping[str, Any]) -> bool:
    """Whether Flagger wrote a status: its hashes have no version."""
    applied = text(status, "lastAppliedSpec")
    return bool(applied) and ":" not in applied and "SameRevision" not in holding(status)
