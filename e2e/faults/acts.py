"""The faults, as a table: a name, and what is done while releases go on."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from e2e.environment import until
from e2e.faults.releases import INTERVAL, KINDS, STUCK
from e2e.faults.scenario import Fault, Scenario, encoded, restart
from e2e.parts import faketime
from e2e.stage import manifests
from pyflagger.objects import Obj

AWAY_SECONDS = 30.0
TICKS = 3
LYING_SECONDS = 8.0
HOUR = 3600
BLIND_SECONDS = 60
"""What clients in Go may take to find an API server again that was away for half a minute: after each attempt they wait
twice as long as before, at most 30 s, and up to as much again by chance."""
BLIND_SHORTLY_SECONDS = 15
"""The same after a restart of a few seconds."""
ALL_OF_IT: Mapping[str, Any] = {"alone": True, "long": True, "deadline": BLIND_SECONDS}
SETTLE_SECONDS = 3.0
NOTE_SECONDS = 3.0
"""How long the Deployment controller may take to note that a rollout began."""
CLOCK = "{folder}/faketime-"


def nothing(play: Scenario) -> None:
    """The calm run, that others are compared with."""


def killed(play: Scenario) -> None:
    """kill -9 after each write: carried out, but the operator never hears of it."""
    operator = play.operators[0]
    play.api.on_write = lambda: restart(operator)
    play.until_over()
    play.api.on_write = None
    play.notes = f"killed {len(play.api.writes)} times"


def api_server_killed(play: Scenario) -> None:
    """The API server is away for a while."""
    server = play.stage.plane.api
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    time.sleep(AWAY_SECONDS)
    server.start()
    play.stage.plane.wait()


def compacted(play: Scenario) -> None:
    """What was watched is cut off; etcd forgets; a fresh API server knows nothing older: 410 for every watch."""
    play.api.deaf = True
    play.drop_connections()
    for name in play.apps:
        play.patch("canaries", name, {"metadata": {"annotations": {"e2e/edit": "before the compaction"}}})
    play.stage.plane.compact()
    restart(play.stage.plane.api)
    play.stage.plane.wait()
    for name in play.apps:
        play.patch("canaries", name, {"metadata": {"annotations": {"e2e/edit": "after the compaction"}}})
    play.api.statuses.clear()
    play.api.deaf = False
    play.ended_at = time.time()
    until(lambda: play.api.statuses.get(410), lambda: str(play.api.statuses))
    time.sleep(SETTLE_SECONDS)
    play.notes += f", {play.api.statuses.get(410, 0)} answers of 410"


def cut(play: Scenario) -> None:
    """Every watch breaks off in the middle of an object, again and again."""
    play.api.cut_after = 2
    play.until_over()
    play.api.cut_after = 0


def throttled(play: Scenario) -> None:
    """Every second call, watches too, is refused with 429 and Retry-After."""
    numbers = iter(range(1_000_000))

    def refuse(request: web.Request) -> tuple[int, dict[str, str]] | None:
        return (429, {"Retry-After": "1"}) if next(numbers) % 2 == 0 else None

    play.api.refuse = refuse
    play.until_over()
    play.api.refuse = None
    play.notes = f"{play.api.statuses.get(429, 0)} answers of 429"


def slow(play: Scenario) -> None:
    """Each call takes half a second longer."""
    play.api.delay = 0.5
    play.until_over()
    play.api.delay = 0.0


def lying(play: Scenario) -> None:
    """Every watch is told that its version is gone, whatever it is."""

    def refuse(request: web.Request) -> tuple[int, dict[str, str]] | None:
        return (410, {}) if "watch" in request.query else None

    play.api.statuses.clear()
    play.api.refuse = refuse
    play.drop_connections()
    time.sleep(LYING_SECONDS)
    play.api.refuse = None
    play.notes = f"{play.api.statuses.get(410, 0)} answers of 410 in {LYING_SECONDS:g} s"


def conflicts(play: Scenario) -> None:
    """Somebody else edits everything, every second."""
    numbers = iter(range(1_000_000))

    def edit() -> None:
        body: Obj = {"metadata": {"annotations": {"e2e/edit": str(next(numbers))}}}
        for name in play.apps:
            play.patch("canaries", name, body)
            for plural, names in (
                ("deployments", (name, f"{name}-primary")),
                ("ingresses", (name, f"{name}-canary")),
                ("services", (name, f"{name}-primary", f"{name}-canary")),
            ):
                for one in names:
                    play.patch(plural, one, body)

    play.until_over(1.0, edit)


def overlooked(play: Scenario) -> None:
    """The primary's controller forgets that a rollout began, and counts no deadline.

    It is so for good when somebody else writes to the Deployment between the new ReplicaSet and the note of it. A
    controller that never writes the note has forgotten the rollout without our help.
    """
    done = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    for primary in [f"{name}-primary" for name in play.apps]:
        until(partial(play.rolls_out, primary), play.told)
        with suppress(AssertionError):
            until(partial(play.noted, primary), seconds=NOTE_SECONDS)
        play.patch("deployments", f"{primary}/status", {"status": {"conditions": [done]}})


def no_metrics(play: Scenario) -> None:
    """Prometheus is away for three ticks."""
    play.metrics.deaf = True
    time.sleep(TICKS * INTERVAL)
    play.metrics.deaf = False


def stepped(seconds: int) -> Fault:
    """The operator's wall clock jumps; its monotonic clock does not."""
    name = f"clock stepped by {'+' if seconds > 0 else '-'}1 h"
    file = f"{CLOCK}{seconds}"

    def act(play: Scenario) -> None:
        Path(file.format(folder=play.stage.folder)).write_text(f"{seconds:+d}\n")

    environ = {
        "LD_PRELOAD": faketime(),
        "FAKETIME_TIMESTAMP_FILE": file,
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    return Fault(name, act, environ=environ)


def leader_killed(play: Scenario) -> None:
    """The leader dies; the other takes over when the Lease has run out."""
    leader = play.holder()
    process = play.operators[0].process
    assert process is not None
    process.kill()
    process.wait()
    play.ended_at = time.time()
    until(lambda: play.holder() != leader, play.holder, 90)


def leader_stopped(play: Scenario) -> None:
    """The leader is stopped, loses the Lease unawares, and goes on: it must not write any more."""
    leader = play.holder()
    first = play.operators[0]
    first.signal(signal.SIGSTOP)
    play.ended_at = time.time()
    until(lambda: play.holder() != leader, play.holder, 90)
    first.signal(signal.SIGCONT)
    assert first.process is not None
    play.notes = f"the old leader ended with status {first.process.wait(30)}"


def disk_full(play: Scenario) -> None:
    """Its log cannot be written to from the beginning on."""


def rotated(play: Scenario) -> None:
    """A Secret of the target changes: what was judged so far was judged with another one."""
    for name in play.apps:
        play.patch("secrets", f"{name}-env", {"data": {"WORD": encoded("second")}})


def deleted(play: Scenario) -> None:
    """The namespace is deleted with everything in it."""
    play.stage.plane.ask("DELETE", f"/api/v1/namespaces/{play.namespace}")


def upgraded(play: Scenario) -> None:
    """Our kinds are changed, three times."""
    for number in range(3):
        play.stage.apply(*(_with_field(definition, f"later{number}") for definition in manifests("crds")))
        time.sleep(1.5)
    play.stage.apply(*manifests("crds"))


def _with_field(definition: Obj, name: str) -> Obj:
    """The definition as a later release might have it."""
    (version, *_) = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]
    more = spec | {"properties": spec["properties"] | {name: {"type": "string"}}}
    changed = schema | {"properties": schema["properties"] | {"spec": more}}
    versions = [version | {"schema": {"openAPIV3Schema": changed}}]
    return definition | {"spec": definition["spec"] | {"versions": versions}}


def faults() -> list[Fault]:
    """All of them."""
    return [
        Fault("none", nothing),
        Fault("leader killed", leader_killed, elected=True, long=True),
        Fault("leader stopped past its Lease, and continued", leader_stopped, elected=True, long=True),
        Fault("operator killed after each write", killed, apart=True, long=True),
        Fault("watches cut in the middle of an object", cut),
        Fault("429 with Retry-After for every second call", throttled),
        Fault("500 ms more for each call", slow),
        Fault("410 for every watch", lying),
        Fault("conflicting edits every second", conflicts),
        Fault("a rollout that its controller overlooks", overlooked, kinds=(STUCK,)),
        Fault("Prometheus down for three ticks", no_metrics),
        *(stepped(seconds) for seconds in (HOUR, -HOUR) if faketime()),
        Fault("disk full for logs", disk_full, full=True),
        Fault("Secret rotated", rotated),
        Fault("namespace deleted", deleted, overlay="cluster", ends={kind.name: "gone" for kind in KINDS}),
        Fault("CRDs upgraded three times", upgraded, alone=True),
        Fault("API server killed for 30 s", api_server_killed, interval=BLIND_SECONDS, **ALL_OF_IT),
        Fault("etcd compacted under the watches", compacted, interval=BLIND_SHORTLY_SECONDS, **ALL_OF_IT),
    ]
