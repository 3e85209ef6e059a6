"""`flagger gate`: opens, closes and lists the gates of a release."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from pyflagger.api.durations import stamp
from pyflagger.cli.asking import Ask, Manner, ask, asking, named
from pyflagger.cli.cluster import Cluster, on_cluster
from pyflagger.cli.completing import gates as known
from pyflagger.cli.listing import rendered
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.single import key_of, missing
from pyflagger.cli.text import Column, Screen, say, screen, table
from pyflagger.kube.client import NotFound
from pyflagger.kube.resources import CANARIES
from pyflagger.seeing import documents
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.model import GateView

COLUMNS = (
    Column("GATE"),
    Column("TYPE"),
    Column("STATE"),
    Column("BY"),
    Column("DEADLINE"),
    Column("LAST ANSWER", flexible=True),
)
NONE = "This canary has no gate: no webhook of the type confirm-rollout, confirm-traffic-increase or confirm-promotion."


@click.group("gate", context_settings=SETTINGS)
def command() -> None:
    """Open, close or list the gates of a release: its webhooks of a confirm type."""


@command.command("open", context_settings=SETTINGS)
@named
@click.argument("gate", shell_complete=known)
@asking
@on_cluster
async def opened(cluster: Cluster, name: str, gate: str, manner: Manner) -> int:
    """Let the revision that the canary NAME releases pass the gate GATE, also before it is asked."""
    return await ask(cluster, name, Ask({"action": "open-gate", "gate": gate}), manner)


@command.command("close", context_settings=SETTINGS)
@named
@click.argument("gate", shell_complete=known)
@asking
@on_cluster
async def closed(cluster: Cluster, name: str, gate: str, manner: Manner) -> int:
    """Hold the revision that the canary NAME releases at the gate GATE, whatever its URL answers."""
    return await ask(cluster, name, Ask({"action": "close-gate", "gate": gate}, any_revision=True), manner)


@command.command("list", context_settings=SETTINGS)
@named
@click.option("-o", "--output", type=click.Choice(("json", "yaml", "name")), help="another form")
@on_cluster
async def listed(cluster: Cluster, name: str, output: str | None) -> int:
    """List the gates of the canary NAME."""
    from pyflagger.seeing.read import Reader
    from pyflagger.seeing.requests import gates

    key = key_of(name, cluster.namespace)
    try:
        canary, _ = await Reader(cluster.client, cluster.clock).get(CANARIES.ref(*key), CANARIES)
    except NotFound as error:
        raise missing(key, error) from error
    found = gates(canary)
    if output == "name":
        print("\n".join(clean(tuple(each.name for each in found))))
    elif output:
        print(rendered(documents.document("GateList", {"items": found}), output))
    elif found:
        say("\n".join(lines(found, screen())), screen())
    else:
        print(NONE, file=sys.stderr)
    return 0


def lines(found: Sequence[GateView], on: Screen) -> list[str]:
    """The table."""
    return ["  ".join(line).rstrip() for line in table(COLUMNS, [_cells(each) for each in clean(tuple(found))], on)]


def _cells(gate: GateView) -> list[str]:
    answer = f"{gate.verdict}: {gate.text}" if gate.verdict and gate.text else gate.verdict
    state = gate.state or "by its URL"
    return [gate.name, gate.type, state, gate.by or "-", _deadline(gate) or "-", answer or "-"]


def _deadline(gate: GateView) -> str:
    """What happens by itself, and when: `abort at TIME`, or `abort after 2h` before the gate has held the revision."""
    if gate.until is not None:
        return f"{gate.default} at {stamp(gate.until)}"
    return f"{gate.default} after {gate.deadline}" if gate.deadline and not gate.state else ""
