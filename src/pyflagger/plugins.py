"""Parts that other packages bring as entry points: found by name, loaded when asked for, contained when broken.

Used by the registries of `routing`, `workloads` and `metrics`; knows none of them. A plugin that raises is told as its
own fault. One that hangs is waited for once, for a moment, and not asked again before it has come back: our loop and
all canaries that do without it go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pyflagger.api.facts import Fault, Problem

PATIENCE_SECONDS = 2.0
_TEXT_MAX = 500
_TODO = "Mend or reinstall the package that brings it."


class PluginFailed(Exception):
    """A plugin raised, or does not come back; the problem names it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@cache
def installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group, by their names. What is installed does not change while we run."""
    return {point.name: point for point in entry_points(group=group)}


@cache
def load(point: EntryPoint, what: str, make: Callable[[Any], Any]) -> Any:
    """What `make` makes of the object that an entry point names, or a Problem that names the plugin.

    `what` says for the text what the plugin was to be. Whatever the plugin's code raises is told, not passed on.
    """
    name = f"{what} {point.name} of {point.value}"
    try:
        return bounded(f"{name} could not be loaded", lambda: make(point.load()))
    except PluginFailed as failed:
        return failed.problem


def bounded(about: str, call: Callable[[], Any]) -> Any:
    """What a call returns within our patience. Raises PluginFailed, its text beginning with `about`."""
    return _Call(call).result(about)


class Contained:
    """A plugin's object whose methods raise nothing but PluginFailed, and never keep us waiting for long."""

    def __init__(self, part: Any, name: str) -> None:
        self._part, self._name = part, name
        self._stuck: _Call | None = None

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._part, attribute)
        return partial(self._call, attribute, value) if callable(value) else value

    def _call(self, attribute: str, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        about = f"{self._name}, {attribute}()"
        if self._stuck is not None and not self._stuck.done.is_set():
            raise _failed(about, "is not asked, as an earlier call has not come back")
        self._stuck = call = _Call(lambda: method(*args, **more))
        return call.result(about)


@dataclass(eq=False)
class _Call:
    """One call in a thread of its own, which ends with us even if the call never does."""

    call: Callable[[], Any]
    done: threading.Event = field(default_factory=threading.Event)
    value: Any = None
    error: BaseException | None = None

    def result(self, about: str) -> Any:
        threading.Thread(target=self._run, name=about, daemon=True).start()
        if not self.done.wait(PATIENCE_SECONDS):
            raise _failed(about, f"has not come back for {PATIENCE_SECONDS:g} s")
        if self.error is not None:
            raise _failed(about, f"{type(self.error).__name__}: {self.error}") from self.error
        return self.value

    def _run(self) -> None:
        try:
            self.value = self.call()
        except BaseException as error:
            self.error = error
        self.done.set()


def _failed(about: str, why: str) -> PluginFailed:
    return PluginFailed(Problem(Fault.CLUSTER, f"{about}: {why}"[:_TEXT_MAX], _TODO))
