"""Runs tasks, up to a limit of concurrent ones, and records their results.

Called by the HTTP handlers. Background tasks are keyed by canary and command, so that a webhook that repeats every
interval does not stack load generators. A failing task does not affect the service.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pyflagger.clock import Clock
from pyflagger.wire import Http

from . import processes, remote
from .processes import Outcome
from .tasks import Task

_REMEMBERED = 100
_SHOWN_COMMAND = 500
_SHOWN_OUTPUT = 4096
Key = tuple[str, str]


class Busy(Exception):
    """The limit of concurrent commands is reached."""


class Log(Protocol):
    """The part of a structured logger that is used here."""

    def info(self, event: str, **fields: Any) -> None: ...

    def error(self, event: str, **fields: Any) -> None: ...


@dataclass(slots=True)
class Run:
    """A run of a task. Times in seconds since the epoch; `ended` is 0 while it runs."""

    task: Task
    started: float
    ended: float = 0.0
    result: str = "running"
    error: str = ""

    def show(self) -> dict[str, str | float]:
        """The run as JSON, for `/tasks`."""
        return {
            "canary": self.task.canary,
            "type": self.task.kind,
            "command": self.task.command[:_SHOWN_COMMAND],
            "result": self.result,
            "error": self.error,
            "started": self.started,
            "ended": self.ended,
        }


class Figures:
    """The runner's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ended = Counter("loadtester_tasks", "Tasks that ended", ["type", "result"], registry=registry)
        self.skipped = Counter(
            "loadtester_tasks_skipped", "Tasks skipped as already running", ["type"], registry=registry
        )
        self.running = Gauge("loadtester_tasks_running", "Tasks that are running", ["type"], registry=registry)
        self.seconds = Histogram(
            "loadtester_task_duration_seconds",
            "Duration of tasks in seconds",
            ["type"],
            buckets=(0.1, 1, 10, 60, 300, 1800),
            registry=registry,
        )


class Runner:
    """Runs commands in an environment, and tests on other servers by `http`.

    Each runs for at most `timeout` seconds, at most `max_tasks` concurrently.
    """

    def __init__(
        self,
        clock: Clock,
        log: Log,
        registry: CollectorRegistry,
        environment: Mapping[str, str],
        http: Http,
        *,
        timeout: float,
        max_tasks: int,
        max_output: int,
    ) -> None:
        self._clock = clock
        self._log = log
        self._figures = Figures(registry)
        self._environment, self._http = environment, http
        self._timeout = timeout
        self._max_tasks = max_tasks
        self._max_output = max_output
        self._live: list[Run] = []
        self._past: deque[Run] = deque(maxlen=_REMEMBERED)
        self._background: dict[Key, asyncio.Task[None]] = {}
        self._failed: dict[Key, str] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self, task: Task) -> str:
        """Run a task in the background, unless this command of this canary is already running.

        Returns the error of the last run if it failed and the task reports failures, else "". Raises Busy.
        """
        key = (task.canary, task.command)
        failure = self._failed.pop(key, "") if task.report_failure else ""
        if key in self._background:
            self._figures.skipped.labels(task.kind).inc()
            self._log.info(f"command skipped {task.command} is already running", canary=task.canary)
            return failure
        self._admit()
        self._background[key] = asyncio.create_task(self._forget(key, task))
        return failure

    async def wait(self, task: Task) -> Outcome:
        """Run a task and return its outcome. When cancelled, stops the command. Raises Busy."""
        self._admit()
        return await self._run(task)

    def status(self) -> dict[str, list[dict[str, str | float]]]:
        """Running tasks, and the last ended tasks, newest first."""
        return {"running": [one.show() for one in self._live], "ended": [one.show() for one in reversed(self._past)]}

    async def stop(self) -> None:
        """Stop every background task and its processes."""
        tasks = list(self._background.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def idle(self) -> None:
        """Wait until no process of a task is left."""
        await self._idle.wait()

    def _admit(self) -> None:
        blocking = sum(one.task.blocking for one in self._live)
        if blocking + len(self._background) >= self._max_tasks:
            raise Busy

    async def _forget(self, key: Key, task: Task) -> None:
        try:
            outcome = await self._run(task)
            if task.report_failure and outcome.error:
                self._failed[key] = outcome.error
                while len(self._failed) > _REMEMBERED:
                    self._failed.pop(next(iter(self._failed)))
        finally:
            del self._background[key]

    async def _run(self, task: Task) -> Outcome:
        one = Run(task, self._clock.now())
        self._live.append(one)
        self._idle.clear()
        running = self._figures.running.labels(task.kind)
        running.inc()
        try:
            outcome = await self._outcome(task)
            one.result, one.error = outcome.result, outcome.error
            return self._logged(task, outcome)
        except BaseException as error:
            one.result, one.error = "cancelled", type(error).__name__
            raise
        finally:
            running.dec()
            one.ended = self._clock.now()
            self._live.remove(one)
            if not self._live:
                self._idle.set()
            self._past.append(one)
            self._figures.ended.labels(task.kind, one.result).inc()
            self._figures.seconds.labels(task.kind).observe(one.ended - one.started)

    async def _outcome(self, task: Task) -> Outcome:
        if isinstance(task.work, remote.Remote):
            say = partial(self._log.info, canary=task.canary)
            return await remote.run(task.work, self._http, self._clock, timeout=self._timeout, say=say)
        return await processes.run(
            task.work,
            environment=self._environment,
            timeout=self._timeout,
            max_output=self._max_output,
            clock=self._clock,
        )

    def _logged(self, task: Task, outcome: Outcome) -> Outcome:
        output = outcome.output[-_SHOWN_OUTPUT:]
        if outcome.error:
            self._log.error(f"command failed {task.command}", canary=task.canary, error=outcome.error, output=output)
        elif task.log_output:
            self._log.info(f"command finished {task.command}", canary=task.canary, output=output)
        else:
            self._log.info(f"command finished {task.command}", canary=task.canary)
        return outcome
