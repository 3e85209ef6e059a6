"""Plugins: objects that other packages provide as entry points, loaded on first use and isolated when they fail.

The registries of `routing`, `workloads` and `metrics` use this module. An error that a plugin raises is reported under
the plugin's name. A plugin that hangs delays the event loop once, for at most 2 seconds. It is not called again until
that call returns, so other canaries continue.
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
_TODO = "Fix or reinstall the package that provides this plugin."


class PluginFailed(Exception):
    """A plugin raised an error or does not return. The problem names the plugin."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@cache
def installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group, by name. Cached, as packages are not installed while the process runs."""
    return {point.name: point for point in entry_points(group=group)}


@cache
def load(point: EntryPoint, what: str, make: Callable[[Any], Any]) -> Any:
    """The result of `make` for the object that an entry point names, or a Problem that names the plugin.

    `what` is the kind of plugin, for the text. Errors that the plugin's code raises become a Problem.
    """
    name = f"{what} {point.name} of {point.value}"
    try:
        return bounded(f"{name} failed to load", lambda: make(point.load()))
    except PluginFailed as failed:
        return failed.problem


def bounded(about: str, call: Callable[[], Any]) -> Any:
    """The result of a call. Raises PluginFailed, with a text that begins with `about`, on an error or timeout."""
    return _Call(call).result(about)


class Contained:
    """A proxy of a plugin's object. Its methods raise only PluginFailed, and each call has a time limit."""

    def __init__(self, part: Any, name: str) -> None:
        self._part, self._name = part, name
        self._stuck: _Call | None = None

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._part, attribute)
        return partial(self._call, attribute, value) if callable(value) else value

    def _call(self, attribute: str, method: Callable[..., Any], *args: Any, **more: Any) -> Any:
        about = f"{self._name}, {attribute}()"
        if self._stuck is not None and not self._stuck.done.is_set():
            raise _failed(about, "not called, because an earlier call has not returned")
        self._stuck = call = _Call(lambda: method(*args, **more))
        return call.result(about)


@dataclass(eq=False)
class _Call:
    """One call in a daemon thread, which does not keep the process alive if the call never returns."""

    call: Callable[[], Any]
    done: threading.Event = field(default_factory=threading.Event)
    value: Any = None
    error: BaseException | None = None

    def result(self, about: str) -> Any:
        threading.Thread(target=self._run, name=about, daemon=True).start()
        if not self.done.wait(PATIENCE_SECONDS):
            raise _failed(about, f"has not returned within {PATIENCE_SECONDS:g} s")
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
