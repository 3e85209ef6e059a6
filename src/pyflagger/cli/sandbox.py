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

from pyflagger import goflags, logs
from pyflagger.cli.stage import Broken, Interrupted, Staged, interruptible, meshed, routed, staged, while_whole
from pyflagger.clock import SystemClock
from pyflagger.goflags import BadFlag, Flag, boolean, duration
from pyflagger.operator.options import Options
from pyflagger.sandbox.cluster import Setup
from pyflagger.sandbox.trouble import CannotStart

FLAGS: tuple[Flag, ...] = (
    Flag("json", False, "when ready, print one JSON line: kubeconfig, api, ingress, metrics, operator", boolean),
    Flag("kubeconfig", "", "where to write the kubeconfig; empty: a temporary file"),
    Flag(
        "min-interval",
        10.0,
        "shortest analysis interval of the operator; lower it to watch a release go faster",
        duration,
    ),
    Flag("no-operator", False, "run the cluster without an operator, for another one to be run on it", boolean),
    Flag("prometheus", "embedded", "embedded, auto (a real one when on PATH), or the path of a real one"),
    Flag("mesh-provider", "nginx", "the operator's default traffic provider"),
    Flag("log-level", "warning", "level of the operator's log on standard error"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    setup: Setup
    options: Options | None
    as_json: bool
    log_level: str


def read(argv: Sequence[str]) -> Asked:
    """The command line. Raises BadFlag."""
    said = goflags.parse(FLAGS, argv, {})
    setup = Setup(
        kubeconfig=Path(said["kubeconfig"]) if said["kubeconfig"] else None,
        prometheus=said["prometheus"],
        mesh=meshed(said["mesh_provider"]),
        family=routed(said["mesh_provider"]),
    )
    options = Options(mesh_provider=said["mesh_provider"], min_interval=said["min_interval"])
    return Asked(setup, None if said["no_operator"] else options, said["json"], said["log_level"])


def places(stage: Staged) -> dict[str, str]:
    """Where everything is."""
    cluster = stage.cluster
    found = {
        "kubeconfig": str(cluster.kubeconfig),
        "api": cluster.api,
        "ingress": cluster.ingress,
        "metrics": cluster.metrics,
    }
    return found | ({"operator": stage.operator} if stage.operator else {})


def text(stage: Staged) -> str:
    """The same for people."""
    lines = [f"  {name:<12}{place}" for name, place in places(stage).items()]
    hint = f"export KUBECONFIG={stage.cluster.kubeconfig}"
    return "\n".join(["The sandbox is ready; Ctrl-C ends it.", "", *lines, "", hint])


async def serve(asked: Asked) -> None:
    """Run until cancelled. Raises Broken, CannotStart, OSError."""
    async with staged(asked.setup, asked.options, SystemClock()) as stage:
        print(json.dumps(places(stage)) if asked.as_json else text(stage), flush=True)
        await while_whole(asyncio.Event().wait(), stage.cluster)


def main(argv: Sequence[str]) -> int:
    """Run a sandbox; 1 when it cannot be brought up, 2 when the command line is wrong."""
    if any(word in ("-h", "-help", "--help") for word in argv):
        print(goflags.usage("flagger sandbox", FLAGS))
        return 0
    try:
        asked = read(argv)
    except BadFlag as error:
        print(error, file=sys.stderr)
        return 2
    logs.configure(asked.log_level, "console")
    try:
        asyncio.run(interruptible(serve(asked)))
    except (Broken, CannotStart, OSError) as error:
        print(f"flagger sandbox: {error}", file=sys.stderr)
        return 1
    except (Interrupted, KeyboardInterrupt):
        pass
    return 0
