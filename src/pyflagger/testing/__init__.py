"""Checks for plugins: that a traffic provider, metric provider or notifier does what the operator relies on.

The tests of plugins and our own tests call them. The product does not import them.
"""

from pyflagger.testing.cluster import Cluster
from pyflagger.testing.metrics import METRIC_CHECKS, MetricScene, check_metric_provider
from pyflagger.testing.notifier import NOTIFIER_CHECKS, check_notifier
from pyflagger.testing.router import CHECKS, NotConforming, check_router
from pyflagger.testing.scene import Scene

__all__ = [
    "CHECKS",
    "METRIC_CHECKS",
    "NOTIFIER_CHECKS",
    "Cluster",
    "MetricScene",
    "NotConforming",
    "Scene",
    "check_metric_provider",
    "check_notifier",
    "check_router",
]
