"""`flagger dashboard`: pages of the user's canaries in a browser on this machine, or of a cluster's users in a pod."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from pyflagger.cli.cluster import Cluster, Wrong, finished, on_cluster, reaching
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.signals import Interrupted, interruptible
from pyflagger.cli.single import options_of, provider_option
from pyflagger.clock import SystemClock

if TYPE_CHECKING:
    from pyflagger.dashboard.incluster import Settings
    from pyflagger.dashboard.local import Running

ADDRESS = "127.0.0.1"
PORT = 8490
OF_A_PERSON = ("context", "cluster", "user", "kubeconfig", "impersonated", "groups", "request_timeout", "no_open")
"""Options that make no sense in a pod."""

IN_A_POD = ("public_url", "trust_user_headers", "trusted_proxies")
"""Options that make no sense on this machine."""


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


async def serve_cluster(settings: Settings, mesh_provider: str) -> None:
    """Serve the users of the pod's cluster until cancelled. Raises Wrong, ApiError, NoCluster."""
    from pyflagger.dashboard.incluster import running
    from pyflagger.dashboard.people import Ways
    from pyflagger.kube.http import AiohttpTransport
    from pyflagger.kube.reach import own

    clock = SystemClock()
    account, nobody = own(clock)
    ways = Ways(AiohttpTransport(account), AiohttpTransport(nobody), AiohttpTransport(nobody))
    try:
        async with running(ways, clock, settings, options_of(mesh_provider)) as port:
            print(f"The dashboard is ready: {settings.place.url}, on port {port} of this pod.", flush=True)
            await asyncio.Event().wait()
    except OSError as error:
        raise Wrong(f"port {settings.port} is not free: {error.strerror}. Choose another with --port.") from error
    finally:
        await asyncio.gather(*(way.close() for way in ways))


def settings_of(url: str, headers: str, proxies: str, given: Mapping[str, Any]) -> Settings:
    """The options of a dashboard in a cluster. Raises UsageError."""
    from pyflagger.dashboard.credentials import proxied
    from pyflagger.dashboard.guard import public
    from pyflagger.dashboard.incluster import Settings

    if not url:
        raise click.UsageError("--in-cluster needs --public-url, the address that browsers open")
    try:
        place, trusted = public(url), proxied(headers, proxies)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return Settings(place, trusted, given["namespace"], given["port"], read_only=given["read_only"])


def check_options(context: click.Context, *, in_cluster: bool) -> None:
    """Refuse options of the other kind of dashboard. Raises UsageError."""
    for name in OF_A_PERSON if in_cluster else IN_A_POD:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            flag = next(each.opts[-1] for each in context.command.params if each.name == name)
            raise click.UsageError(f"{flag} cannot be used {'with' if in_cluster else 'without'} --in-cluster")


@click.command("dashboard", context_settings=SETTINGS)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, help="port on 127.0.0.1, or of the pod; 0: any free one"
)
@click.option("--no-open", is_flag=True, help="print the address, and open no browser")
@click.option("--read-only", is_flag=True, help="show no pages that steer a release")
@click.option("--in-cluster", is_flag=True, help="serve the users of this pod's cluster, each with its own rights")
@click.option(
    "--public-url",
    default="",
    show_default=False,
    metavar="URL",
    help="with --in-cluster: the address that browsers open, with https",
)
@click.option(
    "--trust-user-headers",
    default="",
    show_default=False,
    metavar="USER,GROUPS",
    help="with --in-cluster: headers in which a proxy names the user and its groups",
)
@click.option(
    "--trusted-proxies",
    default="",
    show_default=False,
    metavar="CIDR,…",
    help="with --in-cluster: the addresses of these proxies",
)
@provider_option
@reaching
def command(in_cluster: bool, public_url: str, trust_user_headers: str, trusted_proxies: str, **given: Any) -> int:
    """Show and steer the canaries of this cluster in a browser, with your own rights, until Ctrl-C.

    It listens on 127.0.0.1 alone. The printed address holds a key; without it, other users of this machine see nothing.

    In a pod, --in-cluster serves many users. Each request brings its own token, and the API server decides what its
    user sees and may do.
    """
    check_options(click.get_current_context(), in_cluster=in_cluster)
    if not in_cluster:
        return _local(**given)
    settings = settings_of(public_url, trust_user_headers, trusted_proxies, given)
    return finished(_in_pod(settings, given["mesh_provider"]))


@on_cluster
async def _local(cluster: Cluster, port: int, no_open: bool, read_only: bool, mesh_provider: str) -> int:
    def ready(found: Running) -> None:
        print(f"The dashboard is ready: {found.url}\nPress Ctrl-C to stop it.", flush=True)
        if not no_open and not webbrowser.open(found.url):
            print("No browser could be opened. Open the address yourself.", file=sys.stderr)

    namespace = click.get_current_context().params["namespace"]
    await serve(cluster, namespace, port, mesh_provider, ready, read_only=read_only)
    return 0


async def _in_pod(settings: Settings, mesh_provider: str) -> int:
    with suppress(Interrupted):
        await interruptible(serve_cluster(settings, mesh_provider))
    return 0
