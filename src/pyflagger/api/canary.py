"""The Canary: the release that the user configures, and its status. Import the API's models from here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pyflagger.api.analysis import (
    AlertRule,
    Analysis,
    HookType,
    Match,
    Metric,
    SessionAffinity,
    StringMatch,
    ThresholdRange,
    Webhook,
)
from pyflagger.api.base import AutoscalerReference, Model, Named, ObjectReference, ReplicaBounds
from pyflagger.api.meta import Meta
from pyflagger.api.service import CustomMetadata, Service, ServicePort, UnmanagedMetadata
from pyflagger.api.status import CanaryStatus, Condition, Phase
from pyflagger.api.templates import AlertProvider, MetricTemplate

TemplateReference = Named

__all__ = [
    "AlertProvider",
    "AlertRule",
    "Analysis",
    "AutoscalerReference",
    "Canary",
    "CanarySpec",
    "CanaryStatus",
    "Condition",
    "CustomMetadata",
    "HookType",
    "Match",
    "Meta",
    "Metric",
    "MetricTemplate",
    "ObjectReference",
    "Phase",
    "ReplicaBounds",
    "Service",
    "ServicePort",
    "SessionAffinity",
    "StringMatch",
    "TemplateReference",
    "ThresholdRange",
    "UnmanagedMetadata",
    "Webhook",
]


def _status(value: Any) -> Any:
    return {} if value is None else value


def _grouped(value: Any) -> Any:
    """Accept `v1` as the group of a Deployment or DaemonSet, as Flagger does."""
    if isinstance(value, dict) and value.get("apiVersion") == "v1" and value.get("kind") in ("Deployment", "DaemonSet"):
        return {**value, "apiVersion": "apps/v1"}
    return value


class CanarySpec(Model):
    """`spec`. Empty or None means that the user did not set the field."""

    provider: str = ""
    metrics_server: str = ""
    target_ref: Annotated[ObjectReference, BeforeValidator(_grouped)]
    autoscaler_ref: AutoscalerReference | None = None
    ingress_ref: ObjectReference | None = None
    route_ref: ObjectReference | None = None
    upstream_ref: ObjectReference | None = None
    service: Service | None = None
    analysis: Analysis | None = None
    progress_deadline_seconds: int = 600
    skip_analysis: bool = False
    revert_on_deletion: bool = False
    suspend: bool = False


class Canary(Model):
    """A Canary object."""

    metadata: Meta
    spec: CanarySpec
    status: Annotated[CanaryStatus, BeforeValidator(_status)] = Field(default_factory=CanaryStatus)
