"""Metrics of the sandbox: scrapes targets, stores samples, and answers PromQL queries like Prometheus.

    store, engine = Store(), Engine(store)
    scraper = Scraper(store, discover, http, clock)     # await scraper.run()
    api = Api(engine, clock, scraper)
    async with serving(api) as url: ...                 # over HTTP; or InProcessMetrics(api) without sockets

`external_prometheus` runs a real Prometheus on the same targets instead.
"""

from .api import Api
from .engine import Engine
from .external import PrometheusError, external_prometheus, find_prometheus
from .scrape import Discover, Scraper, ScrapeTarget
from .serve import InProcessMetrics, application, serving
from .store import Store
from .values import Labels, Matrix, QueryError, Sample, Value, Vector, Window, labels_of

__all__ = [
    "Api",
    "Discover",
    "Engine",
    "InProcessMetrics",
    "Labels",
    "Matrix",
    "PrometheusError",
    "QueryError",
    "Sample",
    "ScrapeTarget",
    "Scraper",
    "Store",
    "Value",
    "Vector",
    "Window",
    "application",
    "external_prometheus",
    "find_prometheus",
    "labels_of",
    "serving",
]
