"""Manifests and charts rendered by kubectl and helm, and an embedded API server to create the objects on, strictly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pyflagger.api.crds import crds
from pyflagger.clock import LoopClock
from pyflagger.kube.protocol import ApiRequest
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess
from pyflagger_sandbox.network.ingress import find

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT / "charts"
OTHERS = ("monitoring.coreos.com", "kuma.io", "policy.linkerd.io", "networking.istio.io", "appmesh.k8s.aws")
"""Groups of kinds that neither Kubernetes nor we define."""

UNSERVED = "admissionregistration.k8s.io"
"""A group of Kubernetes that the embedded API server does not serve."""


def tool(name: str, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Run a tool of the environment; both its outputs are kept."""
    own = Path(sys.executable).parent / name
    command = str(own) if own.exists() else find(name)
    return subprocess.run([command, *words], input=said, capture_output=True, text=True, cwd=ROOT, timeout=60)


def kustomized(overlay: str) -> list[Obj]:
    """What `kubectl apply -k kustomize/OVERLAY` applies."""
    return [obj for obj in yaml.safe_load_all(_kustomized(overlay)) if obj]


@cache
def _kustomized(overlay: str) -> str:
    done = tool("kubectl", "kustomize", f"kustomize/{overlay}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def templated(
    chart: str, values: Mapping[str, Any] | None = None, name: str = "flagger", *, served: str = ""
) -> list[Obj]:
    """What `helm install NAME charts/CHART -n flagger-system` applies, but for crds/. `served`: a further kind."""
    done = helm(chart, values or {}, name, *(("--api-versions", served) if served else ()))
    assert done.returncode == 0, done.stderr
    return [obj for obj in yaml.safe_load_all(done.stdout) if obj]


def helm(chart: str, values: Mapping[str, Any], name: str = "flagger", *more: str) -> subprocess.CompletedProcess[str]:
    """`helm template` with values."""
    words = ("template", name, f"charts/{chart}", "-n", "flagger-system", "-f", "-", *more)
    return tool("helm", *words, said=json.dumps(values))


def one(objects: Sequence[Obj], kind: str, name: str = "") -> Obj:
    """The object of a kind, and of a name where there are several."""
    (found,) = [obj for obj in objects if obj["kind"] == kind and name in ("", obj["metadata"]["name"])]
    return found


def container(objects: Sequence[Obj], name: str = "") -> Obj:
    """The container of the Deployment."""
    (found,) = one(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


KUBECONFIG = os.environ.get("SHIPPING_KUBECONFIG", "")
"""Of a real API server that is to take what is rendered, without keeping it."""


class Cluster:
    """An embedded API server that takes objects strictly, or a real one."""

    def __init__(self) -> None:
        self._server = ApiServer(LoopClock())
        self._transport = InProcess(self._server, "kubectl")

    async def create(self, obj: Obj) -> None:
        """Create an object; what the server says against it fails the test."""
        resource = self._server.registry.of_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None, f"{obj['apiVersion']} {obj['kind']}"
        root = "/api/v1" if obj["apiVersion"] == "v1" else f"/apis/{obj['apiVersion']}"
        namespace = obj["metadata"].get("namespace", "default")
        within = f"/namespaces/{namespace}" if resource.namespaced else ""
        body = json.dumps(obj).encode()
        request = ApiRequest("POST", f"{root}{within}/{resource.plural}", {"fieldValidation": "Strict"}, body)
        answer = await self._transport.call(request)
        assert answer.status == 201, f"{obj['kind']} {obj['metadata']['name']}: {answer.body.decode()}"

    async def install(self, objects: Sequence[Obj], *namespaces: str) -> None:
        """Create the objects in order, the namespaces before them; kinds of others are left out."""
        objects = [obj for obj in objects if not obj["apiVersion"].startswith(OTHERS)]
        if KUBECONFIG:
            taken(objects, *namespaces)
            return
        objects = [obj for obj in objects if not obj["apiVersion"].startswith(UNSERVED)]
        there = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"}
        for name in {*namespaces} - there:
            await self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        first = [obj for obj in objects if obj["kind"] == "Namespace"]
        if any(obj["kind"] == "Canary" for obj in objects):
            first += crds()
        for obj in [*first, *(obj for obj in objects if obj["kind"] != "Namespace")]:
            await self.create(obj)


def taken(objects: Sequence[Obj], *namespaces: str) -> None:
    """A real API server takes the objects, strictly, and does all but keep them."""
    words = ("--kubeconfig", KUBECONFIG, "apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-")
    first = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces]
    for some, more in ((first, ()), (objects, ("--dry-run=server",))):
        done = tool("kubectl", *words, *more, said=json.dumps({"apiVersion": "v1", "kind": "List", "items": some}))
        assert done.returncode == 0, done.stderr
