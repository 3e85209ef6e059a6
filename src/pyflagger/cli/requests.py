"""`flagger actions`: the requests about a canary, and what became of each."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from pyflagger.api.durations import stamp
from pyflagger.cli.asking import NO_KIND, named
from pyflagger.cli.cluster import Cluster, Wrong, on_cluster
from pyflagger.cli.listing import rendered
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.single import key_of, missing
from pyflagger.cli.text import Column, Screen, say, screen, table
from pyflagger.kube.client import NotFound
from pyflagger.seeing import documents
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.model import ActionView
from pyflagger.seeing.words import age

COLUMNS = (
    Column("REQUEST"),
    Column("ACTION"),
    Column("BY"),
    Column("VIA"),
    Column("STATE"),
    Column("AGE", right=True),
    Column("REASON", flexible=True),
    Column("ANSWER", flexible=True),
)
NONE = "There is no request about this canary. flagger keeps the 10 last ones that it has answered."


def lines(found: Sequence[ActionView], now: float, on: Screen) -> list[str]:
    """The table."""
    rows = [_cells(each, now) for each in clean(tuple(found))]
    return ["  ".join(line).rstrip() for line in table(COLUMNS, rows, on)]


def _cells(each: ActionView, now: float) -> list[str]:
    since = "-" if each.at is None else age(now - each.at)
    answer = f"expires at {stamp(each.expires)}" if each.expires is not None else each.text
    return [each.name, each.action, each.by, each.via or "-", each.state, since, each.reason or "-", answer or "-"]


@click.command("actions", context_settings=SETTINGS)
@named
@click.option("-o", "--output", type=click.Choice(("json", "yaml", "name")), help="another form")
@on_cluster
async def command(cluster: Cluster, name: str, output: str | None) -> int:
    """List the requests about the canary NAME: those that wait for the operator first."""
    from pyflagger.seeing.read import Reader
    from pyflagger.seeing.requests import requests

    key, reader = key_of(name, cluster.namespace), Reader(cluster.client, cluster.clock)
    try:
        uid = await reader.uid(key)
    except NotFound as error:
        raise missing(key, error) from error
    try:
        stored = await reader.actions(key, uid)
    except NotFound as error:
        raise Wrong(NO_KIND) from error
    found = requests(stored.objects)
    if output == "name":
        print("\n".join(f"canaryaction.flagger.app/{clean(each.name)}" for each in found))
    elif output:
        print(rendered(documents.document("ActionList", {"items": found}), output))
    elif found:
        say("\n".join(lines(found, stored.now, screen())), screen())
    else:
        print(NONE, file=sys.stderr)
    return 0
