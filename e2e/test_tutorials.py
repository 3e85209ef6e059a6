"""The tutorials about providers without a proxy here, followed on the real control plane, all at once.

The kinds have their projects' own definitions, except those of Gloo and APISIX, which no Go module has: these are open.
No proxy reads the objects and nobody visits, so a played metrics server answers the built-in checks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from e2e.definitions import definitions
from e2e.stage import Stage
from e2e.targets.knative import Controller
from e2e.tutorials import follow, operated
from pyflagger.objects import Obj

DEFINED: Mapping[str, tuple[str, ...]] = {
    "istio": ("virtualservices.networking.istio.io", "destinationrules.networking.istio.io"),
    "skipper": (),
    "kuma": ("trafficroutes.kuma.io",),
    "gloo": (),
    "apisix": (),
    "knative": ("services.serving.knative.dev", "revisions.serving.knative.dev"),
}
"""The tutorials, and the kinds that they need."""

OPEN = (
    ("gateway.solo.io", "v1", "VirtualService", "virtualservices"),
    ("gateway.solo.io", "v1", "RouteTable", "routetables"),
    ("gloo.solo.io", "v1", "Upstream", "upstreams"),
    ("apisix.apache.org", "v2", "ApisixRoute", "apisixroutes"),
)
GOOD, QUICK = "100", "0.05"
"""Percent of requests that succeeded; a duration that is short in seconds and in milliseconds."""


def opened(group: str, version: str, kind: str, plural: str) -> Obj:
    """A definition that accepts every field."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    served = {"name": version, "served": True, "storage": True, "schema": schema}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }


class Metrics(BaseHTTPRequestHandler):
    """A Prometheus in whose eyes every version is good."""

    def do_GET(self) -> None:
        """One series for any query."""
        value = QUICK if "histogram_quantile" in self.path else GOOD
        found = {"resultType": "vector", "result": [{"metric": {}, "value": [0, value]}]}
        body = json.dumps({"status": "success", "data": found}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Nothing: the tests tell what matters."""


@pytest.fixture(scope="module")
def metrics() -> Iterator[str]:
    """The base URL of the played metrics server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def followed(
    stage: Stage, metrics: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[None]]]:
    """Each tutorial under way, by its name."""
    stage.define(
        *definitions([kind for kinds in DEFINED.values() for kind in kinds]), *(opened(*kind) for kind in OPEN)
    )
    with ThreadPoolExecutor(len(DEFINED)) as hands:
        yield {page: hands.submit(_follow, page, stage, metrics, tmp_path_factory.mktemp(page)) for page in DEFINED}


def _follow(page: str, stage: Stage, metrics: str, folder: Path) -> None:
    with operated(stage, page, "-metrics-server", metrics) as env:
        knative = Controller(env) if page == "knative" else None
        if knative:
            knative.start()
        try:
            follow(page, env, folder)
        finally:
            if knative:
                knative.stop()


@pytest.mark.parametrize("page", DEFINED)
def test_a_tutorial(page: str, followed: Mapping[str, Future[None]]) -> None:
    """Its commands succeed, the weight takes every step, and the release is promoted."""
    followed[page].result()
