"""The scrape targets of the sandbox: pods with the usual annotations, under the usual labels.

Pure; `cluster` calls it before each round of scraping. The labels are those of Prometheus's example configuration for
Kubernetes, which the built-in checks and most users' queries use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from pyflagger.objects import Obj
from pyflagger_sandbox.metrics import ScrapeTarget

SCRAPE, PORT, PATH = (f"prometheus.io/{word}" for word in ("scrape", "port", "path"))
_UNFIT = re.compile(r"[^a-zA-Z0-9_]")

RealPort = Callable[[str, int], int]
"""(uid of a pod, its container port) → the port that really listens."""


def pod_targets(pods: Iterable[Obj], real_port: RealPort) -> Iterator[ScrapeTarget]:
    """A target for each running pod that is annotated `prometheus.io/scrape: "true"`."""
    for pod in pods:
        meta, status = pod["metadata"], pod.get("status") or {}
        said = meta.get("annotations") or {}
        address, port = status.get("podIP"), said.get(PORT) or _first_port(pod)
        if said.get(SCRAPE) != "true" or not address or not port.isdigit() or status.get("phase") != "Running":
            continue
        path = "/" + said.get(PATH, "/metrics").lstrip("/")
        yield ScrapeTarget(f"http://{address}:{real_port(meta['uid'], int(port))}{path}", _labels(pod))


def _first_port(pod: Obj) -> str:
    """The first container port, as Prometheus finds it."""
    ports = [str(port["containerPort"]) for entry in pod["spec"]["containers"] for port in entry.get("ports") or ()]
    return ports[0] if ports else ""


def _labels(pod: Obj) -> dict[str, str]:
    meta = pod["metadata"]
    own = {_UNFIT.sub("_", key): value for key, value in (meta.get("labels") or {}).items()}
    place = {"namespace": meta["namespace"], "pod": meta["name"]}
    return own | place | {"kubernetes_namespace": meta["namespace"], "kubernetes_pod_name": meta["name"]}
