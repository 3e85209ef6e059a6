"""The part of an object's metadata that decisions need."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from pyflagger.api.base import Model, Strings


class Meta(Model):
    """The identity of an object. `deletion_timestamp` is set from the delete request until the object is gone."""

    name: str = Field(min_length=1)
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    deletion_timestamp: str | None = None
    finalizers: Annotated[tuple[str, ...], BeforeValidator(lambda v: () if v is None else v)] = ()
    annotations: Strings = Field(default_factory=dict)
    labels: Strings = Field(default_factory=dict)
