"""An emulated service mesh: splits traffic to Services by TrafficSplits, and reports metrics as Linkerd does."""

from pyflagger_sandbox.mesh.kinds import TRAFFIC_SPLITS
from pyflagger_sandbox.mesh.proxy import Mesh, NoMesh

__all__ = ["TRAFFIC_SPLITS", "Mesh", "NoMesh"]
