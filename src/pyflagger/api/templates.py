"""MetricTemplate, the query of a metric check, and AlertProvider, the receiver of alerts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from pyflagger.api.base import Model, Named
from pyflagger.api.meta import Meta


class MetricProvider(Model):
    """The metric provider of a MetricTemplate. `secret_ref` names a Secret in the template's namespace."""

    type: str = Field(min_length=1)
    address: str = ""
    headers: Annotated[dict[str, tuple[str, ...]], BeforeValidator(lambda v: {} if v is None else v)] = Field(
        default_factory=dict
    )
    secret_ref: Named | None = None
    region: str = ""
    insecure_skip_verify: bool = False


class MetricTemplateSpec(Model):
    """A metric provider and the template of a query."""

    provider: MetricProvider
    query: str


class MetricTemplate(Model):
    """A MetricTemplate object."""

    metadata: Meta
    spec: MetricTemplateSpec


class AlertProviderSpec(Model):
    """A receiver of alerts. The keys `address` and `token` of `secret_ref` replace `address`."""

    type: str = Field(min_length=1)
    address: str = ""
    secret_ref: Named | None = None
    channel: str = "general"
    username: str = "flagger"
    proxy: str = ""
    template: str = ""


class AlertProvider(Model):
    """An AlertProvider object."""

    metadata: Meta
    spec: AlertProviderSpec
