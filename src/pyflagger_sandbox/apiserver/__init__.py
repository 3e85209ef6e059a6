"""An embedded Kubernetes API server: objects in memory, in process or on loopback."""

from __future__ import annotations

from pyflagger_sandbox.apiserver.http import HttpFront
from pyflagger_sandbox.apiserver.server import ApiServer, Audited
from pyflagger_sandbox.apiserver.transport import InProcess

__all__ = ["ApiServer", "Audited", "HttpFront", "InProcess"]
