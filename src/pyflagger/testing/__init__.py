"""For tests of parts that other packages bring: `check_router` holds a traffic provider to what the operator relies on.

Called by such packages' tests and by our own; nothing of the product imports it.
"""

from pyflagger.testing.cluster import Cluster
from pyflagger.testing.router import CHECKS, NotConforming, check_router
from pyflagger.testing.scene import Scene

__all__ = ["CHECKS", "Cluster", "NotConforming", "Scene", "check_router"]
