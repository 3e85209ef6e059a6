"""Checks for plugins: `check_router` tests that a traffic provider does what the operator relies on.

The tests of plugins and our own tests call it. The product does not import it.
"""

from pyflagger.testing.cluster import Cluster
from pyflagger.testing.router import CHECKS, NotConforming, check_router
from pyflagger.testing.scene import Scene

__all__ = ["CHECKS", "Cluster", "NotConforming", "Scene", "check_router"]
