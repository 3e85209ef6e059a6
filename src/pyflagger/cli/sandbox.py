"""`flagger sandbox`: a small cluster on this machine until SIGINT or SIGTERM.

Prints where everything is once it is ready. Imports the sandbox only when run, and says in one line what to install
when a part of it is missing.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pyflagger import logs
from pyflagger.cli.people import LEVELS, Duration, Provider, Words, call
from pyflagger.cli.signals import Interrupted, interruptible
from pyflagger.cli.stage import Broken, Staged, meshed, routed, staged, while_whole
from pyflagger.clock import SystemClock
from pyflagger.operator.options import Options
from pyflagger_sandbox.cluster import Setup
from pyflagger_sandbox.trouble import CannotStart

FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    setup: Setup
    options: Options | None
    as_json: bool
    log_level: str


def asked(
    json: bool,
    kubeconfig: Path | None,
    min_interval: float,
    no_operator: bool,
    prometheus: str,
    mesh_provider: str,
    log_level: str,
) -> Asked:
    """What the options mean together."""
    setup = Setup(
        kubeconfig=kubeconfig, prometheus=prometheus, mesh=meshed(mesh_provider), family=routed(mesh_provider)
    )
    options = Options(mesh_provider=mesh_provider, min_interval=min_interval)
    return Asked(setup, None if no_operator else options, json, log_level)


def places(stage: Staged) -> dict[str, str]:
    """Where everything is."""
    cluster = stage.cluster
    found = {
        "kubeconfig": str(cluster.kubeconfig),
        "api": cluster.api,
        "ingress": cluster.ingress,
        "metrics": cluster.metrics,
        "proxy": cluster.proxy,
    }
    return found | ({"operator": stage.operator} if stage.operator else {})


def text(stage: Staged) -> str:
    """The same for people."""
    lines = [f"  {name:<12}{place}" for name, place in places(stage).items()]
    hints = [
        f"export KUBECONFIG={stage.cluster.kubeconfig} INGRESS={stage.cluster.ingress}",
        f"curl -x {stage.cluster.proxy} http://SERVICE.NAMESPACE:PORT/   # Services by their names",
    ]
    return "\n".join(["The sandbox is ready; Ctrl-C ends it.", "", *lines, "", *hints])


async def serve(wanted: Asked) -> None:
    """Run until cancelled. Raises Broken, CannotStart, OSError."""
    async with staged(wanted.setup, wanted.options, SystemClock()) as stage:
        print(json.dumps(places(stage)) if wanted.as_json else text(stage), flush=True)
        await while_whole(asyncio.Event().wait(), stage.cluster)


def run(wanted: Asked) -> int:
    """Run a sandbox until a signal; 1 when it cannot be brought up or a part of it ends by itself."""
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
    "--json", is_flag=True, help="when ready, print one JSON line: kubeconfig, api, ingress, metrics, proxy, operator"
)
@click.option("--kubeconfig", type=FILE, help="where to write the kubeconfig; without it: a temporary file")
@click.option(
    "--min-interval",
    type=Duration(),
    default="10s",
    help="shortest analysis interval of the operator; lower it to watch a release go faster",
)
@click.option(
    "--no-operator", is_flag=True, help="run the cluster without an operator, for another one to be run on it"
)
@click.option(
    "--prometheus", default="embedded", help="embedded, auto (a real one when on PATH), or the path of a real one"
)
@click.option("--mesh-provider", type=Provider(), default="nginx", help="the operator's default traffic provider")
@click.option(
    "--log-level", type=click.Choice(LEVELS), default="warning", help="level of the operator's log on standard error"
)
def command(**said: Any) -> int:
    """A small cluster on this machine until Ctrl-C, with the operator on it."""
    return run(asked(**said))


def main(argv: Sequence[str]) -> int:
    """The command; 1 when it cannot be brought up, 2 when the command line is wrong."""
    return call(command, argv, "flagger sandbox")
