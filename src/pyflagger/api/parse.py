"""Parse raw objects into models. All problems of a manifest are reported at once, each with its path and advice.

`operator.observe` calls this for each Canary that changed, and `flagger lint` for files. Any JSON results in a model or
in Invalid.
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

__all__ = ["Invalid", "parse", "parse_alert_provider", "parse_canary", "parse_metric_template", "validate"]

Kind = TypeVar("Kind", bound=Model)
Part = TypeVar("Part", bound=Model | None)

PARTS_MAX = 128
_parts: dict[str, Model] = {}

_TEXTS = {
    "missing": "is required",
    "int_from_float": "must be a whole number",
    "extra_forbidden": "is not a field of this kind",
}


_BRIEF = Repr()  # formats only the part of a value that is shown, so large or deep values cost no more
_BRIEF.maxstring = _BRIEF.maxother = 80


class Invalid(ValueError):
    """The object is invalid. `problems` holds every reason."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = problems


def parse_canary(obj: Mapping[str, Any]) -> Canary:
    """A Canary. Raises Invalid."""
    canary = parse(Canary, obj, "Canary")
    held = {"analysis": _held_once(canary.spec.analysis), "service": _held_once(canary.spec.service)}
    return canary.model_copy(update={"spec": canary.spec.model_copy(update=held)})


def _held_once(part: Part) -> Part:
    """Return an equal part that is already in memory, if there is one: Canaries of one template share an analysis."""
    if part is None:
        return part
    if len(_parts) >= PARTS_MAX:
        _parts.clear()
    known: Any = _parts.setdefault(repr(part), part)
    return known  # type: ignore[no-any-return]


def unchanged_spec(obj: Mapping[str, Any], before: Canary) -> Canary | None:
    """The Canary, with the spec of its earlier state. None if the generation shows a new spec, or if it is invalid.

    This parses metadata and status only. Annotations must be unchanged, because some providers read them.
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
    return parse(MetricTemplate, obj, "MetricTemplate")


def parse_alert_provider(obj: Mapping[str, Any]) -> AlertProvider:
    """An AlertProvider. Raises Invalid."""
    return parse(AlertProvider, obj, "AlertProvider")


def parse(model: type[Kind], obj: Mapping[str, Any], kind: str) -> Kind:
    """An object as this model; `kind` names it in texts. Raises Invalid."""
    try:
        return model.model_validate(obj)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
    except RecursionError:
        problem = Problem(Fault.MANIFEST, f"the {kind} is nested too deeply to be parsed", "Reduce its nesting.")
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
