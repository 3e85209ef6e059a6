"""podinfo's metrics: requests by status, and a histogram of durations by method, path and status.

Each instance has its own registry, because many run in one process.
"""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

_NOT_A_LABEL = re.compile(r"[^a-zA-Z0-9]+")
_CREATED = re.compile(r"^(# (HELP|TYPE) )?http_\w+_created\b.*\n", re.MULTILINE)
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def path_label(template: str) -> str:
    """`/status/{code:[0-9]+}` → `status_code_0_9`; `/` → `root`."""
    return _NOT_A_LABEL.sub("_", template).strip("_").lower() or "root"


class PodinfoMetrics:
    """The counters of one instance."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._total = Counter(
            "http_requests_total", "The total number of HTTP requests.", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Seconds spent serving HTTP requests.",
            ["method", "path", "status"],
            buckets=BUCKETS,
            registry=self._registry,
        )

    def served(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._seconds.labels(method, path, str(status)).observe(seconds)
        self._total.labels(str(status)).inc()

    def page(self) -> bytes:
        """The metrics in text format, without creation times, as from the Go client."""
        return _CREATED.sub("", generate_latest(self._registry).decode()).encode()
