"""Manifests for the tests of the API: a small good one, and good ones with a change."""

from __future__ import annotations

from typing import Any

from pyflagger.objects import merge_apply

Obj = dict[str, Any]

GOOD: Obj = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "podinfo", "namespace": "test"},
    "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50},
    },
}


def good(**spec: Any) -> Obj:
    """The good manifest with a merge patch on its spec."""
    return merge_apply(GOOD, {"spec": spec})


def analysed(**analysis: Any) -> Obj:
    """The good manifest with a merge patch on its analysis."""
    return good(analysis=analysis)
