"""The mesh's request metrics, with the names and labels of Linkerd's proxies.

See Linkerd's reference, "Proxy Metrics": `response_total` and `response_latency_ms`, as the inbound proxy of the
destination counts them.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from pyflagger.objects import Obj

LABELS = ("direction", "namespace", "deployment", "pod", "status_code", "classification")
BUCKETS_MS = tuple(digit * 10**power for power in range(5) for digit in (1, 2, 3, 4, 5))
HASH = "pod-template-hash"


class MeshMetrics:
    """The counters of every meshed pod."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._total = Counter("response", "Responses by status.", LABELS, registry=self._registry)
        self._latency = Histogram(
            "response_latency_ms",
            "Response latency in milliseconds.",
            LABELS,
            buckets=BUCKETS_MS,
            registry=self._registry,
        )

    def answered(self, pod: Obj, status: int, seconds: float) -> None:
        """Count a response of a pod."""
        meta = pod["metadata"]
        outcome = "failure" if status >= 500 else "success"
        labels = ("inbound", meta["namespace"], deployment_of(pod), meta["name"], str(status), outcome)
        self._total.labels(*labels).inc()
        self._latency.labels(*labels).observe(seconds * 1000)

    def page(self) -> bytes:
        """The metrics in text format."""
        return generate_latest(self._registry)


def deployment_of(pod: Obj) -> str:
    """The Deployment of a pod, from the name of its ReplicaSet; empty for other pods."""
    meta = pod["metadata"]
    owners = [owner["name"] for owner in meta.get("ownerReferences") or () if owner.get("kind") == "ReplicaSet"]
    suffix = f"-{(meta.get('labels') or {}).get(HASH, '')}"
    return owners[0].removesuffix(suffix) if owners else ""
