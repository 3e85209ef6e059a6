"""Names derived from a Canary, and the constants that the API spells out."""

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

flagger writes it to cluster-scoped objects, which cannot have a namespaced owner. Users hand objects over by it.
"""

TOOLKIT_ANNOTATIONS = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}
"""Tells Flux to leave a generated object alone."""

TOOLKIT_MARKER = "toolkit.fluxcd.io"
"""Labels and annotations whose key contains this are never copied to a primary."""

_PROVIDER_ALIASES = {"gatewayapi": "gatewayapi:v1", "appmesh:v1beta1": "appmesh"}


def resolve_provider(name: str) -> str:
    """A provider's current spelling; historical ones are mapped, the rest stays as it is."""
    if name in _PROVIDER_ALIASES:
        return _PROVIDER_ALIASES[name]
    head, _, mesh = name.partition(":")
    if head == "smi" and mesh and not mesh.startswith("v1alpha"):
        return f"smi:v1alpha1:{mesh}"
    return name


def target(canary: Canary) -> str:
    """The workload that users change."""
    return canary.spec.target_ref.name


def primary(canary: Canary) -> str:
    """The copy that serves them."""
    return f"{target(canary)}-primary"


def apex(canary: Canary) -> str:
    """The Service that users call."""
    return (canary.spec.service.name if canary.spec.service else "") or target(canary)


def primary_service(canary: Canary) -> str:
    """The Service of the primary's pods."""
    return f"{apex(canary)}-primary"


def canary_service(canary: Canary) -> str:
    """The Service of the canary's pods."""
    return f"{apex(canary)}-canary"


def services(canary: Canary) -> tuple[str, str, str]:
    """The Services of apex, primary and canary."""
    return apex(canary), primary_service(canary), canary_service(canary)


def primary_autoscaler(canary: Canary) -> str:
    """The autoscaler of the primary; empty when the target has none."""
    ref = canary.spec.autoscaler_ref
    return f"{ref.name}-primary" if ref else ""


def ingress(canary: Canary) -> str:
    """The Ingress that is shadowed; the target's name when none is given."""
    return canary.spec.ingress_ref.name if canary.spec.ingress_ref else target(canary)


def is_knative(canary: Canary) -> bool:
    """Whether the target is a Knative Service."""
    ref = canary.spec.target_ref
    return ref.kind == "Service" and ref.api_version == "serving.knative.dev/v1"


def owner_reference(canary: Canary) -> dict[str, Any]:
    """Makes a generated object the Canary's, so that it goes with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Canary",
        "name": canary.metadata.name,
        "uid": canary.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_canary(owner: Mapping[str, Any]) -> bool:
    """Whether an owner reference names a Canary of ours; other products have a kind of this name, too."""
    return owner.get("kind") == "Canary" and str(owner.get("apiVersion", "")).partition("/")[0] == GROUP


def is_owned(canary: Canary, obj: Mapping[str, Any]) -> bool:
    """Whether an object belongs to this Canary: by its controller or, without one, by the annotation `OWNER`.

    The name decides, not the uid: a Canary that was deleted and created again finds its own objects.
    """
    owner = controller_of(obj)
    if owner is None:
        return part(part(obj, "metadata"), "annotations").get(OWNER) == owner_mark(canary)
    return is_canary(owner) and owner.get("name") == canary.metadata.name


def is_bound(canary: Canary, obj: Mapping[str, Any]) -> bool:
    """Whether an object goes with the Canary as it is now: its controller has the Canary's uid."""
    return (controller_of(obj) or {}).get("uid") == canary.metadata.uid


def owning_canary(obj: Mapping[str, Any]) -> str:
    """The name of the Canary that controls an object; empty when none does."""
    owner = controller_of(obj) or {}
    return str(owner.get("name", "")) if is_canary(owner) else ""


def owner_mark(canary: Canary) -> str:
    """The value of the annotation `OWNER`."""
    return f"{canary.metadata.name}.{canary.metadata.namespace}"


def other_owners(canary: Canary, obj: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The owner references of an object without the one that makes it this Canary's."""
    found = obj["metadata"].get("ownerReferences") or ()
    return [owner for owner in found if not is_owned(canary, {"metadata": {"ownerReferences": [owner]}})]


PRIMARY_REVISION = "flagger.app/primary-revision"
"""On a Knative Service: the name of the Revision that is the primary."""


def primary_revision(service: Mapping[str, Any]) -> str:
    """The Revision of a Knative Service that is the primary; empty before there is one."""
    return str((service["metadata"].get("annotations") or {}).get(PRIMARY_REVISION) or "")
