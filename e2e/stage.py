"""`python -m e2e.stage --json`: a real control plane with nodes, pods, ingress and Prometheus, and our operator on it.

Takes the flags of `flagger sandbox` that mean something here and prints the same JSON line, so whatever runs on a
sandbox runs on this too. The operator is a child process under the service account of our manifests, with their rules
and no others.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from e2e.controlplane import Child, ControlPlane
from e2e.evidence import Evidence
from e2e.parts import parts
from pyflagger.objects import Obj
from pyflagger_sandbox.network.ingress import find, free_port

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS_MAX = 60.0
TOKEN_SECONDS = 24 * 3600
KUBECTL_SECONDS_MAX = 120.0
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
INGRESS_CLASS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "nginx"},
    "spec": {"controller": "k8s.io/ingress-nginx"},
}


@dataclass
class Operator(Child):
    """An operator as a child process; `url` is the base of its /metrics and /readyz."""

    url: str = ""

    def page(self, path: str) -> str:
        """What it answers at a path: `/metrics`, `/readyz`; empty when it does not."""
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                self.url + path, timeout=5
            ) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def ready(self) -> bool:
        """Whether it says that it is."""
        return bool(self.page("/readyz"))


class Stage:
    """A control plane in a folder, and what was started on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plane = ControlPlane(parts(), folder)
        self.evidence = Evidence(folder)
        self.urls: dict[str, str] = {}
        self.dataplane: subprocess.Popen[str] | None = None
        """Nodes, pods, ingress and Prometheus."""
        self._targets = folder / "targets.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig-admin"

    def start(self) -> None:
        """Control plane, kinds, nodes and data plane. Raises NotReady."""
        self.plane.start()
        self.apply(*manifests("crds"), INGRESS_CLASS)
        self._start_dataplane()

    def mend(self) -> list[str]:
        """Start again what has ended; what each of it said at its end. Raises NotReady."""
        ended = self.plane.mend()
        if self.dataplane is not None and self.dataplane.poll() is not None:
            said = (self.folder / "dataplane.log").read_text()[-3000:]
            ended.append(f"nodes and data plane ended with status {self.dataplane.returncode}: {said}")
            self._start_dataplane()
        return ended

    def _start_dataplane(self) -> None:
        log = (self.folder / "dataplane.log").open("ab")
        flags = ["--kubeconfig", str(self.kubeconfig), "--targets", str(self._targets)]
        command = [sys.executable, "-m", "e2e.dataplane", *flags]
        self.dataplane = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        self.urls = json.loads(first_line(self.dataplane) or "{}")
        if not self.urls:
            raise RuntimeError((self.folder / "dataplane.log").read_text())

    def stop(self) -> None:
        """End everything."""
        if self.dataplane is not None:
            self.dataplane.terminate()
            self.dataplane.wait(START_SECONDS_MAX)
            assert self.dataplane.stdout is not None
            self.dataplane.stdout.close()
        self.plane.stop()

    def kubectl(self, *words: str, said: str = "", check: bool = True) -> str:
        """Run kubectl as the administrator; what it printed. Raises RuntimeError when it fails."""
        done = subprocess.run(
            [find("kubectl"), "--kubeconfig", str(self.kubeconfig), *words],
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            timeout=KUBECTL_SECONDS_MAX,
        )
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(words)}: {done.stdout}")
        return done.stdout

    def apply(self, *objects: Obj) -> None:
        """Apply objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--server-side", "-f", "-", said=json.dumps(listed))

    def scrape(self, targets: Mapping[str, str]) -> None:
        """Have Prometheus scrape these too: URLs of metrics by job."""
        fresh = self._targets.with_suffix(".new")
        fresh.write_text(json.dumps(targets))
        fresh.replace(self._targets)

    def define(self, *definitions: Obj) -> None:
        """Apply definitions of kinds, and wait until they are served. Raises TimeoutError."""
        self.apply(*definitions)
        end, pause = time.monotonic() + START_SECONDS_MAX, threading.Event()
        for definition in definitions:
            name = definition["metadata"]["name"]
            while not established(self.plane.ask("GET", f"{DEFINITIONS}/{name}")):
                if time.monotonic() > end:
                    raise TimeoutError(f"{name} is not established")
                pause.wait(0.1)

    def account(self, namespace: str, name: str = "flagger") -> Path:
        """A kubeconfig for a service account that is there."""
        return self.plane.kubeconfig(f"{namespace}-{name}", self.token(namespace, name))

    def token(self, namespace: str, name: str, *audiences: str, seconds: int = TOKEN_SECONDS) -> str:
        """A token of a service account, for the API server or for the audiences."""
        body = {"spec": {"expirationSeconds": seconds, "audiences": audiences or None}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        return str(self.plane.ask("POST", path, body)["status"]["token"])

    def install(self, overlay: str, namespace: str = "", account: str = "flagger") -> Path:
        """An account and its rules from our manifests, as its kubeconfig. The Deployment is left out.

        `namespace` takes the place of the overlay's own.
        """
        objects = [obj for obj in manifests(overlay) if obj["kind"] != "Deployment"]
        own = next(obj["metadata"]["namespace"] for obj in objects if obj["kind"] == "ServiceAccount")
        namespace = namespace or own
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self.apply(*(moved(obj, own, namespace) for obj in objects))
        return self.account(namespace, account)

    def operator(
        self, kubeconfig: Path, *flags: str, name: str = "operator", environ: Mapping[str, str] = {}
    ) -> Operator:
        """An operator, not yet started."""
        port = free_port()
        command = [sys.executable, "-m", "pyflagger.cli.main", "run", "-kubeconfig", str(kubeconfig)]
        words = ["-metrics-server", self.urls["metrics"], "-mesh-provider", "nginx", "-port", str(port)]
        proxies = {"http_proxy": self.urls["proxy"], "NO_PROXY": "127.0.0.1"}
        log = self.folder / f"{name}.log"
        argv = [*command, *words, "-log-level", "info", *flags]
        return Operator(name, argv, log, {**proxies, **environ}, url=f"http://127.0.0.1:{port}")


def established(definition: Obj) -> bool:
    """Whether the server says so; at first it may say null, which kubectl wait cannot read."""
    conditions = definition.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A stage while the block runs."""
    made = Stage(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@cache
def manifests(overlay: str) -> Sequence[Obj]:
    """What `kubectl apply -k kustomize/…` would apply."""
    command = [find("kubectl"), "kustomize", str(ROOT / "kustomize" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [obj for obj in yaml.safe_load_all(done.stdout) if obj]


def moved(obj: Obj, old: str, new: str) -> Obj:
    """The object for another namespace, the subjects that it names with it."""
    subjects = [s | {"namespace": new} if s.get("namespace") == old else s for s in obj.get("subjects", ())]
    meta = obj["metadata"]
    at = {"namespace": new} if meta.get("namespace") == old else {}
    return obj | {"metadata": meta | at} | ({"subjects": subjects} if subjects else {})


def first_line(process: subprocess.Popen[str], seconds: float = START_SECONDS_MAX) -> str:
    """What a child prints when it is ready; empty when it says nothing in time."""
    lines: list[str] = []
    stream = process.stdout
    assert stream is not None
    reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(seconds)
    return lines[0] if lines else ""


def main(argv: Sequence[str]) -> int:
    """Run a stage until told to stop."""
    reader = argparse.ArgumentParser()
    reader.add_argument("--json", action="store_true")
    reader.add_argument("--no-operator", action="store_true")
    reader.add_argument("--min-interval", default="10s")
    asked = reader.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="flagger-e2e-") as name, staged(Path(name)) as stage:
        urls = {"kubeconfig": str(stage.kubeconfig), "api": stage.plane.url, "folder": name}
        operator = stage.operator(stage.install("cluster"), "-min-interval", asked.min_interval)
        if not asked.no_operator:
            operator.start()
            urls["operator"] = operator.url
        print(json.dumps(urls | stage.urls), flush=True)
        try:
            signal.pause()
        finally:
            operator.stop()
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    raise SystemExit(main(sys.argv[1:]))
