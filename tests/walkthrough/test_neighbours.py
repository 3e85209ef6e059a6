"""Several sandboxes on one machine: each has addresses, ports and files of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from walkthrough.sandboxed import BIN, COMMAND, ROOT, Sandbox, children, fetch, sandbox

pytestmark = pytest.mark.real

VISITS = 40
APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: web
          image: ghcr.io/stefanprodan/podinfo:{tag}
          ports: [{{name: http, containerPort: 9898}}]
          readinessProbe: {{httpGet: {{path: /readyz, port: http}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: http}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web}}
spec:
  ingressClassName: nginx
  rules:
    - host: web.local
      http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}
"""


def serve(place: Sandbox, tag: str) -> None:
    """An app of this version on a sandbox, answering at its ingress."""
    place.kubectl("apply", "-f", "-", said=APP.format(tag=tag))
    place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    end = time.monotonic() + 20
    while version(place) != tag:
        assert time.monotonic() < end
        threading.Event().wait(0.1)


def version(place: Sandbox) -> str:
    """Who answers at its ingress."""
    request = urllib.request.Request(place.places["ingress"], headers={"Host": "web.local"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(json.load(answer)["version"])
    except OSError as error:
        return repr(error)


def addresses(place: Sandbox) -> set[str]:
    """Where its pods live."""
    return {pod["status"]["podIP"] for pod in place.object("pods")["items"]}


def test_two_at_once() -> None:
    """Both run the same app on the same port: each answers for itself, and the end of one is nothing to the other."""
    with sandbox("--no-operator") as one:
        serve(one, "6.0.0")
        with sandbox("--no-operator") as two:
            serve(two, "6.0.1")
            assert addresses(one).isdisjoint(addresses(two))
            assert {version(one) for _ in range(VISITS)} == {"6.0.0"}
            assert {version(two) for _ in range(VISITS)} == {"6.0.1"}
        assert {version(one) for _ in range(VISITS)} == {"6.0.0"}


def test_a_signal_while_it_starts(tmp_path: Path) -> None:
    """It ends in good order before it was ready, with no word of being ready, and leaves nothing."""
    config = tmp_path / "config"
    command = [*COMMAND, "--json", f"--kubeconfig={config}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    end = time.monotonic() + 30
    while not (started := children(process.pid)):  # Traefik is the last to come
        assert time.monotonic() < end and process.poll() is None
        threading.Event().wait(0.005)
    process.send_signal(signal.SIGTERM)
    said, complaint = process.communicate(timeout=30)
    assert (process.returncode, said, complaint) == (0, "", "")
    assert not config.exists()
    assert not [child for child in started if Path(f"/proc/{child}").exists()]


def test_somebodys_kubeconfig_is_kept(tmp_path: Path) -> None:
    """It would be lost: the sandbox does not start, and says so in one line."""
    config = tmp_path / "config"
    config.write_text("current-context: production\n")
    done = subprocess.run([*COMMAND, f"--kubeconfig={config}"], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith("flagger sandbox: ") and "choose another file" in done.stderr
    assert done.stderr.count("\n") == 1
    assert config.read_text() == "current-context: production\n"


def test_prometheus_that_is_none(tmp_path: Path) -> None:
    """A path that leads nowhere and a program that is none are told in one line each."""
    broken = tmp_path / "prometheus"
    broken.write_text("#!/bin/sh\necho 'unexpected argument' >&2\nexit 1\n")
    broken.chmod(0o755)
    text = tmp_path / "notes"
    text.write_text("not a program")
    for path, told in ((tmp_path / "nowhere", "nowhere"), (text, "is not an executable"), (broken, "unexpected arg")):
        done = subprocess.run([*COMMAND, f"--prometheus={path}"], capture_output=True, text=True, timeout=60, cwd=ROOT)
        assert done.returncode == 1
        assert told in done.stderr and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("there", [True, False])
def test_a_prometheus_on_path_is_used_when_asked(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `auto`; it finds what the pods and the ingress tell. Where there is none the embedded store does."""
    real = prometheus()
    if there and real is None:
        pytest.skip("no prometheus on this machine")
    monkeypatch.setenv("PATH", f"{real.parent}:{os.defpath}" if there and real else str(BIN))
    with sandbox("--no-operator", "--prometheus=auto") as place:
        commands = {Path(f"/proc/{child}/comm").read_text().strip() for child in children(place.process.pid)}
        assert ("prometheus" in commands) is there
        query = urllib.parse.urlencode({"query": 'traefik_config_last_reload_success{job="traefik"} > 0'})
        end = time.monotonic() + 30
        while not json.loads(fetch(f"{place.places['metrics']}/api/v1/query?{query}"))["data"]["result"]:
            assert time.monotonic() < end
            threading.Event().wait(0.2)


def prometheus() -> Path | None:
    """A real one: on PATH, or where the tests on a real control plane keep theirs."""
    kept = Path.home() / ".cache/pyflagger/e2e/debian/usr/bin/prometheus"
    found = shutil.which("prometheus") or (str(kept) if kept.exists() else None)
    return Path(found) if found else None


def test_a_demo_that_is_broken_off() -> None:
    """By Ctrl-C in the middle of a release: 130, no traceback, no process and no file left."""
    command = [sys.executable, "-m", "pyflagger.cli.main", "demo", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    for line in process.stdout:
        if json.loads(line).get("weight", 0) >= 10:
            break
    started = children(process.pid)
    assert started
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (130, "")
    assert not [child for child in started if Path(f"/proc/{child}").exists()]
