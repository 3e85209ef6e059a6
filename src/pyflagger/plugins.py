"""Parts that other packages bring as entry points: found by name, loaded when asked for, contained when broken.

Used by the registries of `routing`, `workloads` and `metrics`; knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pyflagger.api.facts import Fault, Problem

_TEXT_MAX = 500


@cache
def installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group, by their names. What is installed does not change while we run."""
    return {point.name: point for point in entry_points(group=group)}


@cache
def load(point: EntryPoint, what: str, make: Callable[[Any], Any]) -> Any:
    """What `make` makes of the object that an entry point names, or a Problem that names the plugin.

    `what` says for the text what the plugin was to be. Whatever the plugin's code raises is told, not passed on.
    """
    try:
        return make(point.load())
    except (Exception, SystemExit) as error:
        text = f"{what} {point.name} could not be loaded from {point.value}: {type(error).__name__}: {error}"
        return Problem(Fault.CLUSTER, text[:_TEXT_MAX], "Mend or reinstall the package that brings it.")
