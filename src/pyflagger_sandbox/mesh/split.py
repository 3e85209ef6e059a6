"""Chooses the backend of the next request to a Service. Pure, except that it remembers turns.

Smooth weighted round robin: after any number of requests each backend has its share to within one request. So a weight
of 5 shows in twenty requests, and not only in thousands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Turns:
    """The turns of each Service's backends."""

    def __init__(self) -> None:
        self._owed: dict[tuple[str, str], dict[str, float]] = {}

    def next(self, namespace: str, service: str, splits: Iterable[dict[str, Any]]) -> str:
        """The Service that serves the next request: this one, unless a TrafficSplit has backends with weight for it."""
        weights = _weights(service, splits)
        if not weights:
            return service
        owed = self._owed.setdefault((namespace, service), {})
        for gone in owed.keys() - weights.keys():
            del owed[gone]
        for name, weight in weights.items():
            owed[name] = owed.get(name, 0.0) + weight
        chosen = max(weights, key=lambda name: owed[name])
        owed[chosen] -= sum(weights.values())
        return chosen


def _weights(service: str, splits: Iterable[dict[str, Any]]) -> dict[str, float]:
    for split in splits:
        if split["spec"].get("service") == service:
            said = {backend["service"]: _number(backend["weight"]) for backend in split["spec"]["backends"]}
            return {name: weight for name, weight in said.items() if weight > 0}
    return {}


def _number(weight: Any) -> float:
    """Parse a weight. In v1alpha1 it is a quantity, which may be in thousandths, such as `500m`."""
    text = str(weight)
    try:
        return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
    except ValueError:
        return 0.0
