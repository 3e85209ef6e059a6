"""The tutorial about Contour, followed on the real control plane, with visitors on a real Contour with Envoy."""

from __future__ import annotations

from pathlib import Path

from e2e.planes.proxies import Proxies
from e2e.stage import Stage
from e2e.tutorials import follow, operated
from e2e.visitors import Visitors

HOST, NEW = "podinfo.example.com", "6.0.1"
PATIENT = "8s"
"""Five checks in a row may fail until a real Prometheus has two samples of the new pods."""


def test_a_tutorial(stage: Stage, proxies: Proxies, tmp_path: Path) -> None:
    """Its commands succeed, the checks judge what Envoy counted, and visitors meet the new version."""
    with operated(stage, "contour") as env, Visitors(proxies.envoy, HOST) as visitors:
        follow("contour", env, tmp_path, PATIENT)
        assert visitors.count()[NEW]
