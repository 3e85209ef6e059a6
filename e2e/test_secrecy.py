"""A release whose hook and metric system give everything back that they were sent; the end of the run looks for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from e2e.apps import IMAGE, app, canary, settings
from e2e.environment import Environment
from e2e.planted import PASSWORD, QUERY, SECRETS, TOKEN, forms, secret


class Echo(BaseHTTPRequestHandler):
    """A server in debug mode: every answer is a refusal that holds the whole request, in body and headers."""

    asked: list[str]

    def do_GET(self) -> None:
        """Whatever is asked; that it is there is all that it says otherwise."""
        length = int(self.headers.get("Content-Length") or 0)
        seen = f"{self.command} {self.path} {dict(self.headers)} {self.rfile.read(length).decode()}"
        self.asked.append(seen)
        probed = "vector" in self.path
        value = {"status": "success", "data": {"resultType": "vector", "result": [{"value": [0, "1"]}]}}
        body = json.dumps(value if probed else {"status": "error", "errorType": "bad_data", "error": seen}).encode()
        self.send_response(200 if probed else 400)
        self.send_header("X-Seen", seen.replace("\n", " ")[:500])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """What is logged here is no part of the run."""


@pytest.fixture
def echo() -> Iterator[tuple[str, list[str]]]:
    """Its host and port, and what it was asked."""
    asked: list[str] = []
    handler = type("Handler", (Echo,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_whole_release(env: Environment, echo: tuple[str, list[str]]) -> None:
    """From the first look to the rollback: every secret was used, all texts say that there was one, none says which."""
    where, asked = echo
    env.operator("-min-interval", "1s", "-log-level", "debug")
    hook = f"http://user:{PASSWORD.replace('/', '%2F')}@{where}/check?key={QUERY}"
    template = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": "errors"},
        "spec": {
            "provider": {"type": "prometheus", "address": f"http://{where}", "secretRef": {"name": "login"}},
            "query": "errors{}",
        },
    }
    metric = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1}, "templateRef": {"name": "errors"}}
    hooks = [{"name": kind, "type": kind, "url": hook} for kind in ("rollout", "event", "post-rollout")]
    analysis = {"threshold": 2, "metrics": [metric], "webhooks": hooks}
    shop = canary("shop", "kubernetes", analysis=analysis)
    env.apply(secret("login", token=TOKEN), template, settings("shop"), app("shop"), shop)
    env.wait("shop", "Initialized")
    env.kubectl("set", "image", "deployment/shop", f"web={IMAGE}:6.0.1")
    env.wait("shop", "Failed")
    sent = "".join(asked)
    assert [planted for planted in SECRETS if not any(form in sent for form in forms(planted))] == []
    assert "***" in env.said("shop")
