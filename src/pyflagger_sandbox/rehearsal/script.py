"""The script of a rehearsal: a document of kind Rehearsal, parsed, with every problem of it at once.

docs/how-to/rehearse.md explains the fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from pyflagger.api import durations
from pyflagger.api.base import Model
from pyflagger.api.facts import Problem
from pyflagger.api.parse import Invalid, parse
from pyflagger.objects import Obj

KIND = "Rehearsal"
LIMIT_SECONDS = 7200.0
_RATE, _SHARE = re.compile(r"([0-9]*\.?[0-9]+)/(s|m|h)"), re.compile(r"([0-9]*\.?[0-9]+)%")


def _seconds(value: Any) -> Any:
    """A duration as text, in seconds; 0 needs no unit."""
    if isinstance(value, str):
        return durations.parse(value)
    if value == 0 and not isinstance(value, bool):
        return 0.0
    raise ValueError("must be a duration such as 30s or 5m")


def _percent(value: Any) -> Any:
    """A share as text (`5%`), in percent."""
    found = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if found is None or float(found[1]) > 100:
        raise ValueError("must be a share such as 5%")
    return float(found[1])


def _rate(value: Any) -> Any:
    """Requests per second, from `50/s`, `300/m` or `20/h`."""
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a rate such as 50/s, 300/m or 20/h")
    return float(found[1]) / {"s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


def _several(value: Any) -> Any:
    """One item for a list of one."""
    return [value] if isinstance(value, dict) else value


def _text(value: Any) -> Any:
    """A version that YAML reads as a number."""
    return {str(name): each for name, each in value.items()} if isinstance(value, dict) else value


Seconds: TypeAlias = Annotated[float, BeforeValidator(_seconds)]
Reading: TypeAlias = float | Literal["none", "nan", "error"]
"""One answer: a number, no values, NaN, or an error of the provider."""


class Strict(Model):
    """A part of a script. An unknown field is an error."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Ramp(Strict):
    """From one value to another, in a straight line from `at` over a time; then the second one."""

    start: float = Field(alias="from")
    to: float
    over: Seconds = Field(gt=0)
    at: Seconds = 0.0


class Window(Strict):
    """A time during the release."""

    at: Seconds
    length: Seconds = Field(alias="for", gt=0)

    def holds(self, now: float) -> bool:
        """Whether a time is within it."""
        return self.at <= now < self.at + self.length


class Spike(Window):
    """Another value for a time."""

    to: Reading


def _series(value: Any) -> Any:
    """A plain value is a constant."""
    return value if isinstance(value, dict) else {"constant": value}


BASES = ("constant", "errors", "ramp", "points", "answers", "versions")


class Series(Strict):
    """What the queries of one metric are answered. One base, and what lies over it."""

    constant: Reading | None = None
    errors: Annotated[float, BeforeValidator(_percent)] | None = None
    ramp: Ramp | None = None
    points: dict[str, Reading] | None = None
    answers: tuple[Reading, ...] | None = Field(default=None, min_length=1)
    versions: Annotated[dict[str, AnySeries], BeforeValidator(_text)] | None = Field(default=None, min_length=1)
    spike: Annotated[tuple[Spike, ...], BeforeValidator(_several)] = ()
    gap: Annotated[tuple[Window, ...], BeforeValidator(_several)] = ()
    noise: float = Field(default=0.0, ge=0)
    primary: AnySeries | None = None
    samples: AnySeries | None = None

    @model_validator(mode="after")
    def one_base(self) -> Series:
        """Exactly one base, and points at durations."""
        given = [name for name in BASES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"must have exactly one of {', '.join(BASES)}; it has {', '.join(given) or 'none'}")
        for at in self.points or ():
            _seconds(at)
        return self


AnySeries: TypeAlias = Annotated[Series, BeforeValidator(_series)]
Series.model_rebuild()


def _hook(value: Any) -> Any:
    """`open` and `closed` are statuses, and so is a number; a list answers in order."""
    words = {"open": 200, "closed": 403}
    if isinstance(value, list):
        return {"answers": [words.get(each, each) if isinstance(each, str) else each for each in value]}
    if isinstance(value, str) and value not in words:
        raise ValueError("must be open, closed, a status, a list of these, or a mapping")
    return value if isinstance(value, dict) else {"answers": [words.get(value, value)]}


class Hook(Strict):
    """How a webhook answers: statuses in order, and the last one from then on; or a gate that opens and closes."""

    answers: tuple[Annotated[int, Field(ge=100, le=599)], ...] = Field(default=(200,), min_length=1)
    opens: Seconds | None = None
    closes: Seconds | None = None
    late: Seconds = 0.0


AnyHook: TypeAlias = Annotated[Hook, BeforeValidator(_hook)]


class When(Strict):
    """What must hold. All that is given."""

    phase: Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)] = ()
    weight: int | None = None
    iterations: int | None = None
    failed_checks: int | None = None
    event: str = ""
    hook: str = ""


class Change(Strict):
    """A merge patch of an object, named `Kind/name`."""

    object: str = Field(pattern=r"^\w+/.+$")
    merge: dict[str, Any]


class Step(Strict):
    """Something that happens: at a time, or when something holds, and then a while later."""

    at: Seconds | None = None
    when: When | None = None
    after: Seconds = 0.0
    release: str = ""
    container: str = ""
    patch: Change | None = None
    delete: str = Field(default="", pattern=r"^(\w+/.+)?$")
    apply: dict[str, Any] | None = None
    series: dict[str, AnySeries] = Field(default_factory=dict)
    hooks: dict[str, AnyHook] = Field(default_factory=dict)

    @model_validator(mode="after")
    def does_something(self) -> Step:
        """An action, and at most one condition."""
        if not (self.release or self.patch or self.delete or self.apply or self.series or self.hooks):
            raise ValueError("does nothing; give it release, patch, delete, apply, series or hooks")
        if self.at is not None and self.when is not None:
            raise ValueError("has both at and when; give it one of them")
        return self


class Bounds(Strict):
    """A number's limits, both inclusive."""

    at_least: float | None = None
    at_most: float | None = None


class Times(Strict):
    """A time's limits, both inclusive."""

    at_least: Seconds | None = None
    at_most: Seconds | None = None


def _exactly(value: Any) -> Any:
    exact = isinstance(value, int | float) and not isinstance(value, bool)
    return {"atLeast": value, "atMost": value} if exact else value


AnyBounds: TypeAlias = Annotated[Bounds, BeforeValidator(_exactly)]


class Expect(Strict):
    """What must be true of a canary at the end."""

    phase: str = ""
    weights: tuple[int, ...] | None = None
    checks: AnyBounds | None = None
    failed_checks: AnyBounds | None = None
    duration: Times | None = None
    events: tuple[str, ...] = ()
    no_events: tuple[str, ...] = ()
    harmed: AnyBounds | None = None


class Part(Strict):
    """What happens to one canary."""

    canary: str = ""
    steps: tuple[Step, ...] = Field(min_length=1)
    series: dict[str, AnySeries] = Field(default_factory=dict)
    recorded: str = ""
    hooks: dict[str, AnyHook] = Field(default_factory=dict)
    traffic: Annotated[float, BeforeValidator(_rate)] | None = None
    until: When | None = None
    settle: Seconds = 0.0
    expect: Expect | None = None

    @model_validator(mode="after")
    def harm_is_countable(self) -> Part:
        """Harmed visitors need a rate of requests."""
        if self.expect and self.expect.harmed and self.traffic is None:
            raise ValueError("expects harmed visitors without traffic; add traffic, such as 50/s")
        return self


class Pods(Strict):
    """The pretended pods: seconds until one is ready, and patterns of images that never are."""

    ready: Seconds = 1.0
    broken: tuple[str, ...] = ()


class Rehearsal(Strict):
    """One play: a cluster with the objects of the files, and what happens to its canaries."""

    kind: Literal["Rehearsal"]
    name: str = Field(min_length=1)
    files: tuple[str, ...] = ()
    operator: tuple[str, ...] = ()
    seed: int = 0
    limit: Seconds = Field(default=LIMIT_SECONDS, gt=0)
    pods: Pods = Field(default_factory=Pods)
    canaries: tuple[Part, ...] = Field(min_length=1)


SHARED = frozenset(to_camel(name) for name in Rehearsal.model_fields)


def parsed(doc: Mapping[str, Any]) -> Rehearsal:
    """A script. The fields of its only canary may stand beside its own. Raises pyflagger.api.parse.Invalid."""
    if "canaries" in doc:
        return _parsed(doc, "")
    own: Obj = {name: value for name, value in doc.items() if name in SHARED}
    alone: Obj = {name: value for name, value in doc.items() if name not in SHARED}
    return _parsed({**own, "canaries": [alone]}, "canaries[0].")


def _parsed(doc: Mapping[str, Any], prefix: str) -> Rehearsal:
    try:
        return parse(Rehearsal, doc, KIND)
    except Invalid as invalid:
        deepest = [each for each in invalid.problems if not _follows(each, invalid.problems)]
        raise Invalid(tuple(_worded(each, prefix) for each in deepest)) from None


def _follows(problem: Problem, all_of_them: tuple[Problem, ...]) -> bool:
    """Whether a list counts as empty only because of a problem in it."""
    inside = (f"{problem.path}[", f"{problem.path}.")
    return "should have at least 1 item" in problem.text and any(each.path.startswith(inside) for each in all_of_them)


def _worded(problem: Problem, prefix: str) -> Problem:
    text = problem.text.replace(" value error, ", " ")
    return replace(problem, text=text.removeprefix(prefix), path=problem.path.removeprefix(prefix), todo="")
