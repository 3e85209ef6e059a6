"""What the commands of one canary share: its name on the command line, the look at it, and the settings to assume.

It imports the read model when a command runs: completion has no time for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pyflagger.cli.cluster import Cluster, Wrong
from pyflagger.cli.completing import names
from pyflagger.kube.client import NotFound
from pyflagger.objects import Key
from pyflagger.seeing.model import CanaryView

if TYPE_CHECKING:
    from pyflagger.operator.options import Options
    from pyflagger.seeing.follow import Watched
    from pyflagger.seeing.look import Look


class Seen(NamedTuple):
    """A canary that was read: the raw look, and the view."""

    look: Look
    view: CanaryView


def key_of(name: str, namespace: str) -> Key:
    """The canary that a command names: `podinfo`, `canary/podinfo` or `podinfo.test`."""
    kind, slash, rest = name.rpartition("/")
    if slash and kind not in ("canary", "canaries", "canary.flagger.app"):
        raise Wrong(f"{name} is no canary: write NAME, canary/NAME or NAME.NAMESPACE", 2)
    short, dot, where = rest.partition(".")
    return Key(where, short) if dot else Key(namespace, rest)


async def seen(cluster: Cluster, name: str, mesh_provider: str = "", *, history: bool = False, home: str = "") -> Seen:
    """Read a canary, with the records of its releases if `history`. Raises Wrong and ApiErrors.

    `home`: the operator's namespace, if the status does not name it.
    """
    from pyflagger.seeing.picture import picture
    from pyflagger.seeing.single import look

    key = key_of(name, cluster.namespace)
    try:
        found = await look(cluster.client, cluster.clock, key, options_of(mesh_provider), history=history, home=home)
    except NotFound as error:
        raise missing(key, error) from error
    return Seen(found, picture(found))


def missing(key: Key, error: NotFound) -> Wrong:
    """The error of a command whose canary does not exist."""
    return Wrong(f"canary {key} does not exist, or this cluster has no Canary definition: {error}")


def options_of(mesh_provider: str) -> Options:
    """The operator's options, as far as they are known. An empty `mesh_provider` is that of the Canary's status."""
    from pyflagger.operator.options import Options

    return Options(mesh_provider=mesh_provider)


def watched(cluster: Cluster, key: Key, mesh_provider: str) -> Watched:
    """A canary to follow."""
    from pyflagger.seeing.follow import Watched

    return Watched(cluster.client, cluster.clock, key, options_of(mesh_provider))


def about_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument NAME and the options that every command of one canary has."""
    return click.argument("name", shell_complete=names)(_options(function))


def optional_name(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a command that also works without NAME, which is empty then."""
    return click.argument("name", default="", required=False, shell_complete=names)(_options(function))


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    colours = click.option("--color", type=click.Choice(("never", "auto", "always")), default="auto", help="colours")
    return provider_option(colours(function))


provider_option = click.option(
    "--mesh-provider", default="", show_default=False, help="traffic provider of the operator, if it is not known"
)
home_option = click.option(
    "--operator-namespace",
    "home",
    default="",
    show_default=False,
    help="namespace of the operator, in which it publishes its settings, if no status names it",
)
