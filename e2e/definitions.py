"""The definitions of kinds that meshes and ingress controllers bring, from their own Go modules.

Called before the tests enter their network, which leads nowhere; Go keeps what it has fetched. Old definitions are
carried over to the version of the API that servers still take; what they allow stays what it was.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from e2e.parts import CONTOUR, NoPart
from pyflagger.objects import Obj


@dataclass(frozen=True)
class Source:
    """A module with its version, the file in it, and the kinds that are wanted (plural.group)."""

    module: str
    file: str
    kinds: tuple[str, ...]


KNATIVE = "knative.dev/serving@v0.51.0"
TRAEFIK = "github.com/traefik/traefik/v3@v3.7.13"
TRAEFIK_FILE = "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"
CONTOUR_MODULE = f"github.com/projectcontour/contour@{CONTOUR}"
CONTOUR_FILE = "examples/contour/01-crds.yaml"
GATEWAY_API = "sigs.k8s.io/gateway-api@v1.6.1"

SOURCES = (
    Source(
        TRAEFIK,
        TRAEFIK_FILE,
        ("traefikservices.traefik.io", "ingressroutes.traefik.io"),
    ),
    Source(
        "github.com/servicemeshinterface/smi-sdk-go@v0.4.1", "crds/split.yaml", ("trafficsplits.split.smi-spec.io",)
    ),
    Source(CONTOUR_MODULE, CONTOUR_FILE, ("httpproxies.projectcontour.io",)),
    Source(
        "github.com/aws/aws-app-mesh-controller-for-k8s@v0.5.0",
        "deploy/all.yaml",
        ("virtualnodes.appmesh.k8s.aws", "virtualservices.appmesh.k8s.aws"),
    ),
    Source(
        "github.com/kumahq/kuma@v1.8.1",
        "deployments/charts/kuma/crds/kuma.io_trafficroutes.yaml",
        ("trafficroutes.kuma.io",),
    ),
    Source(
        GATEWAY_API,
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
        ("httproutes.gateway.networking.k8s.io",),
    ),
    Source(
        "istio.io/api@v1.24.0",
        "kubernetes/customresourcedefinitions.gen.yaml",
        ("virtualservices.networking.istio.io", "destinationrules.networking.istio.io"),
    ),
    Source(
        "github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml", ("scaledobjects.keda.sh",)
    ),
    Source(KNATIVE, "config/core/300-resources/service.yaml", ("services.serving.knative.dev",)),
    Source(KNATIVE, "config/core/300-resources/revision.yaml", ("revisions.serving.knative.dev",)),
)


def definitions(wanted: Collection[str]) -> Iterator[Obj]:
    """The definitions of these kinds (plural.group), fit for a server of today. Raises NoPart."""
    for source in SOURCES:
        if not set(wanted).isdisjoint(source.kinds):
            yield from (modern(obj) for obj in _found(source) if obj["metadata"]["name"] in wanted)


@cache
def of_proxies() -> tuple[Obj, ...]:
    """Every kind that Traefik and Contour want to watch, the whole of the Gateway API with them. Raises NoPart."""
    standard = sorted((folder(GATEWAY_API) / "config" / "crd" / "standard").glob("*.yaml"))
    files = (folder(TRAEFIK) / TRAEFIK_FILE, folder(CONTOUR_MODULE) / CONTOUR_FILE, *standard)
    found = (obj for file in files for obj in documents(file))
    return tuple(modern(obj) for obj in found if obj and obj["kind"] == "CustomResourceDefinition")


@cache
def _found(source: Source) -> list[Obj]:
    file = folder(source.module) / source.file
    found = [obj for obj in documents(file) if obj and obj["metadata"]["name"] in source.kinds]
    if len(found) != len(source.kinds):
        raise NoPart(f"{source.module}: {source.file} has not all of {', '.join(source.kinds)}")
    return found


def documents(file: Path) -> Iterator[Any]:
    """What a file of YAML holds. Read by the C library where there is one: these files are megabytes."""
    yield from yaml.load_all(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def folder(module: str) -> Path:
    """Where Go has unpacked a module. Raises NoPart."""
    if not shutil.which("go"):
        raise NoPart(f"{module} is fetched with Go, which is not on PATH")
    done = subprocess.run(["go", "mod", "download", "-json", module], cwd="/", capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout or "{}")
    if done.returncode or "Dir" not in told:
        raise NoPart(f"go mod download {module}: {told.get('Error') or done.stderr}")
    return Path(told["Dir"])


def modern(obj: Obj) -> Obj:
    """A definition of v1beta1 as one of v1; those of v1 without what only their own server knows of."""
    spec: Obj = {key: value for key, value in obj["spec"].items() if key != "conversion"}
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": obj["kind"]}
    metadata = {key: obj["metadata"][key] for key in ("name", "annotations") if key in obj["metadata"]}
    if obj["apiVersion"].endswith("/v1beta1"):
        rules = typed(spec.pop("validation")["openAPIV3Schema"])
        status = {"subresources": spec.pop("subresources", None) or {"status": {}}}
        for name in ("version", "additionalPrinterColumns"):
            spec.pop(name, None)
        one = {"schema": {"openAPIV3Schema": rules}, **status}
        spec["versions"] = [{**version, **one} for version in spec["versions"]]
    return {**head, "metadata": metadata, "spec": spec}


def typed(schema: Obj) -> Obj:
    """With the type that goes without saying, and room for unknown fields: v1beta1 kept them unless told not to.

    A choice of one thing is that thing: in choices servers of today want no types.
    """
    made = dict(schema)
    match made.get("oneOf"):
        case [only]:
            made = {key: value for key, value in made.items() if key != "oneOf"} | only
    if "properties" in made:
        made = {"type": "object", **made, "properties": {k: typed(v) for k, v in made["properties"].items()}}
    if "items" in made:
        made = {"type": "array", **made, "items": typed(made["items"])}
    return made | ({"x-kubernetes-preserve-unknown-fields": True} if made.get("type", "object") == "object" else {})
