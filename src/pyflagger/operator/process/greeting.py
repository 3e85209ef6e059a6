"""Logs at the start what the operator is connected to: the API server with its version, and the metrics server."""

from __future__ import annotations

from typing import Any

from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError
from pyflagger.wire import Http, HttpFailure, HttpRequest, hidden, secrets_of, shown_url

PROBE = "/api/v1/query?query=vector(1)"
"""What the reference asks Prometheus when it starts."""

UNREACHABLE = "Built-in and inline metric checks fail until it answers. Check -metrics-server."


async def greet(client: Client, http: Http, metrics_server: str, log: Any) -> None:
    """Log a line for each connection. A failure stops nothing: watches and checks retry and report it themselves."""
    try:
        version = (await client.call("GET", "/version")).get("gitVersion", "of an unknown version")
        log.info(f"Connected to Kubernetes API {version}")
    except ApiError as error:
        log.warning("the API server does not tell its version", error=str(error))
    if metrics_server:
        await _greet_metrics_server(http, metrics_server, log)


async def _greet_metrics_server(http: Http, url: str, log: Any) -> None:
    request, shown = HttpRequest("GET", f"{url.rstrip('/')}{PROBE}"), shown_url(url)
    try:
        answer = await http.send(request)
    except HttpFailure as failure:
        log.error(f"Metrics server {shown} unreachable {failure}", todo=UNREACHABLE)
        return
    if answer.status < 300:
        log.info(f"Connected to metrics server {shown}")
    else:
        said = hidden(answer.summary(200), secrets_of(request))
        log.error(f"Metrics server {shown} unreachable {said}", todo=UNREACHABLE)
