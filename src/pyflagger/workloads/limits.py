"""What an API server would refuse of what is made of a live target: what `-primary` makes too long."""

from __future__ import annotations

from pyflagger.api import shapes
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.selectors import SUFFIX


def primary_label(whose: str, label: str, value: str) -> Problem | None:
    """The label that tells the primary's pods from the target's: its value gets the suffix."""
    what = shapes.label_value(value + SUFFIX)
    if not what:
        return None
    path = f"spec.selector.matchLabels.{label}"
    text = f"{whose} {path}: with {SUFFIX}, as the primary's pods get it, {value!r} {what}"
    todo = (
        f"Shorten the label to {shapes.LABEL_MAX - len(SUFFIX)} characters, or select by another of -selector-labels."
    )
    return Problem(Fault.MANIFEST, text, todo, path)


def config_copy(kind: str, name: str) -> Problem | None:
    """The primary's copy of a ConfigMap or Secret: its name gets the suffix."""
    what = shapes.subdomain(name + SUFFIX)
    if not what:
        return None
    text = f"{kind.lower()} {name}: the name of the primary's copy, with {SUFFIX}, {what}"
    todo = f"Shorten the name to {shapes.SUBDOMAIN_MAX - len(SUFFIX)} characters."
    return Problem(Fault.MANIFEST, text, todo, "spec.targetRef")
