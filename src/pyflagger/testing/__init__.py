"""Checks for plugins: `check_router` tests that a traffic provider does what the operator relies on.

`check_metric_provider` does the same for metric providers. The tests of plugins and our own tests call them. The
product does not import them.
"""

from pyflagger.testing.cluster import Cluster
from pyflagger.testing.metrics import METRIC_CHECKS, MetricScene, check_metric_provider
from pyflagger.testing.router import CHECKS, NotConforming, check_router
from pyflagger.testing.scene import Scene

__all__ = [
    "CHECKS",
    "METRIC_CHECKS",
    "Cluster",
    "MetricScene",
    "NotConforming",
    "Scene",
    "check_metric_provider",
    "check_router",
]
