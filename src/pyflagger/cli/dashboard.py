"""`flagger dashboard`: pages of the user's canaries in a browser on this machine, with the user's own rights."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pyflagger.cli.cluster import Cluster, Wrong, on_cluster
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.single import options_of, provider_option

if TYPE_CHECKING:
    from pyflagger.dashboard.local import Running

ADDRESS = "127.0.0.1"
PORT = 8490


async def serve(
    cluster: Cluster,
    namespace: str,
    port: int,
    mesh_provider: str,
    ready: Callable[[Running], Any],
    *,
    read_only: bool = False,
) -> None:
    """Serve until cancelled. Raises Wrong, ApiError."""
    from pyflagger.dashboard.local import running

    options = options_of(mesh_provider)
    try:
        client, clock, context = cluster.client, cluster.clock, cluster.context
        served = running(client, clock, namespace, options, context, ADDRESS, port, read_only=read_only)
        async with served as found:
            ready(found)
            await asyncio.Event().wait()
    except OSError as error:
        raise Wrong(f"port {port} of {ADDRESS} is not free: {error.strerror}. Choose another with --port.") from error


@click.command("dashboard", context_settings=SETTINGS)
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, help="port on 127.0.0.1; 0: any free one")
@click.option("--no-open", is_flag=True, help="print the address, and open no browser")
@click.option("--read-only", is_flag=True, help="show no pages that steer a release")
@provider_option
@on_cluster
async def command(cluster: Cluster, port: int, no_open: bool, read_only: bool, mesh_provider: str) -> int:
    """Show and steer the canaries of this cluster in a browser, with your own rights, until Ctrl-C.

    It listens on 127.0.0.1 alone. The printed address holds a key; without it, other users of this machine see nothing.
    """

    def ready(found: Running) -> None:
        print(f"The dashboard is ready: {found.url}\nPress Ctrl-C to stop it.", flush=True)
        if not no_open and not webbrowser.open(found.url):
            print("No browser could be opened. Open the address yourself.", file=sys.stderr)

    namespace = click.get_current_context().params["namespace"]
    await serve(cluster, namespace, port, mesh_provider, ready, read_only=read_only)
    return 0
