"""A twin of a service mesh: traffic to Services is split by TrafficSplits and measured as Linkerd's proxies would."""

from pyflagger_sandbox.mesh.kinds import TRAFFIC_SPLITS
from pyflagger_sandbox.mesh.proxy import Mesh, NoMesh

__all__ = ["TRAFFIC_SPLITS", "Mesh", "NoMesh"]
