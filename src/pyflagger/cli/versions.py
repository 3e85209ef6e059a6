"""`flagger version`: the version of this program, of the operator as far as canaries say it, and of the cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from pyflagger.api.settings import features_of
from pyflagger.cli.cluster import Cluster, on_cluster
from pyflagger.cli.main import VERSION
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.single import home_option
from pyflagger.cli.text import say, screen
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.reach import configured
from pyflagger.objects import Obj, part
from pyflagger.seeing import raw
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.read import Reader

GROUP = "flagger.app"


def operators(canaries: Iterable[Obj]) -> str:
    """Who runs canaries, by their status."""
    found = {_operator(part(each, "status")) for each in canaries} - {""}
    return ", ".join(sorted(found)) or "unknown: no canary names it"


def _operator(status: dict[str, Any]) -> str:
    version = raw.text(part(status, "operator"), "version")
    if version:
        return f"flagger {version}"
    if not raw.text(status, "phase"):
        return ""
    return "Flagger" if raw.foreign(status) else "flagger, which does not say its version"


async def definitions(client: Client) -> str:
    """The kinds of flagger that the cluster serves. Raises ApiError."""
    groups = (await client.call("GET", "/apis")).get("groups") or []
    group: dict[str, Any] = next((each for each in groups if each.get("name") == GROUP), {})
    served = [raw.text(each, "groupVersion") for each in raw.items(group, "versions")]
    kinds = [
        f"{raw.text(each, 'name')} {version.partition('/')[2]}"
        for version in served
        for each in raw.items(await client.call("GET", f"/apis/{version}"), "resources")
        if "/" not in raw.text(each, "name")
    ]
    return ", ".join(sorted(kinds)) or "not installed: kubectl apply -k kustomize/crds"


async def served(cluster: Cluster, namespace: str, home: str = "") -> list[str]:
    """The lines about a cluster. `home`: the operator's namespace, if no Canary names it. Raises ApiError."""
    about = await cluster.client.call("GET", "/version")
    reader = Reader(cluster.client, cluster.clock)
    try:
        canaries = (await reader.canaries(namespace)).objects
        run_by = operators(canaries)
    except ApiError as error:
        canaries, run_by = (), f"unknown: {error}"
    homes = {home} if home else {raw.text(part(part(each, "status"), "operator"), "settings") for each in canaries}
    return [
        f"Operator     {run_by}",
        *[line for each in sorted(homes - {""}) for line in await _settings(reader, each)],
        f"Kubernetes   {raw.text(about, 'gitVersion')}",
        f"Definitions  {await definitions(cluster.client)}",
    ]


async def _settings(reader: Reader, namespace: str) -> list[str]:
    """What the operator of a namespace publishes about itself. Raises ApiError."""
    from pyflagger.seeing.settings import published

    settings = dict(await published(reader, namespace))
    features = features_of(settings.pop("features", ""))
    shown = ", ".join(f"{name} {value}" for name, value in sorted(settings.items()) if value)
    lines = [f"Settings     {shown or f'not visible to you in namespace {namespace}'}"]
    return lines + [f"Feature      {name}: {state}" for name, state in sorted(features.items())]


@home_option
@on_cluster
async def server(cluster: Cluster, home: str) -> int:
    """The lines about the cluster."""
    on = screen()
    say("\n".join(map(clean, await served(cluster, cluster.namespace, home))), on)
    return 0


def _version(client: bool, **where: Any) -> int:
    """Print the version of this program, and what the cluster says about its operator."""
    click.echo(VERSION)
    return 0 if client or not configured(where["kubeconfig"]) else server(**where)


command = click.Command(
    "version",
    context_settings=SETTINGS,
    callback=_version,
    help=_version.__doc__,
    params=[
        click.Option(["--client"], is_flag=True, help="of this program alone"),
        *reversed(server.__click_params__),  # type: ignore[attr-defined]
    ],
)
