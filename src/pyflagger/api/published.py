"""What the operator publishes in a Canary's status for people: the release, its last round, and the operator itself.

flagger never decides by these fields, except that a new release counts on from the last number. The CRD of Flagger
drops them, and releases go on as before. Dataclasses, because every canary holds some: a model takes five times as
much memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter

IMAGES_MAX = 4
CHECKS_MAX = 24
TEXT_MAX = 120


@dataclass(frozen=True, slots=True)
class ReleaseImage:
    """A container whose image a release changes."""

    container: str = ""
    old: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseStatus:
    """The last release of a canary. Its number counts up from 1. `promoted` is the release that the primary runs.

    `previous` is the one that it ran before, 0 if there is none. `images`: those that the release changes, four at
    most.
    """

    number: int = 0
    promoted: int = 0
    previous: int = 0
    images: tuple[ReleaseImage, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a metric check: `pass`, `bad`, `no-data`, `error` or `unknown`. `value`: None without one.

    `primary`: the primary's value of the same window, beside a built-in check that does not pass. `evidence`: that of
    a comparison; 34.0 means 34:1.
    """

    name: str = ""
    value: float | None = None
    verdict: str = ""
    text: str = ""
    primary: float | None = None
    evidence: float | None = None


@dataclass(frozen=True, slots=True)
class HookResult:
    """The result of a hook: `pass` or `refused`."""

    name: str = ""
    verdict: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class RoundStatus:
    """The last judged round: the weight and the iteration that it judged, and all results."""

    weight: int = 0
    iteration: int = 0
    checks: tuple[CheckResult, ...] = ()
    hooks: tuple[HookResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Bake:
    """The time after a promotion in which flagger judges the primary. `until`: in RFC 3339. `failed`: the number of
    failed checks in a row."""

    until: str = ""
    failed: int = 0


@dataclass(frozen=True, slots=True)
class OperatorStatus:
    """The operator that wrote the status. `settings`: the namespace in which it publishes its settings."""

    version: str = ""
    identity: str = ""
    provider: str = ""
    interval: str = ""
    settings: str = ""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Imported when used: completion of the command line has no time for it."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def read(kind: Any, value: Any) -> Any:
    """A stored value of a kind. Raises pydantic.ValidationError."""
    return _adapter(kind).validate_python(value)


def written(value: object) -> dict[str, Any]:
    """A value as JSON, without parts that are not set."""
    kind: Any = type(value)
    found: dict[str, Any] = _adapter(kind).dump_python(value, mode="json", by_alias=True, exclude_defaults=True)
    return found
