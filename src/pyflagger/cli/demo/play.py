"""Plays a scenario on a sandbox: applies its objects, sends traffic, releases, and counts answers.

The command passes a view, which displays each record. A record is what `--json` prints: `t` (seconds since the start),
`kind`, and the fields of that kind.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyflagger.api.analysis import GATES, Analysis
from pyflagger.api.canary import Canary, CanaryStatus, HookType, Phase
from pyflagger.cli.demo.scenario import Press, Release, Scenario
from pyflagger.cli.demo.visitors import Crowd, Tally
from pyflagger.cli.stage import Staged
from pyflagger.clock import Clock
from pyflagger.core.decision import Decision
from pyflagger.core.situation import CallHook, CheckMetric, Need, NoData, QueryFailed, Refused, Result, Value
from pyflagger.core.verdict import UNITS, accepted
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.client import Client, NotFound
from pyflagger.kube.resources import CANARIES, DEPLOYMENTS, EVENTS, learn
from pyflagger.objects import Key, Obj, Patch, Ref, Resource, merge_apply, ref_of
from pyflagger.operator.spectator import Spectator
from pyflagger.wire import HttpFailure, HttpRequest

LEAVES_SECONDS_MAX = 10.0
READY_SECONDS_MAX = 60.0
RELEASE_SECONDS_MAX = 150.0
PRESS_AFTER_SECONDS = 3.0
TRAFFIC_SECONDS = 1.0
FAILED_ONE_IN = 100
"""A good release may fail one in this many requests, which a loaded machine can cause. More are a bug."""
LOOK_SECONDS = 0.05
REASON_SECONDS = 0.4
RELEASE = "Release"
"""Reason code of the event about a new revision; the event has a `revision`."""

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)

Show = Callable[[dict[str, Any]], None]


class Stuck(RuntimeError):
    """The scenario does not progress. The text says what it waits for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a release ended."""

    release: Release
    phase: Phase
    seconds: float
    weights: tuple[int, ...]
    tally: Tally
    missing: tuple[str, ...] = ()
    """Expected objects that are missing at the end."""

    @property
    def right(self) -> bool:
        """Whether the phase is the expected one, sticky visitors stayed, and a good release served its visitors."""
        count = self.tally.all
        spoilt = self.release.outcome is Phase.SUCCEEDED and count.failed * FAILED_ONE_IN > count.total
        return self.phase is self.release.outcome and not (self.missing or count.strayed or spoilt)

    def document(self) -> dict[str, Any]:
        """The outcome as JSON, for the summary."""
        shares = [
            {"weight": weight, "requests": count.total, "percent": count.share}
            for weight, count in sorted(self.tally.weights.items())
            if weight in self.weights
        ]
        groups = {name: {**count.document(), "strayed": count.strayed} for name, count in self.tally.groups.items()}
        return {
            "revision": self.release.revision,
            "outcome": self.phase.value,
            "expected": self.release.outcome.value,
            "seconds": round(self.seconds, 1),
            "weights": list(self.weights),
            "requests": self.tally.all.document(),
            "shares": shares,
            "visitors": groups,
            "missing": list(self.missing),
        }


class Player(Spectator):
    """One run of a scenario. It is the operator's spectator, so create it before the operator; then call `play`."""

    def __init__(self, scenario: Scenario, clock: Clock, show: Show) -> None:
        self._scenario, self._clock, self._show = scenario, clock, show
        self._began = clock.monotonic()
        self._status: Obj = {}
        self._reason, self._pending_reason, self._pending_since = "", "", 0.0
        self._weights: list[int] = []

    # Observing --------------------------------------------------------------------------------------------------------

    def asked(self, canary: Canary, need: Need, result: Result) -> None:
        """A check was made: show its value and limit."""
        if isinstance(need, CheckMetric):
            self._tell("check", **_metric(canary, need, result))
        elif isinstance(need, CallHook):
            hook = (canary.spec.analysis or Analysis()).webhooks[need.index]
            text = result.text if isinstance(result, Refused) else ""
            closed = isinstance(result, Refused) and not result.erred and hook.type in {*GATES, HookType.ROLLBACK}
            self._tell("check", name=hook.name, hook=hook.type.value, passed=not text, text=text, closed=closed)

    def decided(self, key: Key, decision: Decision) -> None:
        """Handle a decision. If it has no actions, its last reason is why the release waits.

        The reason is shown only after a moment without change, because the matching status may still be in flight.
        """
        if decision.actions or decision.needs:
            return
        reason = decision.reasons[-1].text if decision.reasons else ""
        if reason != self._pending_reason:
            self._pending_reason, self._pending_since = reason, self._clock.monotonic()

    async def _wait_with_it(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            stood = self._clock.monotonic() - self._pending_since
            if self._pending_reason != self._reason and stood >= REASON_SECONDS:
                self._reason = self._pending_reason
                self._tell_status()

    def changed(self, change: ObjectChange) -> None:
        """Handle a change of a watched object."""
        obj = change.new
        if obj is None:
            return
        if change.resource == CANARIES:
            self._canary(obj.get("status") or {})
        elif change.resource != EVENTS:
            self._field(change)
        elif obj["involvedObject"]["kind"] == "Canary":
            self._tell("event", type=obj["type"], reason=obj["reason"], message=obj["message"])

    def _field(self, change: ObjectChange) -> None:
        for shown in self._scenario.shows:
            if shown.ref == change.ref:
                before, now = (_at(obj, shown.field) for obj in (change.old, change.new))
                if before != now:
                    self._tell("event", type="Normal", reason="Demo", message=shown.told(now))

    def _canary(self, status: Obj) -> None:
        seen = ("phase", "canaryWeight", "iterations", "failedChecks")
        before, self._status = self._status, status
        if [status.get(key) for key in seen] == [before.get(key) for key in seen]:
            return
        weight = status.get("canaryWeight", 0)
        if weight and (not self._weights or self._weights[-1] != weight):
            self._weights.append(weight)
        self._reason, self._pending_since = "", self._clock.monotonic()
        self._tell_status()

    def _tell_status(self) -> None:
        status = self._status
        self._tell(
            "status",
            phase=status.get("phase", ""),
            weight=status.get("canaryWeight", 0),
            iterations=status.get("iterations", 0),
            failed=status.get("failedChecks", 0),
            reason=self._reason,
        )

    def _tell(self, kind: str, **data: Any) -> None:
        self._show({"t": round(self._clock.monotonic() - self._began, 2), "kind": kind, **data})

    # Acting -----------------------------------------------------------------------------------------------------------

    async def play(self, stage: Staged) -> list[Outcome]:
        """Play the scenario to its end. Raises Stuck."""
        client = Client(stage.cluster.transport("demo"), self._clock)
        cache = Cache(client, self._clock)
        cache.subscribe(self.changed)
        learn(_served(stage, ref) for ref in map(ref_of, self._scenario.objects) if ref.kind != "Namespace")
        for resource in {CANARIES, EVENTS, *(_served(stage, shown.ref) for shown in self._scenario.shows)}:
            await cache.wait(resource)
        for obj in (*self._scenario.objects, self._scenario.canary):
            await client.create(obj, NAMESPACES if obj["kind"] == "Namespace" else None)
        await self._until({Phase.INITIALIZED}, READY_SECONDS_MAX)
        await self._open(stage)
        story, url = self._scenario, stage.cluster.ingress
        crowd = Crowd(url, story.host, story.target, story.visitors, self._clock, self.weight)
        beside = (crowd.run(), self._report(crowd), self._wait_with_it())
        visiting = [asyncio.ensure_future(each) for each in beside]
        try:
            return [await self._release(stage, client, crowd, release) for release in story.releases]
        finally:
            for task in visiting:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*visiting)
            await cache.stop()

    async def _open(self, stage: Staged) -> None:
        """Wait until the ingress and the load tester answer. Raises Stuck."""
        end = self._clock.monotonic() + READY_SECONDS_MAX
        visit = HttpRequest("GET", f"{stage.cluster.ingress}/", (("Host", self._scenario.host),))
        hook = HttpRequest("GET", f"http://flagger-loadtester.{self._scenario.namespace}/healthz")
        for request in (visit, hook):
            while not await _answers(stage, request):
                if self._clock.monotonic() > end:
                    raise Stuck(f"no answer from {request.url} after {READY_SECONDS_MAX:g} s")
                await self._clock.sleep(LOOK_SECONDS)

    async def _release(self, stage: Staged, client: Client, crowd: Crowd, release: Release) -> Outcome:
        began, self._weights, tally = self._clock.monotonic(), [], crowd.count()
        self._tell(
            "event",
            type="Normal",
            reason=RELEASE,
            message=release.about,
            revision=release.revision,
            expected=release.outcome.value,
        )
        await client.patch(self._image(release))
        helpers = asyncio.ensure_future(self._press_all(stage, release.presses))
        try:
            await self._until(set(Phase) - {Phase.SUCCEEDED, Phase.FAILED, Phase.INITIALIZED}, READY_SECONDS_MAX)
            phase = await self._until({Phase.SUCCEEDED, Phase.FAILED}, RELEASE_SECONDS_MAX)
        finally:
            helpers.cancel()
        seconds = self._clock.monotonic() - began
        # Wait for the answers to the last requests.
        await self._clock.sleep(TRAFFIC_SECONDS)
        crowd.done(tally)
        await crowd.finish()
        return Outcome(
            release, phase, seconds, tuple(self._weights), tally, await self._missing(stage, client, release)
        )

    async def _missing(self, stage: Staged, client: Client, release: Release) -> tuple[str, ...]:
        """Objects that differ from the scenario's expectation. Waits, as the canary's pods end after the release."""
        end = self._clock.monotonic() + LEAVES_SECONDS_MAX
        while True:
            missing = [str(ref_of(part)) for part in release.leaves if not await self._holds(stage, client, part)]
            if not missing or self._clock.monotonic() > end:
                return tuple(missing)
            await self._clock.sleep(LOOK_SECONDS)

    async def _holds(self, stage: Staged, client: Client, part: Obj) -> bool:
        """Whether an object exists and contains this partial object."""
        ref = ref_of(part)
        try:
            live = await client.get(_served(stage, ref), ref.namespace, ref.name)
        except NotFound:
            return False
        return bool(merge_apply(live, part) == live)

    def _image(self, release: Release) -> Patch:
        """Set the image as `kubectl set image` does, by a merge patch of the whole list of containers."""
        scenario = self._scenario
        template = scenario.deployment["spec"]["template"]
        containers = [{**entry, "image": release.image} for entry in template["spec"]["containers"]]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        return Patch(DEPLOYMENTS.ref(scenario.namespace, scenario.target), body)

    async def _press_all(self, stage: Staged, presses: Iterable[Press]) -> None:
        for press in presses:
            while self._phase() is not press.phase or self.weight() < press.weight:
                await self._clock.sleep(LOOK_SECONDS)
            await self._clock.sleep(PRESS_AFTER_SECONDS)
            self._tell("event", type="Normal", reason="Demo", message=press.about)
            payload = {"name": self._scenario.canary["metadata"]["name"], "namespace": self._scenario.namespace}
            url = f"http://flagger-loadtester.{self._scenario.namespace}{press.path}"
            await stage.http.send(HttpRequest("POST", url, (), json.dumps(payload).encode()))

    async def _until(self, phases: set[Phase], seconds: float) -> Phase:
        end = self._clock.monotonic() + seconds
        while self._phase() not in phases:
            if self._clock.monotonic() > end:
                wanted = " or ".join(sorted(phase.value for phase in phases))
                raise Stuck(
                    f"not {wanted} after {seconds:g} s; the release is {self._phase().value}: {self._pending_reason}"
                )
            await self._clock.sleep(LOOK_SECONDS)
        return self._phase()

    async def _report(self, crowd: Crowd) -> None:
        while True:
            tally = crowd.count()
            await self._clock.sleep(TRAFFIC_SECONDS)
            crowd.done(tally)
            count = tally.all
            groups = {name: each.share for name, each in tally.groups.items()}
            self._tell("traffic", weight=self.weight(), **count.document(), share=count.share, visitors=groups)

    def _phase(self) -> Phase:
        return Phase(self._status.get("phase", ""))

    def weight(self) -> int:
        """The canary's weight in percent. A rollback moves traffic before the status says so."""
        status = CanaryStatus.model_validate(self._status)
        return 0 if status.rollback else status.canary_weight


def _served(stage: Staged, ref: Ref) -> Resource:
    """The sandbox's resource for a kind."""
    found = stage.cluster.server.registry.of_kind(ref.api_version, ref.kind)
    assert found is not None, f"the sandbox does not serve {ref.kind} of {ref.api_version}"
    group, _, version = ref.api_version.rpartition("/")
    return Resource(group, version, found.plural, ref.kind, found.namespaced)


def _at(obj: Obj | None, path: Iterable[str]) -> Any:
    for key in path:
        obj = (obj or {}).get(key)
    return obj


async def _answers(stage: Staged, request: HttpRequest) -> bool:
    try:
        return (await stage.http.send(request)).status == 200
    except HttpFailure:
        return False


def _metric(canary: Canary, need: CheckMetric, result: Result) -> dict[str, Any]:
    """A metric check with its value and its limits."""
    metric = (canary.spec.analysis or Analysis()).metrics[need.index]
    low, high = accepted(metric, need.source)
    value = result.value if isinstance(result, Value) else None
    passed = value is not None and (low is None or value >= low) and (high is None or value <= high)
    text = {NoData: lambda: result.text, QueryFailed: lambda: result.problem.text}.get(type(result), str)()  # type: ignore[union-attr]
    unit = UNITS.get(metric.name, "") if need.source == "builtin" else ""
    return {"name": metric.name, "value": value, "unit": unit, "min": low, "max": high, "passed": passed, "text": text}
