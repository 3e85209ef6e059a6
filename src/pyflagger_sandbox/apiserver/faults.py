"""Fault injection: the faults of an API server, from a seed.

The server calls `strike` before it handles a request. Faults happen only when a test or a demo adds them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pyflagger.admission.errors import ApiError, conflict, expired, too_many_requests
from pyflagger.clock import Clock
from pyflagger_sandbox.apiserver.messages import Request

Match = Callable[[Request], bool]


class Broken(Exception):
    """The connection breaks without a response, or during a watch."""


def server_error() -> ApiError:
    """500, as from an API server that has lost its etcd."""
    return ApiError(500, "InternalError", "Internal error occurred: etcdserver: request timed out", {})


def busy(seconds: int = 1) -> ApiError:
    """429 with Retry-After."""
    return too_many_requests(seconds)


def modified(request: Request) -> ApiError:
    """409, as if another client had written first."""
    parts = request.path.strip("/").split("/")
    return conflict(parts[-2], "", parts[-1])


def too_old() -> ApiError:
    """410, as after a compaction of etcd."""
    return expired("too old resource version: injected fault")


def writes(request: Request) -> bool:
    """Whether a request changes an object."""
    return request.method in ("POST", "PUT", "PATCH", "DELETE")


@dataclass(slots=True)
class Rule:
    """Makes matching requests fail with the error of `error`, at most `times` times, each with `probability`."""

    error: Callable[[Request], Exception]
    match: Match = lambda request: True
    times: int = 1
    probability: float = 1.0


@dataclass(slots=True)
class Faults:
    """The faults to inject. `latency` is the delay in seconds before each response."""

    rules: list[Rule] = field(default_factory=list)
    latency: float = 0.0

    def fail(
        self,
        error: Callable[[Request], Exception],
        match: Match | None = None,
        *,
        times: int = 1,
        probability: float = 1.0,
    ) -> None:
        """Make matching requests fail: `faults.fail(lambda r: busy(2), writes, times=3)`."""
        self.rules.append(Rule(error, match or (lambda request: True), times, probability))

    async def strike(self, request: Request, clock: Clock) -> None:
        """Inject faults. The server calls it before it handles a request. Raises the injected error."""
        if self.latency:
            await clock.sleep(self.latency)
        for rule in self.rules:
            if (
                rule.times > 0
                and rule.match(request)
                and (rule.probability >= 1 or clock.jitter(1.0) < rule.probability)
            ):
                rule.times -= 1
                raise rule.error(request)
        self.rules = [rule for rule in self.rules if rule.times > 0]
