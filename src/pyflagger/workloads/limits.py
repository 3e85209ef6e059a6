"""Names and labels of the primary that `-primary` makes too long for the API server."""

from __future__ import annotations

from pyflagger.api import shapes
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.selectors import SUFFIX


def primary_label(whose: str, label: str, value: str) -> Problem | None:
    """A problem if the label that marks the primary's pods gets too long with the suffix."""
    what = shapes.label_value(value + SUFFIX)
    if not what:
        return None
    path = f"spec.selector.matchLabels.{label}"
    text = f"{whose} {path}: {value!r} with the primary's suffix {SUFFIX} {what}"
    todo = (
        f"Shorten the label to {shapes.LABEL_MAX - len(SUFFIX)} characters, or select by another of -selector-labels."
    )
    return Problem(Fault.MANIFEST, text, todo, path)


def config_copy(kind: str, name: str) -> Problem | None:
    """A problem if the name of a ConfigMap or Secret gets too long with the suffix of the primary's copy."""
    what = shapes.subdomain(name + SUFFIX)
    if not what:
        return None
    text = f"{kind.lower()} {name}: the name of the primary's copy, with the suffix {SUFFIX}, {what}"
    todo = f"Shorten the name to {shapes.SUBDOMAIN_MAX - len(SUFFIX)} characters."
    return Problem(Fault.MANIFEST, text, todo, "spec.targetRef")
