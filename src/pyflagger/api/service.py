"""`spec.service`: the generated Services and routes, and the fields that are passed to a mesh unchanged."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from pyflagger.api.base import Model, Strings

PORT_MAX = 65535

Verbatim = dict[str, Any]
"""A field in the format of a mesh, passed to the router unchanged."""


def _tuple(value: Any) -> Any:
    return () if value is None else value


def _port(value: Any) -> Any:
    """Raise one error for a value that is neither a number nor a name, instead of pydantic's two."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or isinstance(value, str) or (number and 0 <= value <= PORT_MAX and value % 1 == 0):
        return value
    raise PydanticCustomError("port", "must be the number or the name of a port")


Port = Annotated[int | str, BeforeValidator(_port)]
Words = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Shapes = Annotated[tuple[Verbatim, ...], BeforeValidator(_tuple)]


class CustomMetadata(Model):
    """Labels and annotations for a generated Service."""

    labels: Strings = Field(default_factory=dict)
    annotations: Strings = Field(default_factory=dict)


class UnmanagedMetadata(Model):
    """Metadata keys that flagger does not change."""

    labels: Words = ()
    annotations: Words = ()


class Rewrite(Model):
    """URI and authority rewrite."""

    uri: str = ""
    authority: str = ""
    type: str = ""


class Retries(Model):
    """The retry policy of the mesh."""

    attempts: int = 0
    per_try_timeout: str = ""
    retry_on: str = ""


class GatewayRef(Model):
    """A parent reference of the generated HTTPRoute."""

    name: str = Field(min_length=1, max_length=253)
    group: str = "gateway.networking.k8s.io"
    kind: str = "Gateway"
    namespace: str | None = None
    section_name: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)


class ServicePort(Model):
    """An additional port, routed with the same weights. `target_port` None means the same number as `port`."""

    name: str = Field(min_length=1, max_length=63)
    port: int = Field(ge=1, le=65535)
    target_port: Port | None = None
    app_protocol: str = ""


class Service(Model):
    """`spec.service`. An empty `name` means the target's name. `target_port` None means the same number as `port`."""

    name: str = ""
    port: int = Field(ge=1, le=65535)
    port_name: str = "http"
    target_port: Port | None = None
    app_protocol: str = ""
    traffic_distribution: str = ""
    ports: Annotated[tuple[ServicePort, ...], BeforeValidator(_tuple)] = ()
    port_discovery: bool = False
    headless: bool = False
    timeout: str = ""
    backend_timeout: str = ""
    gateways: Words = ()
    gateway_refs: Annotated[tuple[GatewayRef, ...], BeforeValidator(_tuple)] = ()
    hosts: Words = ()
    delegation: bool = False
    traffic_policy: Verbatim | None = None
    match: Shapes = ()
    rewrite: Rewrite | None = None
    retries: Retries | None = None
    headers: Verbatim | None = None
    mirror: Shapes = ()
    cors_policy: Verbatim | None = None
    mesh_name: str = ""
    backends: Words = ()
    apex: CustomMetadata | None = None
    primary: CustomMetadata | None = None
    canary: CustomMetadata | None = None
    unmanaged_metadata: UnmanagedMetadata | None = None
