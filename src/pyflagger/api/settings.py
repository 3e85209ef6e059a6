"""The ConfigMap in which an operator publishes its settings, as writers and readers share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyflagger.objects import Obj, part

NAME = "flagger-operator"
LABELS = {"app.kubernetes.io/managed-by": "flagger", "flagger.app/settings": "operator"}
"""The labels of a ConfigMap that flagger wrote."""

SEPARATOR = ","


def is_ours(config_map: Obj) -> bool:
    """Whether flagger wrote it."""
    labels = part(part(config_map, "metadata"), "labels")
    return all(labels.get(name) == value for name, value in LABELS.items())


def list_of(words: Iterable[str]) -> str:
    """A list as one value."""
    return SEPARATOR.join(words)


def lines(features: Mapping[str, str]) -> str:
    """The features as one value: a line for each, with its state."""
    return "\n".join(f"{name}: {state}" for name, state in sorted(features.items()))


def features_of(text: str) -> dict[str, str]:
    """The states of the features, by name."""
    parts = (line.partition(": ") for line in text.splitlines())
    return {name: state for name, _, state in parts if name}
