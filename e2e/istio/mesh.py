"""Istio on the stage: pilot-discovery, and the Envoy that it programs as the gateway of all hosts.

The Envoy is a stock one, so what needs Istio's own filters is switched off: metadata exchange, the ALPN filter, mutual
TLS, and its telemetry. Hence no series of Istio's names; what Envoy itself counts is scraped.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from types import MappingProxyType

import yaml

from e2e.controlplane import Child
from e2e.definitions import folder, modern
from e2e.environment import until
from e2e.istio.parts import MODULE, pilot
from e2e.parts import envoy
from e2e.stage import Stage
from pyflagger.objects import Obj
from pyflagger_sandbox.network.ingress import free_port

HOST = "127.0.0.1"
NAMESPACE = "istio-system"
GATEWAY = f"{NAMESPACE}/gateway"
START_SECONDS_MAX = 60.0
LABELS = {"istio": "ingressgateway"}
NODE = f"router~{HOST}~gateway-0.{NAMESPACE}~{NAMESPACE}.svc.cluster.local"
STOCK: Mapping[str, str] = MappingProxyType(
    {
        "ENABLE_CA_SERVER": "false",
        "INJECTION_WEBHOOK_CONFIG_NAME": "",
        "PILOT_CERT_PROVIDER": "none",
        "PILOT_ENABLE_ALPN_FILTER": "false",
        "PILOT_ENABLE_GATEWAY_API": "false",
        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
        "POD_NAME": "istiod-0",
        "POD_NAMESPACE": NAMESPACE,
        "VALIDATION_WEBHOOK_CONFIG_NAME": "",
    }
)
"""What pilot-discovery needs to serve an Envoy without Istio's filters and certificates."""

CLUSTER = r"^cluster\.(([^;]+);\.)"
"""A cluster's name in Envoy's statistics: Istio ends it with a semicolon, for it has dots."""


class Mesh:
    """`url` is the gateway's, for visitors; `raw` is its port for connections that it does not look into."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._web, self._raw, self._xds, self._health, self._monitoring, self._admin = (free_port() for _ in range(6))
        self.url, self.raw = (f"http://{HOST}:{port}" for port in (self._web, self._raw))
        self._pilot, self._envoy = self._pilot_child(), self._envoy_child()

    def start(self) -> None:
        """The kinds, the gateway, and the processes, until it has its listener. Raises NoPart, AssertionError."""
        self._stage.define(*definitions())
        self._stage.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self._stage.apply(gateway(self._web, self._raw))
        self._pilot.start()
        self._until(self._pilot, f"http://{HOST}:{self._health}/ready")
        self._envoy.start()
        self._until(self._envoy, f"http://{HOST}:{self._admin}/ready")
        self._stage.scrape({"gateway": f"http://{HOST}:{self._admin}/stats/prometheus"})

    def stop(self) -> None:
        """End both."""
        self._stage.scrape({})
        for child in (self._envoy, self._pilot):
            child.stop()

    def cluster(self, name: str) -> Obj:
        """What the gateway was told of a cluster. Raises StopIteration."""
        page = _read(f"http://{HOST}:{self._admin}/config_dump?resource=dynamic_active_clusters")
        clusters: list[Obj] = [entry["cluster"] for entry in json.loads(page)["configs"]]
        return next(cluster for cluster in clusters if cluster["name"] == name)

    def _until(self, child: Child, url: str) -> None:
        def answers() -> bool:
            assert child.runs, child.tail()
            try:
                _read(url)
            except OSError:
                return False
            return True

        until(answers, child.tail, START_SECONDS_MAX)

    def _pilot_child(self) -> Child:
        stage, mesh = self._stage, self._stage.folder / "mesh.yaml"
        config = {"defaultConfig": {"discoveryAddress": f"{HOST}:{self._xds}"}, "defaultProviders": {}}
        mesh.write_text(json.dumps({**config, "enableAutoMtls": False}))
        argv = [
            str(pilot()),
            "discovery",
            f"--kubeconfig={stage.kubeconfig}",
            f"--meshConfig={mesh}",
            "--registries=Kubernetes",
            f"--httpAddr={HOST}:{self._health}",
            "--httpsAddr=",
            f"--grpcAddr={HOST}:{self._xds}",
            "--secureGRPCAddr=",
            f"--monitoringAddr={HOST}:{self._monitoring}",
        ]
        return Child("pilot", argv, stage.folder / "pilot.log", dict(STOCK))

    def _envoy_child(self) -> Child:
        path = self._stage.folder / "gateway.json"
        path.write_text(json.dumps(bootstrap(self._xds, self._admin)))
        # Hot restart ties Envoy to the thread that started it.
        argv = [str(envoy()), "--disable-hot-restart", "--log-level", "warn", "--concurrency", "1", "-c", str(path)]
        return Child("gateway", argv, self._stage.folder / "gateway.log")


def _read(url: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
        return str(answer.read().decode())


def definitions() -> list[Obj]:
    """Every kind of Istio's."""
    file = folder(MODULE) / "manifests" / "charts" / "base" / "files" / "crd-all.gen.yaml"
    return [modern(obj) for obj in yaml.safe_load_all(file.read_text()) if obj]


def gateway(web: int, raw: int) -> Obj:
    """Takes every host."""
    ports = ({"number": web, "name": "http", "protocol": "HTTP"}, {"number": raw, "name": "tcp", "protocol": "TCP"})
    namespace, _, name = GATEWAY.partition("/")
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": LABELS, "servers": [{"port": port, "hosts": ["*"]} for port in ports]},
    }


def bootstrap(xds: int, admin: int) -> Obj:
    """Envoy's own configuration: who it is, and where it gets the rest."""
    xds_cluster = {
        "name": "xds",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [_at(xds)]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
    }
    ads = {"ads": {}, "resource_api_version": "V3"}
    stream = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
    }
    return {
        "node": {"id": NODE, "cluster": "gateway", "metadata": {"LABELS": LABELS, "CLUSTER_ID": "Kubernetes"}},
        "dynamic_resources": {"ads_config": stream, "cds_config": ads, "lds_config": ads},
        "static_resources": {"clusters": [xds_cluster]},
        "stats_config": {"stats_tags": [{"tag_name": "cluster_name", "regex": CLUSTER}]},
        "admin": {"address": {"socket_address": {"address": HOST, "port_value": admin}}},
    }


def _at(port: int) -> Obj:
    return {"endpoint": {"address": {"socket_address": {"address": HOST, "port_value": port}}}}
