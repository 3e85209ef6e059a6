"""A sandbox with an operator on it, for `flagger sandbox` and `flagger demo`.

The operator calls the embedded API server in process. It reaches everything else as in a cluster: by name, over HTTP.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pyflagger.api.crds import crds
from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.operator.options import Options
from pyflagger.operator.process import health
from pyflagger.operator.process.http import AiohttpHttp
from pyflagger.operator.run import Operator
from pyflagger.operator.spectator import Spectator
from pyflagger_sandbox import leftovers
from pyflagger_sandbox.cluster import Cluster, Setup, kept_environment
from pyflagger_sandbox.network.routes import FAMILIES, Family
from pyflagger_sandbox.podinfo import podcli
from pyflagger_sandbox.shims import make_shims, script

Outcome = TypeVar("Outcome")
MESHES = ("linkerd", "smi")


def meshed(provider: str) -> bool:
    """Whether a traffic provider needs the sandbox's mesh."""
    return provider.partition(":")[0] in MESHES


def routed(provider: str) -> Family | None:
    """The routing API that the sandbox's ingress reads besides Ingresses for a traffic provider."""
    return FAMILIES.get(provider.partition(":")[0])


@dataclass(frozen=True, slots=True)
class Staged:
    """A running sandbox. `http` resolves cluster names. `operator` is the base URL of /metrics, empty without one."""

    cluster: Cluster
    http: AiohttpHttp
    operator: str = ""


class Broken(RuntimeError):
    """A process of the sandbox ended unexpectedly. The text names it and quotes the end of its log."""


async def while_whole(work: Coroutine[Any, Any, Outcome], cluster: Cluster) -> Outcome:
    """The result of `work`, unless a process of the sandbox ends first. Raises Broken."""
    working, breaking = asyncio.ensure_future(work), asyncio.ensure_future(cluster.broken())
    try:
        await asyncio.wait((working, breaking), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Broken(f"{breaking.result()}\nThe sandbox has stopped. Start it again.")
        return working.result()
    finally:
        for task in (working, breaking):
            task.cancel()
        await asyncio.wait((working, breaking))


class Commands:
    """The environment of commands in pods: common tools on PATH, and a proxy that resolves cluster names."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def environment(self, namespace: str, proxy: str) -> Mapping[str, str]:
        """PATH with the tools for a namespace first."""
        shims = self._home / namespace
        if not shims.exists():
            make_shims(shims, proxy)
            script(shims / "podcli", [sys.executable, "-m", podcli.__name__])
        return {"PATH": f"{shims}:{kept_environment()['PATH']}"}


@asynccontextmanager
async def staged(
    setup: Setup, options: Options | None, clock: Clock, spectator: Spectator | None = None
) -> AsyncIterator[Staged]:
    """Run a sandbox while the block runs, with an operator unless `options` is None.

    Sets `options.metrics_server` and ignores `options.port`. Raises CannotStart, OSError.
    """
    async with AsyncExitStack() as stack:
        home = leftovers.folder("sandbox")
        stack.callback(home.remove)
        cluster = Cluster(replace(setup, kinds=crds()), clock, Commands(home.path).environment)
        http = await stack.enter_async_context(AiohttpHttp(rewrite=cluster.resolve))
        await cluster.start(http)
        stack.push_async_callback(cluster.stop)
        if options is None:
            yield Staged(cluster, http)
            return
        options = replace(options, metrics_server=cluster.metrics)
        operator = Operator(options, cluster.transport("flagger"), http, clock, spectator=spectator)
        app = health.application([operator.controller.wedged], [operator.unready], operator.metrics)
        runner = await health.serve(app, clock, "127.0.0.1", 0)
        stack.push_async_callback(runner.cleanup)
        await operator.start()
        stack.push_async_callback(operator.stop)
        host, port, *_ = runner.addresses[0]
        yield Staged(cluster, http, f"http://{host}:{port}")


@asynccontextmanager
async def shown(stage: Staged, clock: Clock) -> AsyncIterator[str]:
    """Serve a dashboard of a sandbox while the block runs. Yields its address, on a free port of this machine."""
    from pyflagger.dashboard.local import running

    client = Client(stage.cluster.transport("dashboard"), clock)
    async with running(client, clock, "", Options(mesh_provider=""), "sandbox", "127.0.0.1", 0) as found:
        yield found.url
