"""How many pods an update keeps, rounded as Kubernetes rounds."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.workloads.updates import kept_by_daemonset, kept_by_deployment

DEPLOYMENTS: list[tuple[int, dict[str, Any], int]] = [
    (1, {}, 1),
    (4, {}, 3),
    (3, {}, 3),
    (3, {"type": "Recreate"}, 0),
    (1, {"maxUnavailable": 1}, 0),
    (2, {"maxUnavailable": 1}, 1),
    (2, {"maxUnavailable": 2}, 0),
    (2, {"maxUnavailable": 5}, 0),
    (2, {"maxUnavailable": "100%"}, 0),
    (1, {"maxUnavailable": "99%"}, 1),
    (2, {"maxUnavailable": "50%"}, 1),
    (3, {"maxUnavailable": "50%", "maxSurge": 0}, 2),
    (1, {"maxUnavailable": "50%", "maxSurge": 0}, 0),
    (3, {"maxUnavailable": "25%", "maxSurge": 0}, 2),
    (1, {"maxUnavailable": 0, "maxSurge": 1}, 1),
    (1, {"maxUnavailable": "0%", "maxSurge": "1%"}, 1),
    (1, {"maxSurge": 0}, 0),
    (2, {"maxUnavailable": "many"}, 0),
]
DAEMONSETS: list[tuple[int, dict[str, Any], int]] = [
    (1, {}, 0),
    (3, {}, 2),
    (3, {"maxUnavailable": 3}, 0),
    (3, {"maxUnavailable": "100%"}, 0),
    (3, {"maxUnavailable": "67%"}, 0),
    (3, {"maxUnavailable": "66%"}, 1),
    (1, {"maxUnavailable": 0, "maxSurge": 1}, 1),
    (1, {"maxUnavailable": 0, "maxSurge": "10%"}, 1),
    (0, {}, 0),
]


@pytest.mark.parametrize("replicas, strategy, kept", DEPLOYMENTS)
def test_a_deployment_keeps(replicas: int, strategy: dict[str, Any], kept: int) -> None:
    """What may be missing is rounded down, the surge up; with neither, one pod goes."""
    whole = strategy if "type" in strategy else {"type": "RollingUpdate", "rollingUpdate": strategy}
    assert kept_by_deployment(whole, replicas) == kept
    assert kept_by_deployment({} if not strategy else whole, replicas) == kept


@pytest.mark.parametrize("nodes, bounds, kept", DAEMONSETS)
def test_a_daemonset_keeps(nodes: int, bounds: dict[str, Any], kept: int) -> None:
    """Percentages are rounded up; with a surge no pod goes before the next one is there."""
    assert kept_by_daemonset({"type": "RollingUpdate", "rollingUpdate": bounds}, nodes) == kept
