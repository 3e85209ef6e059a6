"""How many pods stay available while a workload is updated, rounded as Kubernetes rounds.

Called by the kinds that have pods. See `ResolveFenceposts` of the Deployment controller and the DaemonSet controller.
"""

from __future__ import annotations

from typing import Any

from pyflagger.objects import Obj, part

ROLLING = "RollingUpdate"


def kept_by_deployment(strategy: Obj, pods: int) -> int:
    """Of `pods` replicas. The surge is rounded up, what may be missing down; with neither, one may be missing."""
    if (strategy.get("type") or ROLLING) != ROLLING:
        return 0
    bounds = part(strategy, "rollingUpdate")
    surge = _scaled(bounds.get("maxSurge"), "25%", pods, up=True)
    missing = _scaled(bounds.get("maxUnavailable"), "25%", pods, up=False)
    return max(0, pods - (missing if surge or missing else 1))


def kept_by_daemonset(strategy: Obj, pods: int) -> int:
    """Of a pod on each of `pods` nodes. Both are rounded up, and only one of them may be set."""
    bounds = part(strategy, "rollingUpdate")
    if _scaled(bounds.get("maxSurge"), 0, pods, up=True):
        return pods
    return max(0, pods - max(1, _scaled(bounds.get("maxUnavailable"), 1, pods, up=True)))


def _scaled(value: Any, usual: int | str, of: int, *, up: bool) -> int:
    """A number, or a percentage of `of`. A value that no API server takes counts as everything."""
    text = str(usual if value is None else value)
    number = text.removesuffix("%")
    if not (number.isascii() and number.isdigit()):
        return of
    if number == text:
        return int(number)
    return -(-int(number) * of // 100) if up else int(number) * of // 100
