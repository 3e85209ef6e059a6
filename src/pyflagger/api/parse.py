"""From raw objects to models: every problem of a manifest at once, each with its path and what to do.

Called by `operator.observe` for each Canary that changed, and by `flagger lint`. Whatever JSON comes in, the outcome is
a model or Invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pyflagger.api.base import Model
from pyflagger.api.canary import AlertProvider, Canary, CanaryStatus, Meta, MetricTemplate
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.validate import validate

__all__ = ["Invalid", "parse_alert_provider", "parse_canary", "parse_metric_template", "validate"]

Kind = TypeVar("Kind", bound=Model)
Part = TypeVar("Part", bound=Model | None)

PARTS_MAX = 128
_parts: dict[str, Model] = {}

_TEXTS = {
    "missing": "is required",
    "int_from_float": "must be a whole number",
    "extra_forbidden": "is not a field of this kind",
}


_BRIEF = Repr()  # looks at no more of a value than is shown, however big or deep it is
_BRIEF.maxstring = _BRIEF.maxother = 80


class Invalid(ValueError):
    """An object cannot be used; `problems` has all the reasons."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = problems


def parse_canary(obj: Mapping[str, Any]) -> Canary:
    """A Canary. Raises Invalid."""
    canary = _parse(Canary, obj, "Canary")
    held = {"analysis": _held_once(canary.spec.analysis), "service": _held_once(canary.spec.service)}
    return canary.model_copy(update={"spec": canary.spec.model_copy(update=held)})


def _held_once(part: Part) -> Part:
    """The part, or an equal one that is there already: a thousand Canaries of one template have one analysis."""
    if part is None:
        return part
    if len(_parts) >= PARTS_MAX:
        _parts.clear()
    known: Any = _parts.setdefault(repr(part), part)
    return known  # type: ignore[no-any-return]


def unchanged_spec(obj: Mapping[str, Any], before: Canary) -> Canary | None:
    """A Canary whose spec is that of an earlier state of it, as its generation says; None when it is not, or invalid.

    Metadata and status are read anew, the spec is not. Annotations must be the same, for some providers read them.
    """
    meta, then = obj["metadata"], before.metadata
    if not then.generation or (meta.get("generation"), meta.get("uid")) != (then.generation, then.uid):
        return None
    try:
        now, status = Meta.model_validate(meta), CanaryStatus.model_validate(obj.get("status") or {})
    except ValidationError:
        return None
    return (
        before.model_copy(update={"metadata": now, "status": status}) if now.annotations == then.annotations else None
    )


def parse_metric_template(obj: Mapping[str, Any]) -> MetricTemplate:
    """A MetricTemplate. Raises Invalid."""
    return _parse(MetricTemplate, obj, "MetricTemplate")


def parse_alert_provider(obj: Mapping[str, Any]) -> AlertProvider:
    """An AlertProvider. Raises Invalid."""
    return _parse(AlertProvider, obj, "AlertProvider")


def _parse(model: type[Kind], obj: Mapping[str, Any], kind: str) -> Kind:
    try:
        return model.model_validate(obj)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
    except RecursionError:
        problem = Problem(Fault.MANIFEST, f"the {kind} is nested too deeply to be read", "Simplify it.")
        raise Invalid((problem,)) from None
    problems = {problem.path: problem for problem in map(_problem, details)}
    raise Invalid(tuple(problems.values()))


def _problem(detail: ErrorDetails) -> Problem:
    path = _path(detail["loc"])
    what = _TEXTS.get(detail["type"]) or detail["msg"][:1].lower() + detail["msg"][1:]
    given = "" if detail["type"] == "missing" else f" (given: {_short(detail['input'])})"
    return Problem(Fault.MANIFEST, f"{path} {what}{given}", f"Correct {path} in the manifest and apply it again.", path)


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".") or "object"


def _short(value: Any) -> str:
    text = _BRIEF.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
