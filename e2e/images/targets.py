"""Targets for the tools of the load tester: gRPC servers, a server of HTTP/2 alone, and twins that play a script."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from e2e.controlplane import Child
from e2e.environment import until
from e2e.parts import envoy
from pyflagger_sandbox.network.ingress import free_port

HOST = "127.0.0.1"


class Symbols:
    """A pool of descriptors that also knows methods by their names, as reflection in Go does; ghz asks for a method."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> Any:
        """The file of a symbol, or of the service of a method. Raises KeyError."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindFileContainingSymbol(symbol.rpartition(".")[0])


@contextmanager
def grpc_server(*, reflecting: bool) -> Iterator[str]:
    """A gRPC server with the health service; its address."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
        if reflecting:
            names = (health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server, Symbols(Default()))
        port = server.add_insecure_port(f"{HOST}:0")
        server.start()
        try:
            yield f"{HOST}:{port}"
        finally:
            server.stop(None).wait()


@contextmanager
def http2_server(folder: Path) -> Iterator[str]:
    """An Envoy that speaks HTTP/2 by TLS alone and answers everything with 200; its URL."""
    port, admin = free_port(), folder / "http2.sock"
    key, certificate = folder / "http2.key", folder / "http2.crt"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=http2", "-days", "1"]
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    config = folder / "http2.json"
    config.write_text(json.dumps(_envoy(port, admin, key, certificate)))
    argv = [str(envoy()), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "-c", str(config)]
    child = Child("http2", argv, folder / "http2.log")
    child.start()
    try:
        until(admin.exists, child.tail)
        yield f"https://{HOST}:{port}/"
    finally:
        child.stop()


def _envoy(port: int, admin: Path, key: Path, certificate: Path) -> dict[str, Any]:
    types = "type.googleapis.com/envoy.extensions"
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "OK"}}}
    router = {"name": "router", "typed_config": {"@type": f"{types}.filters.http.router.v3.Router"}}
    manager = {
        "@type": f"{types}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http2",
        "codec_type": "HTTP2",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [answer]}]},
        "http_filters": [router],
    }
    pair = {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(key)}}
    tls = {
        "@type": f"{types}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [pair], "alpn_protocols": ["h2"]},
    }
    chain = {
        "filters": [{"name": "http", "typed_config": manager}],
        "transport_socket": {"name": "tls", "typed_config": tls},
    }
    address = {"socket_address": {"address": HOST, "port_value": port}}
    listeners = [{"name": "http2", "address": address, "filter_chains": [chain]}]
    return {"admin": {"address": {"pipe": {"path": str(admin)}}}, "static_resources": {"listeners": listeners}}


@dataclass
class Twin:
    """A service that answers with the documents of a script, one a request."""

    answers: list[dict[str, Any]]
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """Method and path of each request."""


@contextmanager
def twin(*answers: dict[str, Any]) -> Iterator[Twin]:
    """A service on loopback."""
    made = Twin(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            made.asked.append(f"{self.command} {self.path}")
            body = json.dumps(made.answers.pop(0)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *words: object) -> None:
            """Nothing: the test tells what matters."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    made.url = f"http://{HOST}:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def files(folder: Path, texts: dict[str, str]) -> Path:
    """The folder with these files."""
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
