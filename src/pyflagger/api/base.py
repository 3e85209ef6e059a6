"""The base class of all models of the API: frozen, camelCase in JSON, unknown fields ignored."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A frozen model. Attributes are snake_case and JSON names are camelCase. The parser accepts both."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", hide_input_in_errors=False
    )


def _no_null(value: Any) -> Any:
    return {} if value is None else value


Strings: TypeAlias = Annotated[dict[str, str], BeforeValidator(_no_null)]
Text: TypeAlias = str


def items() -> Any:
    """The default of a list field."""
    return Field(default=())


class Named(Model):
    """A reference by name. An empty namespace means the namespace of the object that holds the reference."""

    name: str = Field(min_length=1)
    namespace: str = ""


class ObjectReference(Model):
    """A typed reference within the Canary's namespace."""

    api_version: str = Field(min_length=1)
    kind: str = Field(min_length=1)
    name: str = Field(min_length=1)
    namespace: str = ""


class ReplicaBounds(Model):
    """Overrides of an autoscaler's bounds."""

    min_replicas: int | None = Field(default=None, ge=1)
    max_replicas: int | None = Field(default=None, ge=1)


class AutoscalerReference(ObjectReference):
    """The target's autoscaler, with overrides for the primary's autoscaler."""

    primary_scaler_queries: Strings = Field(default_factory=dict)
    primary_scaler_replicas: ReplicaBounds | None = None
