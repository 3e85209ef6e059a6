"""Names derived from a Canary, and the constants of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyflagger.api.canary import Canary
from pyflagger.objects import controller_of, part

GROUP = "flagger.app"
VERSION = "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"
FINALIZER = "finalizer.flagger.app"

OWNER = "flagger.app/canary"
"""Annotation with the `name.namespace` of the Canary that an object belongs to.

flagger writes it to cluster-scoped objects, which cannot have a namespaced owner. Users set it to let flagger manage an
existing object.
"""

TOOLKIT_ANNOTATIONS = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}
"""The annotation that makes Flux ignore a generated object."""

TOOLKIT_MARKER = "toolkit.fluxcd.io"
"""flagger never copies labels and annotations whose key contains this to a primary."""

_PROVIDER_ALIASES = {"gatewayapi": "gatewayapi:v1", "appmesh:v1beta1": "appmesh"}


def resolve_provider(name: str) -> str:
    """The current name of a provider. Historical names are mapped, other names are returned unchanged."""
    if name in _PROVIDER_ALIASES:
        return _PROVIDER_ALIASES[name]
    head, _, mesh = name.partition(":")
    if head == "smi" and mesh and not mesh.startswith("v1alpha"):
        return f"smi:v1alpha1:{mesh}"
    return name


def target(canary: Canary) -> str:
    """The name of the workload that users change."""
    return canary.spec.target_ref.name


def primary(canary: Canary) -> str:
    """The name of the primary workload, which serves users."""
    return f"{target(canary)}-primary"


def apex(canary: Canary) -> str:
    """The name of the Service that users call."""
    return (canary.spec.service.name if canary.spec.service else "") or target(canary)


def primary_service(canary: Canary) -> str:
    """The name of the Service that selects the primary's pods."""
    return f"{apex(canary)}-primary"


def canary_service(canary: Canary) -> str:
    """The name of the Service that selects the canary's pods."""
    return f"{apex(canary)}-canary"


def services(canary: Canary) -> tuple[str, str, str]:
    """The names of the Services of apex, primary and canary."""
    return apex(canary), primary_service(canary), canary_service(canary)


def primary_autoscaler(canary: Canary) -> str:
    """The name of the primary's autoscaler, or empty if the target has none."""
    ref = canary.spec.autoscaler_ref
    return f"{ref.name}-primary" if ref else ""


def ingress(canary: Canary) -> str:
    """The name of the user's Ingress. The default is the target's name."""
    return canary.spec.ingress_ref.name if canary.spec.ingress_ref else target(canary)


def is_knative(canary: Canary) -> bool:
    """Whether the target is a Knative Service."""
    ref = canary.spec.target_ref
    return ref.kind == "Service" and ref.api_version == "serving.knative.dev/v1"


def owner_reference(canary: Canary) -> dict[str, Any]:
    """The owner reference that makes the Canary the controller of a generated object: both are deleted together."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Canary",
        "name": canary.metadata.name,
        "uid": canary.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_canary(owner: Mapping[str, Any]) -> bool:
    """Whether an owner reference names a Canary of this API group. Other products have a kind Canary, too."""
    return owner.get("kind") == "Canary" and str(owner.get("apiVersion", "")).partition("/")[0] == GROUP


def is_owned(canary: Canary, obj: Mapping[str, Any]) -> bool:
    """Whether an object belongs to this Canary: by its controller or, without a controller, by the annotation `OWNER`.

    This compares the name, not the uid, so a Canary that was deleted and created again finds its own objects.
    """
    owner = controller_of(obj)
    if owner is None:
        return part(part(obj, "metadata"), "annotations").get(OWNER) == owner_mark(canary)
    return is_canary(owner) and owner.get("name") == canary.metadata.name


def is_bound(canary: Canary, obj: Mapping[str, Any]) -> bool:
    """Whether the garbage collector deletes the object with this Canary: its controller has the Canary's uid."""
    return (controller_of(obj) or {}).get("uid") == canary.metadata.uid


def owning_canary(obj: Mapping[str, Any]) -> str:
    """The name of the Canary that controls an object, or empty."""
    owner = controller_of(obj) or {}
    return str(owner.get("name", "")) if is_canary(owner) else ""


def owner_mark(canary: Canary) -> str:
    """The value of the annotation `OWNER`."""
    return f"{canary.metadata.name}.{canary.metadata.namespace}"


def other_owners(canary: Canary, obj: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The owner references of an object, without this Canary's."""
    found = obj["metadata"].get("ownerReferences") or ()
    return [owner for owner in found if not is_owned(canary, {"metadata": {"ownerReferences": [owner]}})]


PRIMARY_REVISION = "flagger.app/primary-revision"
"""The annotation of a Knative Service that names the Revision that is the primary."""


def primary_revision(service: Mapping[str, Any]) -> str:
    """The Revision of a Knative Service that is the primary, or empty if there is none yet."""
    return str((service["metadata"].get("annotations") or {}).get(PRIMARY_REVISION) or "")
