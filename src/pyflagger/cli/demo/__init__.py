"""`flagger demo [SCENARIO]`: plays a release on a sandbox, with visitors coming in all along.

Exit status 0 only when each release ended as its scenario says.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyflagger import goflags, logs
from pyflagger.cli.demo.play import Player, Show, Stuck, Told
from pyflagger.cli.demo.scenario import DEFAULT, Scenario, UnknownScenario, load, names
from pyflagger.cli.demo.views import JsonLines, Lines, Picture, View
from pyflagger.cli.stage import Broken, Interrupted, interruptible, meshed, routed, staged, while_whole
from pyflagger.clock import SystemClock
from pyflagger.goflags import BadFlag, Flag, boolean
from pyflagger.operator.options import Options
from pyflagger.sandbox.cluster import Setup
from pyflagger.sandbox.trouble import CannotStart

FLAGS: tuple[Flag, ...] = (
    Flag("list", False, "say which scenarios there are", boolean),
    Flag("json", False, "a JSON object a line, the last one a summary", boolean),
    Flag("prometheus", "embedded", "embedded, auto (a real one when on PATH), or the path of a real one"),
    Flag("log-level", "error", "level of the operator's log on standard error"),
)
MIN_INTERVAL_SECONDS = 1.0
SIGNALLED = 128
"""A shell's exit status of what a signal ended, without the signal's number."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    scenario: str
    listing: bool
    as_json: bool
    prometheus: str
    log_level: str


def read(argv: Sequence[str]) -> Asked:
    """The command line: flags, and at most one scenario anywhere among them. Raises BadFlag."""
    said = goflags.parse(FLAGS, argv, {}, bare="scenario")
    return Asked(said["scenario"] or DEFAULT, said["list"], said["json"], said["prometheus"], said["log_level"])


def view_of(asked: Asked, scenario: Scenario) -> View:
    """JSON when asked for, a picture in a terminal, lines elsewhere."""
    if asked.as_json:
        return JsonLines()
    return Picture(f"{scenario.name}: {scenario.about}") if sys.stdout.isatty() else Lines()


def read_by_somebody(show: Show) -> Show:
    """Show records; once nobody reads them any more, the demo ends as when it is told to, under nohup as well."""

    def showing(record: dict[str, Any]) -> None:
        try:
            show(record)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            signal.raise_signal(signal.SIGTERM)

    return showing


async def play(asked: Asked, scenario: Scenario) -> list[Told]:
    """Play on a fresh sandbox and show the summary. Raises Stuck, Broken, and what a sandbox raises."""
    clock, view = SystemClock(), view_of(asked, scenario)
    options = Options(mesh_provider=scenario.provider, min_interval=MIN_INTERVAL_SECONDS)
    with view:
        show = read_by_somebody(view.show)
        player = Player(scenario, clock, show)
        setup = Setup(prometheus=asked.prometheus, mesh=meshed(scenario.provider), family=routed(scenario.provider))
        async with staged(setup, options, clock, player) as stage:
            told = await while_whole(player.play(stage), stage.cluster)
        show({"kind": "summary", "releases": [each.document() for each in told]})
    return told


def main(argv: Sequence[str]) -> int:
    """Play a scenario; 1 when it did not end as it says or could not be played, 2 for a wrong command line."""
    if any(word in ("-h", "-help", "--help") for word in argv):
        print(goflags.usage("flagger demo [SCENARIO]", FLAGS))
        return 0
    try:
        asked = read(argv)
        if asked.listing:
            print("\n".join(f"{name:<18}{load(name).about}" for name in names()))
            return 0
        scenario = load(asked.scenario)
    except (BadFlag, UnknownScenario) as error:
        print(f"flagger demo: {error}", file=sys.stderr)
        return 2
    logs.configure(asked.log_level, "console")
    try:
        told = asyncio.run(interruptible(play(asked, scenario)))
    except (Broken, Stuck, CannotStart, OSError) as error:
        print(f"flagger demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT
    except Interrupted as interrupted:
        return SIGNALLED + interrupted.number
    return 0 if all(each.right for each in told) else 1
