"""Plugins: objects that other packages provide as entry points, loaded on first use and isolated when they fail.

The registries of `routing`, `workloads`, `metrics` and `alerts` use this module. An error that a plugin raises is
reported under the plugin's name. The event loop waits for a call for at most 50 ms. After that, only the canary that
needs the answer waits. A plugin that hangs is not called again until that call returns.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from pyflagger.api.facts import Fault, Problem
from pyflagger.wire import HttpAnswer, HttpRequest

T = TypeVar("T")

GRACE_SECONDS = 0.05
"""How long a call may hold up the event loop."""

PATIENCE_SECONDS = 2.0
"""How long a call may take."""

WAITS_MAX = 24
"""The maximum number of slow calls in one attempt."""

_TEXT_MAX = 500
_TODO = "Fix or reinstall the package that provides this plugin."


class PluginFailed(Exception):
    """A plugin raised an error or does not return. The problem names the plugin."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class PluginBusy(PluginFailed):
    """A call has not returned yet. `retried` awaits it. Outside of `retried`, the plugin has failed."""

    def __init__(self, call: _Call) -> None:
        super().__init__(_problem(call.about, f"has not returned within {GRACE_SECONDS:g} s"))
        self.call = call


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
    return _Call(about, call).result(PATIENCE_SECONDS)


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of `attempt`, which starts again whenever a slow call that it needed has returned.

    The new attempt gets the late answer when it makes the same call with equal arguments. Raises PluginFailed if a call
    takes longer than PATIENCE_SECONDS, or after WAITS_MAX slow calls.
    """
    late: list[_Call] = []
    token = _LATE.set(late)
    try:
        for _ in range(WAITS_MAX):
            try:
                return await attempt()
            except PluginBusy as busy:
                slow = busy.call
            await slow.returned()
            late.append(slow)
        raise _failed(slow.about, f"takes longer than {GRACE_SECONDS:g} s on each call")
    finally:
        _LATE.reset(token)
        late.clear()


async def answered(call: Callable[[], T]) -> T:
    """The result of one call, as `retried`."""

    async def attempt() -> T:
        return call()

    return await retried(attempt)


class Caller:
    """Calls a plugin's code in a thread, one call at a time. Raises only PluginFailed and the errors in `passed`."""

    def __init__(self, name: str, passed: tuple[type[BaseException], ...] = ()) -> None:
        self._name, self._passed = name, passed
        self._last: _Call | None = None

    def call(self, method: str, function: Callable[..., T], *args: Any, **more: Any) -> T:
        """The result of `function`. In an event loop, raises PluginBusy if it takes longer than GRACE_SECONDS."""
        asked = (function, args, more)
        for late in _LATE.get():
            if late.asked == asked:
                return late.result(passed=self._passed)  # type: ignore[no-any-return]
        in_loop, about = _in_event_loop(), f"{self._name}, {method}()"
        if self._last is not None and not self._last.done:
            if in_loop:
                raise PluginBusy(self._last)
            raise _failed(about, "not called, because an earlier call has not returned")
        self._last = call = _Call(about, partial(function, *args, **more), asked)
        if in_loop and not call.wait(GRACE_SECONDS):
            raise PluginBusy(call)
        return call.result(PATIENCE_SECONDS, self._passed)  # type: ignore[no-any-return]


class Registry(Generic[T]):
    """The factories of one group by type: built-in ones, and those of plugins.

    `what` names them in texts, and `field` is the field that has the type. `contain` makes a plugin's factory call its
    code through a Caller, so that it runs beside the event loop. Its calls raise PluginFailed
    and the errors in `passed`: make them in `retried`.
    """

    def __init__(
        self,
        group: str,
        what: str,
        field: str,
        ours: Mapping[str, T],
        contain: Callable[[Any, Caller], T],
        passed: tuple[type[BaseException], ...],
    ) -> None:
        self._group, self._what, self._field = group, what, field
        self._ours, self._contain, self._passed = ours, contain, passed
        self._callers: dict[str, Caller] = {}

    def find(self, kind: str) -> T | Problem:
        """The factory for a type, or a Problem: the type is unknown, or its plugin fails to load."""
        if kind in self._ours:
            return self._ours[kind]
        plugin = installed(self._group).get(kind)
        if plugin is None:
            known = ", ".join(self.known_types())
            return Problem(Fault.MANIFEST, f"unknown {self._what} {kind}", f"Use one of: {known}.", self._field)
        found = load(plugin, self._what, _factory)
        return found if isinstance(found, Problem) else self._contain(found, self.caller(kind))

    def caller(self, kind: str) -> Caller:
        """The caller of a plugin. It is the same for every use, so that a plugin that hangs is not called again."""
        return self._callers.setdefault(kind, Caller(f"{self._what} {kind}", self._passed))

    def load_plugins(self) -> None:
        """Load all plugins of this group, so that no import blocks the event loop later."""
        for kind in installed(self._group):
            self.find(kind)

    def known_types(self) -> tuple[str, ...]:
        """Every type that a manifest may have."""
        return tuple(sorted({*self._ours, *installed(self._group)}))


def _factory(found: Any) -> Any:
    if not callable(found):
        raise TypeError("it is not a factory: it is not callable")
    return found


class Contained:
    """A proxy of a plugin's object. Its methods raise only PluginFailed, and each call has a time limit."""

    def __init__(self, part: Any, name: str) -> None:
        self._part, self._caller = part, Caller(name)

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._part, attribute)
        return partial(self._caller.call, attribute, value) if callable(value) else value


class PluggedExchange(Generator[HttpRequest, HttpAnswer, T]):
    """An exchange of a plugin's provider or notifier. Each step raises PluginBusy while the plugin computes."""

    def __init__(self, caller: Caller, method: str, begin: Callable[[], Generator[HttpRequest, HttpAnswer, T]]) -> None:
        self._caller, self._method = caller, method
        self._exchange = _begun(begin)

    def send(self, answer: HttpAnswer | None) -> HttpRequest:
        return self._caller.call(self._method, self._exchange.send, answer)

    def throw(self, *error: Any) -> HttpRequest:
        return self._caller.call(self._method, self._exchange.throw, *error)

    def close(self) -> None:
        """End the exchange, unless the plugin is still computing."""
        with suppress(PluginFailed):
            self._caller.call(self._method, self._exchange.close)


def _begun(begin: Callable[[], Generator[HttpRequest, HttpAnswer, T]]) -> Generator[HttpRequest, HttpAnswer, T]:
    return (yield from begin())


class _Call:
    """One call in a daemon thread, which does not keep the process alive if the call never returns.

    `asked` is the function with its arguments.
    """

    def __init__(self, about: str, call: Callable[[], Any], asked: tuple[Any, ...] = ()) -> None:
        self.about, self.asked = about, asked
        self._future: concurrent.futures.Future[tuple[Any, BaseException | None]] = concurrent.futures.Future()
        """What the call returned, and what it raised."""
        self._future.set_running_or_notify_cancel()
        threading.Thread(target=self._run, args=(call,), name=about, daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether the call has returned or raised."""
        return self._future.done()

    def wait(self, seconds: float) -> bool:
        """Block for at most `seconds`. Returns whether the call is done."""
        concurrent.futures.wait([self._future], seconds)
        return self.done

    async def returned(self) -> None:
        """Wait without blocking. Raises PluginFailed after PATIENCE_SECONDS."""
        await asyncio.wait([asyncio.wrap_future(self._future)], timeout=PATIENCE_SECONDS)
        if not self.done:
            raise self._late()

    def result(self, seconds: float = 0.0, passed: tuple[type[BaseException], ...] = ()) -> Any:
        """The result, after blocking for at most `seconds`. Raises PluginFailed and the errors in `passed`."""
        if not self.wait(seconds):
            raise self._late()
        value, error = self._future.result()
        if isinstance(error, passed):
            raise error
        if error is not None:
            raise _failed(self.about, f"{type(error).__name__}: {error}") from error
        return value

    def _late(self) -> PluginFailed:
        return _failed(self.about, f"has not returned within {PATIENCE_SECONDS:g} s")

    def _run(self, call: Callable[[], Any]) -> None:
        outcome: tuple[Any, BaseException | None]
        try:
            outcome = call(), None
        except BaseException as error:
            outcome = None, error
        self._future.set_result(outcome)


_LATE: ContextVar[list[_Call]] = ContextVar("late", default=[])  # noqa: B039 (the default is never changed)
"""The slow calls of an attempt that have returned."""


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _failed(about: str, why: str) -> PluginFailed:
    return PluginFailed(_problem(about, why))


def _problem(about: str, why: str) -> Problem:
    return Problem(Fault.CLUSTER, f"{about}: {why}"[:_TEXT_MAX], _TODO)
