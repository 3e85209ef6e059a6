"""`flagger list`: a row for each canary, the one that needs a person first."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import click

from pyflagger.cli.cluster import Cluster, Wrong, on_cluster_briefly
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.text import Column, Screen, painted, say, screen, state, table
from pyflagger.objects import Obj
from pyflagger.seeing import documents
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.fleet import SORTS, row
from pyflagger.seeing.model import FleetRow, Verdict
from pyflagger.seeing.read import Listed, Reader
from pyflagger.seeing.words import NONE, age, changed, since, waits_for

Cell = Callable[[FleetRow, float, Screen], str]


def _weight(row: FleetRow, now: float, on: Screen) -> str:
    return str(row.weight.canary) if row.weight else NONE


def _step(row: FleetRow, now: float, on: Screen) -> str:
    return f"{row.step.at}/{row.step.of}" if row.step else NONE


def _failed(row: FleetRow, now: float, on: Screen) -> str:
    return f"{row.failed.checks}/{row.failed.threshold}" if row.failed else NONE


def progress(row: FleetRow) -> str:
    """The state of a canary in a line, without anything that changes by time alone."""
    words = [f"{row.verdict}: {row.phase or 'new'}"]
    if row.step:
        words.append(f"step {row.step.at}/{row.step.of}")
    if row.weight:
        words.append(f"weight {row.weight.canary}")
    if row.failed and row.failed.checks:
        words.append(f"failed {row.failed.checks}/{row.failed.threshold}")
    why = "no operator is at work" if row.verdict is Verdict.SILENT else waits_for(row) if row.wait or row.hold else ""
    return ", ".join(words) + (f"; {why}" if why else "")


def _since(row: FleetRow, now: float, on: Screen) -> str:
    begun = since(row)
    return NONE if begun is None else age(now - begun)


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


class Choice(NamedTuple):
    """What to list. `namespace` is empty for all."""

    namespace: str
    selector: str
    verdicts: tuple[str, ...]
    sort: str = "verdict"

    def rows(self, objects: Iterable[Obj], now: float) -> list[FleetRow]:
        """The rows of canaries, chosen and in order."""
        found = sorted((row(each, now) for each in objects), key=SORTS[self.sort])
        return [each for each in found if not self.verdicts or each.verdict in self.verdicts]


def fleet_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command about many canaries."""
    for option in (
        click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="the canaries of all namespaces"),
        click.option(
            "-l", "--selector", default="", show_default=False, help="only canaries with these labels", metavar="LABELS"
        ),
    ):
        function = option(function)
    return function


async def read(cluster: Cluster, chosen: Choice, *, exact: bool = True) -> Listed:
    """The canaries. Says so if the person may list some namespaces only. Raises ApiError."""
    reader = Reader(cluster.client, cluster.clock, exact=exact)
    if chosen.namespace:
        return await reader.canaries(chosen.namespace, chosen.selector)
    found, hidden = await reader.everywhere(chosen.selector)
    if hidden:
        print(f"You may not list the canaries of {hidden} more namespaces.", file=sys.stderr)
    return found


def shown(rows: Sequence[FleetRow], now: float, on: Screen, chosen: Choice, *, wide: bool) -> str:
    """The table, or that there is nothing to show."""
    if not rows:
        return f"No canaries found in {chosen.namespace or 'any'} namespace."
    return "\n".join(lines(rows, now, on, namespaces=not chosen.namespace, wide=wide))


@click.command("list", context_settings=SETTINGS)
@fleet_options
@click.option("--verdict", multiple=True, type=click.Choice(list(map(str, Verdict))), help="only these states")
@click.option("--sort", type=click.Choice(list(SORTS)), default="verdict", help="the order")
@click.option("-w", "--watch", is_flag=True, help="go on, and show each change")
@click.option("-o", "--output", type=click.Choice(("wide", "json", "yaml", "name")), help="another form")
@click.option("--color", type=click.Choice(("never", "auto", "always")), default="auto", help="colours")
@on_cluster_briefly
async def command(
    cluster: Cluster,
    everywhere: bool,
    selector: str,
    verdict: tuple[str, ...],
    sort: str,
    watch: bool,
    output: str | None,
    color: str,
) -> int:
    """List canaries: what each does, and what it waits for. The one that needs you most is first."""
    chosen, on = Choice("" if everywhere else cluster.namespace, selector, verdict, sort), screen(color)
    wide = output == "wide"
    if watch:
        from pyflagger.cli.listing_live import watched

        if output and not wide:
            raise Wrong(f"--watch prints text: leave --output={output} out", 2)
        return await watched(cluster, chosen, on, wide=wide)
    found = await read(cluster, chosen, exact=bool(output) and not wide)
    rows = chosen.rows(found.objects, found.now)
    if output and not wide:
        print(printed(rows, output))
    elif rows:
        say(shown(rows, found.now, on, chosen, wide=wide), on)
    else:
        print(shown(rows, found.now, on, chosen, wide=wide), file=sys.stderr)
    return 0
