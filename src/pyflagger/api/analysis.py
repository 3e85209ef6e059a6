"""`spec.analysis`: the steps of a release and the checks that judge it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pyflagger.api import durations
from pyflagger.api.base import Model, Named, Strings

HOOK_TIMEOUT_SECONDS = 10.0


def _tuple(value: Any) -> Any:
    return () if value is None else value


NullableList = BeforeValidator(_tuple)


class HookType(StrEnum):
    """When flagger calls a webhook. An empty type means ROLLOUT."""

    ROLLOUT = "rollout"
    CONFIRM_ROLLOUT = "confirm-rollout"
    PRE_ROLLOUT = "pre-rollout"
    CONFIRM_TRAFFIC_INCREASE = "confirm-traffic-increase"
    CONFIRM_PROMOTION = "confirm-promotion"
    POST_ROLLOUT = "post-rollout"
    ROLLBACK = "rollback"
    EVENT = "event"


GATES = frozenset({HookType.CONFIRM_ROLLOUT, HookType.CONFIRM_TRAFFIC_INCREASE, HookType.CONFIRM_PROMOTION})
"""Webhooks whose refusal holds the release and does not count as a failed check."""


def _hook_type(value: Any) -> Any:
    return value or HookType.ROLLOUT


def _no_data(value: Any) -> Any:
    return value or "fail"


def _counting(value: Any) -> Any:
    return value or "cumulative"


def _severity(value: Any) -> Any:
    return value or "info"


class StringMatch(Model):
    """A condition on the value of a header. At most one field is set."""

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    regex: str | None = None


class Match(Model):
    """One alternative of an A/B condition. A request matches if all fields of one alternative match."""

    headers: Annotated[dict[str, StringMatch], BeforeValidator(lambda v: {} if v is None else v)] = Field(
        default_factory=dict
    )
    query_params: Annotated[dict[str, StringMatch], BeforeValidator(lambda v: {} if v is None else v)] = Field(
        default_factory=dict
    )
    source_labels: Strings = Field(default_factory=dict)


class ThresholdRange(Model):
    """The accepted range, bounds included. A missing bound is not checked."""

    min: float | None = None
    max: float | None = None


COMPARE_UNIT = COMPARE_WARM_UP = "30s"


class MetricComparison(Model):
    """`compare` of a metric: judge the canary by the primary's requests of the same time, not by a fixed limit.

    `margin`: how many times the primary's odds of a bad request are still accepted. `unit`: errors of one unit of time
    are one draw. `min_errors`: bad requests of the canary without which it is never rolled back. `warm_up`: how long
    after the first weight no request counts.
    """

    margin: float = Field(default=1.25, ge=1.0, le=100.0)
    unit: str = ""
    min_errors: int = Field(default=2, ge=0)
    warm_up: str = ""

    @property
    def unit_seconds(self) -> float:
        """The unit in seconds. Raises ValueError."""
        return durations.parse(self.unit or COMPARE_UNIT)

    @property
    def warm_up_seconds(self) -> float:
        """The warm-up in seconds. Raises ValueError."""
        return durations.parse(self.warm_up or COMPARE_WARM_UP)


class Comparisons(Model):
    """`compare` of an analysis: the highest probability that all compared metrics together roll a good version back."""

    alpha: float = Field(default=0.01, ge=1e-6, le=0.5)


class Baking(Model):
    """`bake`: judge the primary for `duration` after a promotion. `threshold` failed checks in a row undo it."""

    duration: str
    threshold: int = Field(default=3, ge=1)


class Metric(Model):
    """One metric check: a built-in metric, an inline query, a MetricTemplate, or several of these.

    The fields from `no_data` to `initial_delay` are its policy. Their defaults behave as Flagger, which does not have
    them, nor `compare`.
    """

    name: str = Field(min_length=1)
    interval: str = "1m"
    threshold_range: ThresholdRange | None = None
    threshold: float = 0.0
    query: str = ""
    template_ref: Named | None = None
    template_variables: Strings = Field(default_factory=dict)
    no_data: Annotated[Literal["fail", "wait", "pass"], BeforeValidator(_no_data)] = "fail"
    no_data_after: str = ""
    min_samples: int = Field(default=0, ge=0)
    samples_query: str = ""
    error_limit: int = Field(default=0, ge=0)
    dry_run: bool = False
    initial_delay: str = ""
    compare: MetricComparison | None = None


class AlertRule(Model):
    """The provider that receives alerts of a severity and above."""

    name: str = Field(min_length=1)
    severity: Annotated[Literal["info", "warn", "error"], BeforeValidator(_severity)] = "info"
    provider_ref: Named


GATE_URL = "flagger://gate"
"""The URL of a gate that only people open, by an action."""

DEADLINE, DEFAULT = "deadline", "default"
"""Entries of a gate's metadata: how long it may hold a revision, and what it does then."""

OPENS, ABORTS = "open", "abort"
DEFAULTS = (ABORTS, OPENS)
"""The defaults of a gate."""


class Webhook(Model):
    """One webhook."""

    type: Annotated[HookType, BeforeValidator(_hook_type)] = HookType.ROLLOUT
    name: str = Field(min_length=1)
    url: str = Field(min_length=1)
    mute_alert: bool = False
    timeout: str = ""
    metadata: Strings = Field(default_factory=dict)
    retries: int = Field(default=0, ge=0)
    disable_tls: bool = Field(default=False, alias="disableTLS")

    @property
    def asks_nobody(self) -> bool:
        """Whether only an action opens this gate."""
        return self.url == GATE_URL

    @property
    def deadline_seconds(self) -> float | None:
        """How long this gate may hold a revision. None without a deadline. Raises ValueError."""
        text = self.metadata.get(DEADLINE, "") if self.type in GATES else ""
        return durations.parse(text) if text else None

    @property
    def opens_at_deadline(self) -> bool:
        """Whether this gate opens at its deadline. Otherwise flagger then aborts the release."""
        return self.metadata.get(DEFAULT) == OPENS

    @property
    def timeout_seconds(self) -> float:
        """Seconds for each attempt."""
        return durations.parse(self.timeout) if self.timeout else HOOK_TIMEOUT_SECONDS


class SessionAffinity(Model):
    """The cookies that keep a visitor on one version during a weighted release."""

    cookie_name: str = Field(min_length=1)
    primary_cookie_name: str = ""
    max_age: int = 86400
    domain: str = ""
    path: str = ""
    http_only: bool = False
    secure: bool = False
    partitioned: bool = False
    same_site: Literal["", "Strict", "Lax", "None"] = ""


class Analysis(Model):
    """`spec.analysis`. Weights are in percent."""

    interval: str = ""
    threshold: int = 0
    counting: Annotated[Literal["cumulative", "consecutive"], BeforeValidator(_counting)] = "cumulative"
    iterations: int = 0
    max_weight: int = 0
    step_weight: int = 0
    step_weights: Annotated[tuple[int, ...], NullableList] = ()
    step_weight_promotion: int = 0
    mirror: bool = False
    mirror_weight: int = 0
    primary_ready_threshold: int = 100
    canary_ready_threshold: int = 100
    match: Annotated[tuple[Match, ...], NullableList] = ()
    testers: Annotated[tuple[Match, ...], NullableList] = ()
    metrics: Annotated[tuple[Metric, ...], NullableList] = ()
    alerts: Annotated[tuple[AlertRule, ...], NullableList] = ()
    webhooks: Annotated[tuple[Webhook, ...], NullableList] = ()
    session_affinity: SessionAffinity | None = None
    compare: Comparisons | None = None
    bake: Baking | None = None
