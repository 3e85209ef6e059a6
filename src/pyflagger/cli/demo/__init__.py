"""`flagger demo [SCENARIO]`: plays a release on a sandbox under constant traffic.

The exit status is 0 only if each release ends as its scenario expects.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import click

from pyflagger import logs
from pyflagger.cli.demo.play import Outcome, Player, Show, Stuck
from pyflagger.cli.demo.scenario import DEFAULT, Scenario, UnknownScenario, load, names
from pyflagger.cli.demo.views import JsonLines, Lines, Picture, View
from pyflagger.cli.people import LEVELS, Words, call
from pyflagger.cli.signals import Interrupted, interruptible
from pyflagger.cli.stage import Broken, meshed, routed, shown, staged, while_whole
from pyflagger.clock import SystemClock
from pyflagger.operator.options import Options
from pyflagger_sandbox.cluster import Setup
from pyflagger_sandbox.trouble import CannotStart

MIN_INTERVAL_SECONDS = 1.0
SIGNALLED = 128
"""Added to a signal's number: the exit status that shells give a process that the signal ended."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The parsed command line."""

    scenario: Scenario
    as_json: bool
    prometheus: str
    log_level: str
    dashboard: bool = False


def view_of(asked: Asked) -> View:
    """JSON with `--json`, else a live view in a terminal, else plain lines."""
    scenario = asked.scenario
    if asked.as_json:
        return JsonLines()
    return Picture(scenario.name, scenario.about) if sys.stdout.isatty() else Lines()


def read_by_somebody(show: Show) -> Show:
    """Show records. When the reader of the output closes it, end the demo as SIGTERM would, also under nohup."""

    def showing(record: dict[str, Any]) -> None:
        try:
            show(record)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            signal.raise_signal(signal.SIGTERM)

    return showing


async def play(asked: Asked, told: list[Outcome]) -> None:
    """Play on a new sandbox, show the summary, and add the outcomes to `told`.

    With a dashboard the sandbox runs on until cancelled. Raises Stuck, Broken, and the errors of its start.
    """
    clock, view, scenario = SystemClock(), view_of(asked), asked.scenario
    options = Options(mesh_provider=scenario.provider, min_interval=MIN_INTERVAL_SECONDS)
    async with AsyncExitStack() as stack:
        stack.enter_context(view)
        show = read_by_somebody(view.show)
        player = Player(scenario, clock, show)
        setup = Setup(prometheus=asked.prometheus, mesh=meshed(scenario.provider), family=routed(scenario.provider))
        stage = await stack.enter_async_context(staged(setup, options, clock, player))
        url = await stack.enter_async_context(shown(stage, clock)) if asked.dashboard else ""
        if url:
            show({"kind": "dashboard", "address": url})
        told += await while_whole(player.play(stage), stage.cluster)
        show({"kind": "summary", "releases": [each.document() for each in told]})
        if url:
            show({"kind": "open", "address": url})
            await while_whole(asyncio.Event().wait(), stage.cluster)


def run(asked: Asked) -> int:
    """Play a scenario. Exit status 1: it failed to run or did not end as expected."""
    logs.configure(asked.log_level, "console")
    told = list[Outcome]()
    try:
        asyncio.run(interruptible(play(asked, told)))
    except (Broken, Stuck, CannotStart, OSError) as error:
        print(f"flagger demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT
    except Interrupted as interrupted:
        if not told:
            return SIGNALLED + interrupted.number
    return 0 if all(each.right for each in told) else 1


def found(ctx: click.Context, param: click.Parameter, name: str) -> Scenario:
    """Find a scenario by name."""
    try:
        return load(name)
    except UnknownScenario as error:
        raise click.BadParameter(str(error)) from None


def listed(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Print the scenarios and exit."""
    if wanted:
        click.echo("\n".join(f"{name:<18}{load(name).about}" for name in names()))
        ctx.exit()


def completed(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of scenarios with this prefix."""
    return [name for name in names() if name.startswith(incomplete)]


@click.command(cls=Words)
@click.argument("scenario", default=DEFAULT, callback=found, shell_complete=completed)
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=listed, help="list the scenarios")
@click.option("--json", is_flag=True, help="print one JSON object per line, a summary at the end")
@click.option(
    "--prometheus", default="embedded", help="embedded, auto (a real one if it is on PATH), or the path of a real one"
)
@click.option("--dashboard", is_flag=True, help="serve the dashboard of the sandbox, and keep both until Ctrl-C")
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="fatal",
    help="log level of the operator on standard error; its Events are part of the view",
)
def command(scenario: Scenario, json: bool, prometheus: str, dashboard: bool, log_level: str) -> int:
    """Play a release on a sandbox under constant traffic.

    The exit status is 0 only if each release ends as its scenario expects.
    """
    return run(Asked(scenario, json, prometheus, log_level, dashboard))


def main(argv: Sequence[str]) -> int:
    """The command. Exit status 1: a release did not end as expected; 2: the command line is invalid."""
    return call(command, argv, "flagger demo")
