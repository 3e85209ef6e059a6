"""The number of pods that stay available while a workload rolls, rounded like Kubernetes does.

Called by kinds with pods. See `ResolveFenceposts` of the Deployment controller and the DaemonSet controller.
"""

from __future__ import annotations

from typing import Any

from pyflagger.objects import Obj, part

ROLLING = "RollingUpdate"


def kept_by_deployment(strategy: Obj, pods: int) -> int:
    """Of `pods` replicas. Rounds maxSurge up and maxUnavailable down. If both are zero, one pod may be unavailable."""
    if (strategy.get("type") or ROLLING) != ROLLING:
        return 0
    bounds = part(strategy, "rollingUpdate")
    surge = _scaled(bounds.get("maxSurge"), "25%", pods, up=True)
    missing = _scaled(bounds.get("maxUnavailable"), "25%", pods, up=False)
    return max(0, pods - (missing if surge or missing else 1))


def kept_by_daemonset(strategy: Obj, pods: int) -> int:
    """Of one pod per node, `pods` in all. Rounds both up. Only one of them may be set."""
    bounds = part(strategy, "rollingUpdate")
    if _scaled(bounds.get("maxSurge"), 0, pods, up=True):
        return pods
    return max(0, pods - max(1, _scaled(bounds.get("maxUnavailable"), 1, pods, up=True)))


def _scaled(value: Any, usual: int | str, of: int, *, up: bool) -> int:
    """A number, or a percentage of `of`. An invalid value counts as all of them."""
    text = str(usual if value is None else value)
    number = text.removesuffix("%")
    if not (number.isascii() and number.isdigit()):
        return of
    if number == text:
        return int(number)
    return -(-int(number) * of // 100) if up else int(number) * of // 100
