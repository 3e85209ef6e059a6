"""A real control plane on loopback: etcd, kube-apiserver and kube-controller-manager as child processes.

No root and no container: it runs in a network namespace whose pod range lies on `lo` (see `e2e.__main__`). Everything
it writes is in one folder, the audit log of what service accounts and `ctl` asked among it. Blocking calls: this is
the outermost edge, a stage hand and no part of what is tested.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM, Signals
from typing import Any

from e2e.parts import Parts
from pyflagger_sandbox.network.ingress import free_port

READY_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 10.0
POD_GATEWAY = "10.244.0.1"
"""The API server's advertised address: the first of the pod range."""

USERS = {"admin": "system:masters", "ctl": "system:masters", "kcm": "system:masters"}
AUDIT: Sequence[Mapping[str, Any]] = (
    # The weights that an operator sets, not only that it does.
    {
        "level": "Request",
        "userGroups": ["system:serviceaccounts"],
        "verbs": ["create", "patch", "update"],
        "resources": [{"group": "networking.k8s.io", "resources": ["ingresses"]}],
    },
    {"level": "Metadata", "users": ["ctl"]},
    {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
    {"level": "None"},
)
"""Rules: whose requests are written down. A folder's log holds everything, however much it is."""

AUDIT_MIB_MAX = 4096
WITHOUT = ("serviceaccount-token-controller", "node-lifecycle-controller")
"""Nodes have no kubelet to renew their leases, so nobody may judge them dead for that."""

ADMITTING_WITHOUT = ("ServiceAccount", "TaintNodesByCondition")
"""Nobody would take its taint from a node: DaemonSets would have no pods."""


class NotReady(RuntimeError):
    """A part did not come up; the text is the end of its log."""


@dataclass
class Child:
    """A child process with a log of its own, which can be started again as it was."""

    name: str
    argv: list[str]
    log: Path
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    """The last time, in seconds since the epoch."""

    def start(self) -> None:
        """Run it; what it prints goes to the end of its log."""
        self.started_at = time.time()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environ},
                start_new_session=True,
            )

    def signal(self, number: Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: Signals = SIGTERM) -> int:
        """End it; its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def runs(self) -> bool:
        """Whether it still does."""
        return self.process is not None and self.process.poll() is None

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]


class ControlPlane:
    """One control plane in a folder. `start` it; `stop` ends it, the folder stays for who wants to read logs.

    `rules` are those of its audit policy; the controllers named in `without` do not run.
    """

    def __init__(
        self,
        parts: Parts,
        folder: Path,
        *,
        rules: Sequence[Mapping[str, Any]] = AUDIT,
        without: Sequence[str] = (),
    ) -> None:
        self.folder, self.port = folder, free_port()
        self._rules, self._without = rules, (*WITHOUT, *without)
        self.url = f"https://127.0.0.1:{self.port}"
        self._etcd_url = f"http://127.0.0.1:{free_port()}"
        self.audit = folder / "audit.log"
        self.authority = folder / "certs" / "apiserver.crt"
        self.etcd = Child("etcd", [*parts.etcd, *self._etcd_flags()], folder / "etcd.log")
        self.api = Child("kube-apiserver", [*parts.apiserver, *self._api_flags()], folder / "api.log")
        self.ready_at: dict[float, float] = {}
        """When the API server was ready and knew its rules, by when it was started; seconds since the epoch."""
        self.controllers = Child("controllers", [*parts.controllers, *self._controller_flags()], folder / "kcm.log")

    def start(self) -> None:
        """Bring it up. Raises NotReady."""
        self._write_files()
        self.etcd.start()
        self.api.start()
        self.wait()
        for user in USERS:
            self.kubeconfig(user, f"{user}token")
        self.controllers.start()
        self._until(lambda: self._is_there("/api/v1/namespaces/default/serviceaccounts/default"), self.controllers)

    def stop(self) -> None:
        """End all of it, last started first."""
        for child in (self.controllers, self.api, self.etcd):
            child.stop()

    def mend(self) -> list[str]:
        """Start again what has ended; what each of it said at its end. Raises NotReady."""
        children = (self.etcd, self.api, self.controllers)
        ended = [f"{child.name} ended: {child.tail()}" for child in children if not child.runs]
        for child in children:
            if not child.runs:
                child.start()
        self.wait()
        return ended

    def wait(self) -> None:
        """Until the API server is ready. Raises NotReady."""
        self._until(lambda: self._is_there("/readyz"), self.api)
        self.ready_at.setdefault(self.api.started_at, time.time())

    def kubeconfig(self, name: str, token: str) -> Path:
        """Write a kubeconfig for a bearer token; its path."""
        path = self.folder / f"kubeconfig-{name}"
        path.write_text(json.dumps(self._config(token)))
        return path

    def _config(self, token: str) -> dict[str, Any]:
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": cluster}],
            "users": [{"name": "e2e", "user": {"token": token}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
            "current-context": "e2e",
        }

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json", seconds: float = 30) -> Any:
        """One call as the administrator; the answer's JSON, or its text. Raises urllib.error.HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer admintoken", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        tls = ssl.create_default_context(cafile=str(self.authority))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
        with opener.open(request, timeout=seconds) as answer:
            text = answer.read().decode()
        return json.loads(text) if text.startswith("{") else text

    def audited(self) -> list[dict[str, Any]]:
        """What the audited users asked so far, oldest first."""
        lines = self.audit.read_text().splitlines() if self.audit.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def compact(self) -> None:
        """Make etcd forget every version but the last, as a busy cluster's does after five minutes."""
        revision = self._etcd("/v3/kv/range", {"key": base64.b64encode(b"x").decode()})["header"]["revision"]
        self._etcd("/v3/kv/compaction", {"revision": revision, "physical": True})

    def _etcd(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(self._etcd_url + path, json.dumps(body).encode())
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return json.load(answer)

    def _is_there(self, path: str) -> bool:
        try:
            self.ask("GET", path, seconds=2)
        except (OSError, ssl.SSLError):
            return False
        return True

    def _until(self, holds: Any, child: Child) -> None:
        end, pause = time.monotonic() + READY_SECONDS_MAX, threading.Event()
        while not holds():
            if time.monotonic() > end or not child.runs:
                raise NotReady(f"{child.name} is not ready; the end of its log:\n{child.tail()}")
            pause.wait(0.1)

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        key = self.folder / "sa.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        lines = [f'{user}token,{user},{user},"{groups}"' for user, groups in USERS.items()]
        (self.folder / "tokens.csv").write_text("\n".join(lines) + "\n")
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
        (self.folder / "audit.yaml").write_text(json.dumps(policy | {"rules": list(self._rules)}))

    def _etcd_flags(self) -> list[str]:
        peer = f"http://127.0.0.1:{free_port()}"
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync=true",
            "--log-level=error",
        ]

    def _api_flags(self) -> list[str]:
        folder = self.folder
        return [
            f"--etcd-servers={self._etcd_url}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--advertise-address={POD_GATEWAY}",
            f"--cert-dir={folder / 'certs'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'sa.key'}",
            f"--service-account-signing-key-file={folder / 'sa.key'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/12",
            "--endpoint-reconciler-type=none",
            f"--disable-admission-plugins={','.join(ADMITTING_WITHOUT)}",
            f"--audit-policy-file={folder / 'audit.yaml'}",
            f"--audit-log-path={self.audit}",
            f"--audit-log-maxsize={AUDIT_MIB_MAX}",
        ]

    def _controller_flags(self) -> list[str]:
        config = self.folder / "kubeconfig-kcm"
        return [
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--leader-elect=false",
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
            f"--secure-port={free_port()}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'certs-kcm'}",
            "--kube-api-qps=300",
            "--kube-api-burst=600",
            f"--controllers={','.join(('*', *(f'-{name}' for name in self._without)))}",
        ]
