"""The proxies as child processes: a Traefik for its own kinds and the Gateway API, a Contour with its Envoy for both.

They watch the real API server and send requests to the addresses of the real EndpointSlices. Started by the fixture
`planes`, with the kinds that they want to watch; Prometheus scrapes them from then on. The ingress of the stage is
another Traefik, which reads Ingresses alone.
"""

from __future__ import annotations

import json
import urllib.request

from e2e.controlplane import Child
from e2e.definitions import of_proxies
from e2e.environment import until
from e2e.parts import contour, envoy
from e2e.stage import Stage
from pyflagger.objects import Obj
from pyflagger_sandbox.network.ingress import OBSERVED, find, free_port

HOST = "127.0.0.1"
NAMESPACE = "gateways"
START_SECONDS_MAX = 60.0
ADMIN_PORT = 81
"""A further port of Services; the Gateway `traefik` has a listener of this number, which its proxy listens at."""

ENVOY_PORTS_OVER = 8000
"""Contour has Envoy listen this much over the port of a Gateway's listener."""

NOT_FOR_CONTOUR = ("tlsroutes", "grpcroutes", "tcproutes", "backendtlspolicies")
"""Kinds that this Contour asks for in versions that are no longer served."""


class Proxies:
    """`traefik` and `envoy` are base URLs for visitors; each serves what its Gateway of that name gets, too.

    `admin` is that of the other listener of the Gateway `traefik`, `secure` is Envoy's for hosts with TLS.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._web, self._traefik_metrics, self._envoy, self._secure, self._stats, self._health, self._xds = (
            free_port() for _ in range(7)
        )
        self.admin = f"http://{HOST}:{ADMIN_PORT}"
        self.traefik, self.envoy = (f"http://{HOST}:{port}" for port in (self._web, self._envoy))
        self.secure = f"https://{HOST}:{self._secure}"
        self._children = [self._traefik_child(), self._contour_child()]

    def start(self) -> None:
        """The kinds, the Gateways, and the processes, until they answer. Raises NoPart, AssertionError."""
        self._stage.define(*of_proxies())
        self._stage.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self._stage.apply(*_gateway("traefik", "traefik.io", self._web, admin=ADMIN_PORT))
        closed = _gateway("traefik", "traefik.io", self._web, "closed")[1]
        closed["spec"]["listeners"][0]["hostname"] = "elsewhere.example"
        self._stage.apply(closed)
        self._stage.apply(*_gateway("contour", "projectcontour.io", self._envoy - ENVOY_PORTS_OVER))
        traefik, contour_child = self._children
        for child in self._children:
            child.start()
        self._until(traefik, f"http://{HOST}:{self._traefik_metrics}/ping")
        self._until(contour_child, f"http://{HOST}:{self._health}/healthz")
        self._children.append(self._envoy_child())
        self._children[-1].start()
        self._until(self._children[-1], f"http://{HOST}:{self._stats}/ready")
        pages = {"traefik-planes": f"{self._traefik_metrics}/metrics", "envoy": f"{self._stats}/stats/prometheus"}
        self._stage.scrape({job: f"http://{HOST}:{page}" for job, page in pages.items()})

    def stop(self) -> None:
        """End all of them, last started first."""
        self._stage.scrape({})
        for child in reversed(self._children):
            child.stop()

    def listener(self, secret: str) -> Obj:
        """That of the Gateway `contour` for hosts with TLS, with a certificate of the Gateways' namespace."""
        tls = {"certificateRefs": [{"name": secret}]}
        everywhere = {"namespaces": {"from": "All"}}
        port = self._secure - ENVOY_PORTS_OVER
        return {"name": "https", "protocol": "HTTPS", "port": port, "tls": tls, "allowedRoutes": everywhere}

    def _until(self, child: Child, url: str) -> None:
        def answers() -> bool:
            assert child.runs, child.tail()
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
                    return True
            except OSError:
                return False

        until(answers, child.tail, START_SECONDS_MAX)

    def _traefik_child(self) -> Child:
        argv = [
            find("traefik"),
            f"--entryPoints.web.address={HOST}:{self._web}",
            "--entryPoints.web.transport.lifeCycle.graceTimeOut=1s",
            f"--entryPoints.admin.address={HOST}:{ADMIN_PORT}",
            "--entryPoints.admin.transport.lifeCycle.graceTimeOut=1s",
            f"--entryPoints.metrics.address={HOST}:{self._traefik_metrics}",
            "--providers.kubernetesCRD=true",
            "--providers.kubernetesGateway=true",
            *OBSERVED,
        ]
        return self._child("traefik", argv)

    def _contour_child(self) -> Child:
        config = self._stage.folder / "contour.yaml"
        gateway = {"gatewayRef": {"namespace": NAMESPACE, "name": "contour"}}
        config.write_text(json.dumps({"gateway": gateway, "enableExternalNameService": True}))
        listening = {
            "xds": self._xds,
            "http": free_port(),
            "health": self._health,
            "debug-http": free_port(),
            "stats": self._stats,
            "envoy-service-http": self._envoy,
            "envoy-service-https": self._secure,
        }
        words = [
            word for name, port in listening.items() for word in (f"--{name}-address={HOST}", f"--{name}-port={port}")
        ]
        argv = [
            str(contour()),
            "serve",
            f"--config-path={config}",
            f"--kubeconfig={self._stage.kubeconfig}",
            "--insecure",
            "--disable-leader-election",
            *(f"--disable-feature={kind}" for kind in NOT_FOR_CONTOUR),
            *words,
        ]
        return self._child("contour", argv)

    def _envoy_child(self) -> Child:
        bootstrap = self._stage.folder / "envoy.json"
        said = Child(
            "bootstrap",
            [
                str(contour()),
                "bootstrap",
                str(bootstrap),
                f"--admin-address={self._stage.folder / 'envoy.sock'}",
                f"--xds-address={HOST}",
                f"--xds-port={self._xds}",
                "--xds-resource-version=v3",
            ],
            self._stage.folder / "bootstrap.log",
        )
        said.start()
        until(lambda: not said.runs, said.tail)
        assert bootstrap.exists(), said.tail()
        words = ["--service-cluster", "contour", "--service-node", "envoy", "--concurrency", "1"]
        # Hot restart ties Envoy to the thread that started it.
        argv = [str(envoy()), "--disable-hot-restart", "--log-level", "warn", "-c", str(bootstrap), *words]
        return self._child("envoy", argv)

    def _child(self, name: str, argv: list[str]) -> Child:
        environ = {"KUBECONFIG": str(self._stage.kubeconfig)}
        return Child(name, argv, self._stage.folder / f"plane-{name}.log", environ)


def _gateway(kind: str, controller: str, port: int, name: str = "", **further: int) -> tuple[Obj, Obj]:
    """A class and a Gateway of it, of the same name unless told, which takes routes from everywhere."""
    group, everywhere = "gateway.networking.k8s.io/v1", {"namespaces": {"from": "All"}}
    listeners = [
        {"name": each, "protocol": "HTTP", "port": number, "allowedRoutes": everywhere}
        for each, number in {"http": port, **further}.items()
    ]
    return (
        {
            "apiVersion": group,
            "kind": "GatewayClass",
            "metadata": {"name": kind},
            "spec": {"controllerName": f"{controller}/gateway-controller"},
        },
        {
            "apiVersion": group,
            "kind": "Gateway",
            "metadata": {"name": name or kind, "namespace": NAMESPACE},
            "spec": {"gatewayClassName": kind, "listeners": listeners},
        },
    )
