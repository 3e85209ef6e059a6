"""Completion of names of canaries, namespaces and contexts. It says nothing about errors, and ends within two seconds.

The shell calls it between two keys: it imports neither aiohttp nor the read model, and asks for metadata alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, ShellComplete

from pyflagger.kube.resources import CANARIES, NAMESPACES, RELEASES
from pyflagger.objects import Key, Resource

if TYPE_CHECKING:
    from pyflagger.cli.cluster import Cluster

SECONDS_MAX = 2.0
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
FROM_MEMORY = {"resourceVersion": "0"}
"""The API server answers from its watch cache: ten times faster for a thousand canaries, and rarely a second old."""

NUMBER = "flagger.app/number"
"""The label of a record with the number of its release."""

NO_FILES = ":4"
"""What cobra's protocol ends with: the shell adds no names of files."""


def limit() -> None:
    """End this process without a word after two seconds, whatever it waits for: a name server, or an auth plug-in."""
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, SECONDS_MAX)


def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of canaries."""
    return _items(ctx, lambda cluster: _listed(cluster, CANARIES, cluster.namespace), incomplete)


def namespaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of namespaces."""
    return _items(ctx, lambda cluster: _listed(cluster, NAMESPACES, ""), incomplete)


def releases(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Numbers of the releases of the canary before."""

    async def numbers(cluster: Cluster) -> list[str]:
        key = _canary(ctx, cluster)
        found = [meta for meta in await _metadata(cluster, RELEASES, key.namespace) if _owner(meta) == key.name]
        return [meta["labels"][NUMBER] for meta in found]

    return _items(ctx, numbers, incomplete)


def gates(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the gates of the canary before."""

    async def named(cluster: Cluster) -> list[str]:
        canary = await cluster.client.call("GET", CANARIES.path(*_canary(ctx, cluster)))
        return [hook["name"] for hook in canary["spec"]["analysis"]["webhooks"] if "confirm" in hook.get("type", "")]

    return _items(ctx, named, incomplete)


def _canary(ctx: click.Context, cluster: Cluster) -> Key:
    from pyflagger.cli.single import key_of

    return key_of(ctx.params["name"], cluster.namespace)


def _owner(meta: dict[str, Any]) -> str:
    return next((str(owner["name"]) for owner in meta["ownerReferences"]), "")


def contexts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of contexts in the kubeconfig files."""
    paths = ctx.params.get("kubeconfig") or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    return _fitting(_contexts(paths.split(os.pathsep)), incomplete)


def _contexts(paths: Iterable[str]) -> list[str]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = []
    for path in filter(os.path.exists, paths):
        try:
            config = yaml.load(Path(path).read_bytes(), loader)
            found += [str(each["name"]) for each in config["contexts"]]
        except (OSError, yaml.YAMLError, KeyError, TypeError):
            continue
    return found


def _items(
    ctx: click.Context, read: Callable[[Cluster], Awaitable[list[str]]], incomplete: str
) -> list[CompletionItem]:
    """What a cluster has, chosen by the flags on the command line. Nothing if that fails."""
    from pyflagger.cli.cluster import connected, person_of

    async def main() -> list[str]:
        async with connected(person_of(**ctx.params), ctx.params.get("namespace") or "") as cluster:
            return await read(cluster)

    with redirect_stderr(StringIO()):
        try:
            return _fitting(asyncio.run(main()), incomplete)
        except Exception:  # A shell has no place for errors.
            return []


async def _listed(cluster: Cluster, resource: Resource, namespace: str) -> list[str]:
    return [meta["name"] for meta in await _metadata(cluster, resource, namespace)]


async def _metadata(cluster: Cluster, resource: Resource, namespace: str) -> list[dict[str, Any]]:
    page = await cluster.client.call("GET", resource.path(namespace), query=FROM_MEMORY, accept=METADATA)
    return [each["metadata"] for each in page.get("items") or ()]


def _fitting(found: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(set(found)) if name.startswith(incomplete)]


def cobra(cli: click.Command, name: str, words: Sequence[str]) -> list[str]:
    """The lines that kubectl expects of `kubectl_complete-flagger`: values with their help, then a directive."""
    *before, last = words or [""]
    items: list[Any] = ShellComplete(cli, {}, name, "").get_completions(list(before), last)
    return [*(f"{item.value}\t{item.help}" if item.help else str(item.value) for item in items), NO_FILES]


def kubectl() -> int:
    """The entry point `kubectl_complete-flagger`."""
    from pyflagger.cli.main import COMMANDS, PLUGIN
    from pyflagger.cli.people import Commands

    limit()
    print("\n".join(cobra(Commands(COMMANDS, PLUGIN), PLUGIN, sys.argv[1:])))
    return 0
