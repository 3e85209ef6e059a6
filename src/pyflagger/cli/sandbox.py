"""`flagger sandbox`: a small cluster on this machine until SIGINT or SIGTERM.

Prints all addresses when it is ready. Imports the sandbox only when run. If a part of it is missing, one line says what
to install.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pyflagger import logs
from pyflagger.cli.people import LEVELS, Duration, Words, call
from pyflagger.cli.providers import Provider
from pyflagger.cli.signals import Interrupted, interruptible
from pyflagger.cli.stage import Broken, Staged, meshed, routed, shown, staged, while_whole
from pyflagger.clock import SystemClock
from pyflagger.operator.options import Options
from pyflagger_sandbox.cluster import Setup
from pyflagger_sandbox.trouble import CannotStart

FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """The parsed command line."""

    setup: Setup
    options: Options | None
    as_json: bool
    log_level: str
    dashboard: bool = False


def asked(
    json: bool,
    kubeconfig: Path | None,
    min_interval: float,
    no_operator: bool,
    prometheus: str,
    mesh_provider: str,
    log_level: str,
    dashboard: bool,
) -> Asked:
    """Derive the sandbox's setup from the options."""
    setup = Setup(
        kubeconfig=kubeconfig, prometheus=prometheus, mesh=meshed(mesh_provider), family=routed(mesh_provider)
    )
    options = Options(mesh_provider=mesh_provider, min_interval=min_interval)
    return Asked(setup, None if no_operator else options, json, log_level, dashboard)


def places(stage: Staged, dashboard: str = "") -> dict[str, str]:
    """The addresses of all parts, as JSON."""
    cluster = stage.cluster
    found = {
        "kubeconfig": str(cluster.kubeconfig),
        "api": cluster.api,
        "ingress": cluster.ingress,
        "metrics": cluster.metrics,
        "proxy": cluster.proxy,
    }
    more = {"operator": stage.operator, "dashboard": dashboard}
    return found | {name: place for name, place in more.items() if place}


def text(stage: Staged, dashboard: str = "") -> str:
    """The addresses and example commands, as text."""
    lines = [f"  {name:<12}{place}" for name, place in places(stage, dashboard).items()]
    hints = [
        f"export KUBECONFIG={stage.cluster.kubeconfig} INGRESS={stage.cluster.ingress}",
        f"curl -x {stage.cluster.proxy} http://SERVICE.NAMESPACE:PORT/   # Services by name",
    ]
    return "\n".join(["The sandbox is ready; press Ctrl-C to stop it.", "", *lines, "", *hints])


async def serve(wanted: Asked) -> None:
    """Run until cancelled. Raises Broken, CannotStart, OSError."""
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        stage = await stack.enter_async_context(staged(wanted.setup, wanted.options, clock))
        url = await stack.enter_async_context(shown(stage, clock)) if wanted.dashboard else ""
        print(json.dumps(places(stage, url)) if wanted.as_json else text(stage, url), flush=True)
        await while_whole(asyncio.Event().wait(), stage.cluster)


def run(wanted: Asked) -> int:
    """Run a sandbox until a signal. Exit status 1: it cannot start, or one of its processes ended."""
    logs.configure(wanted.log_level, "console")
    try:
        asyncio.run(interruptible(serve(wanted)))
    except (Broken, CannotStart, OSError) as error:
        print(f"flagger sandbox: {error}", file=sys.stderr)
        return 1
    except (Interrupted, KeyboardInterrupt):
        pass
    return 0


@click.command(cls=Words)
@click.option(
    "--json",
    is_flag=True,
    help="print one JSON line when ready: kubeconfig, api, ingress, metrics, proxy, operator, dashboard",
)
@click.option("--kubeconfig", type=FILE, help="file to write the kubeconfig to; default: a temporary file")
@click.option(
    "--min-interval",
    type=Duration(),
    default="10s",
    help="minimum analysis interval of the operator; lower it for faster releases",
)
@click.option("--no-operator", is_flag=True, help="run the cluster without the operator, to run your own on it")
@click.option(
    "--prometheus", default="embedded", help="embedded, auto (a real one if it is on PATH), or the path of a real one"
)
@click.option("--mesh-provider", type=Provider(), default="nginx", help="the operator's default traffic provider")
@click.option("--dashboard", is_flag=True, help="serve the dashboard of the sandbox on a free port")
@click.option(
    "--log-level", type=click.Choice(LEVELS), default="warning", help="log level of the operator on standard error"
)
def command(**said: Any) -> int:
    """Run a small cluster with the operator on this machine, until Ctrl-C."""
    return run(asked(**said))


def main(argv: Sequence[str]) -> int:
    """The command. Exit status 1: the sandbox cannot start; 2: the command line is invalid."""
    return call(command, argv, "flagger sandbox")
