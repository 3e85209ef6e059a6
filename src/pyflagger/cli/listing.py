"""`flagger list`: a row for each canary, the one that needs a person first."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from pyflagger.cli.cluster import Cluster, on_cluster
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.text import Column, Screen, age, clean, painted, say, screen, state, table
from pyflagger.seeing import documents
from pyflagger.seeing.fleet import row
from pyflagger.seeing.model import FleetRow, Image, Verdict
from pyflagger.seeing.read import Reader

Cell = Callable[[FleetRow, float, Screen], str]
NONE = "-"


def _weight(row: FleetRow, now: float, on: Screen) -> str:
    return str(row.weight.canary) if row.weight else NONE


def _step(row: FleetRow, now: float, on: Screen) -> str:
    return f"{row.step.at}/{row.step.of}" if row.step else NONE


def _failed(row: FleetRow, now: float, on: Screen) -> str:
    return f"{row.failed.checks}/{row.failed.threshold}" if row.failed else NONE


def waits_for(row: FleetRow) -> str:
    """What a canary waits for, in a line."""
    if row.verdict is Verdict.SILENT:
        return f"an operator: a round is {age(row.stale)} late"
    if row.hold:
        return ": ".join(filter(None, (row.hold.by, row.hold.reason)))
    return row.wait.text if row.wait else NONE


def _since(row: FleetRow, now: float, on: Screen) -> str:
    since = row.wait.since if row.wait and row.wait.since is not None else row.last_transition
    return NONE if since is None else age(now - since)


def changed(images: Sequence[Image]) -> str:
    """The tags of the images that a release changes."""
    return ", ".join(f"{_tag(each.old)} → {_tag(each.new)}" for each in images) or NONE


def _tag(image: str) -> str:
    """The tag or the start of the digest of an image."""
    name = image.rpartition("/")[2]
    if "@" in name:
        return name.partition("@")[2][:19]
    return name.partition(":")[2] or name or "?"


NAMESPACE: tuple[Column, Cell] = (Column("NAMESPACE"), lambda row, now, on: row.namespace)
COLUMNS: tuple[tuple[Column, Cell], ...] = (
    (Column("NAME"), lambda row, now, on: row.name),
    (Column("STATE"), lambda row, now, on: state(row.verdict, on)),
    (Column("WEIGHT", right=True), _weight),
    (Column("STEP", right=True), _step),
    (Column("FAILED", right=True), _failed),
    (Column("WAITS FOR", flexible=True), lambda row, now, on: waits_for(row)),
    (Column("SINCE", right=True), _since),
)
WIDE: tuple[tuple[Column, Cell], ...] = (
    (Column("RELEASE", right=True), lambda row, now, on: str(row.release) if row.release else NONE),
    (Column("IMAGE", flexible=True), lambda row, now, on: changed(row.images)),
    (Column("PROVIDER"), lambda row, now, on: row.provider),
)


def lines(rows: Sequence[FleetRow], now: float, on: Screen, *, namespaces: bool, wide: bool) -> list[str]:
    """The table of a fleet."""
    columns = (*((NAMESPACE,) if namespaces else ()), *COLUMNS, *(WIDE if wide else ()))
    cells = [[str(clean(cell(each, now, on))) for _, cell in columns] for each in rows]
    at = next(index for index, (column, _) in enumerate(columns) if column.title == "STATE")
    head, *body = table([column for column, _ in columns], cells, on)
    for line, each in zip(body, rows, strict=True):
        line[at] = painted(line[at], each.verdict, on)
    return ["  ".join(line).rstrip() for line in (head, *body)]


def printed(rows: Sequence[FleetRow], output: str) -> str:
    """A fleet as JSON, YAML or names."""
    if output == "name":
        return "\n".join(f"canary.flagger.app/{each.name}" for each in rows)
    return rendered(documents.fleet(rows), output)


def rendered(document: Any, output: str) -> str:
    """A document as JSON or YAML."""
    if output == "yaml":
        import yaml

        return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True)).rstrip()
    import orjson

    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


@click.command("list", context_settings=SETTINGS)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="the canaries of all namespaces")
@click.option(
    "-l", "--selector", default="", show_default=False, help="only canaries with these labels", metavar="LABELS"
)
@click.option("--verdict", multiple=True, type=click.Choice(list(map(str, Verdict))), help="only these states")
@click.option("-o", "--output", type=click.Choice(("wide", "json", "yaml", "name")), help="another form")
@click.option("--color", type=click.Choice(("never", "auto", "always")), default="auto", help="colours")
@on_cluster
async def command(
    cluster: Cluster, everywhere: bool, selector: str, verdict: tuple[str, ...], output: str | None, color: str
) -> int:
    """List canaries: what each does, and what it waits for. The one that needs you most is first."""
    namespace = "" if everywhere else cluster.namespace
    found = await Reader(cluster.client, cluster.clock).canaries(namespace, selector)
    rows = sorted((row(each, found.now) for each in found.objects), key=lambda each: each.order)
    rows = [each for each in rows if not verdict or each.verdict in verdict]
    if output in ("json", "yaml", "name"):
        print(printed(rows, output))
    elif not rows:
        print(f"No canaries found in {namespace or 'any'} namespace.", file=sys.stderr)
    else:
        on = screen(color)
        say("\n".join(lines(rows, found.now, on, namespaces=everywhere, wide=output == "wide")), on)
    return 0
