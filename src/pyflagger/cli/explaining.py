"""`flagger explain`: why a canary stands where it stands, and what to do."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click

from pyflagger.api.durations import stamp
from pyflagger.cli.cluster import Cluster, Wrong, on_cluster
from pyflagger.cli.listing import Choice, fleet_options, read, rendered
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.single import home_option, optional_name, seen
from pyflagger.cli.text import Column, Screen, painted, say, screen, state, table
from pyflagger.kube.errors import NotFound
from pyflagger.seeing import documents
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.model import HEALTHY, Cause, Explanation, FleetRow
from pyflagger.seeing.words import age

COLUMNS = 80
AGREEMENT = {
    "same": "the operator and the live objects say the same.",
    "operator-behind": "the live objects: the operator has not looked at them yet.",
    "partly-seen": "what you may read: not all of its objects are visible to you.",
    "foreign": "the live objects and the status: Flagger runs this canary.",
}


def text(found: Explanation, now: float, on: Screen, *, verbose: bool) -> Iterator[str]:
    """The explanation in sections."""
    width = min(on.width or COLUMNS, 100)
    head = textwrap.fill(found.headline, width)
    yield painted(head, found.verdict, on)
    first, *others = found.causes or (None,)
    yield ""
    if first is not None:
        yield from _section("WHY", [_sentence(first.text)], width)
        since = [f"Since {stamp(found.since)}, for {age(now - found.since)}."] if found.since is not None else []
        yield from _section("SEEN", [*map(_sentence, first.evidence), *since], width)
    yield from _section("NEXT", [_sentence(found.next)] if found.next else [], width)
    if first is not None:
        yield from _section("DO", [first.todo] if first.todo else [], width)
        yield from (f"       {command}" for command in first.commands)
    if verbose and others:
        yield from _section("OTHERS", [_other(each) for each in others if each is not None], width)
    yield from _section("FROM", [AGREEMENT[found.agreement]], width)


def _other(cause: Cause) -> str:
    return f"{cause.code}: {cause.text.rstrip('. ')}. {cause.todo}".rstrip()


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}".rstrip(".") + "."


def _section(title: str, paragraphs: list[str], width: int) -> Iterator[str]:
    for at, each in enumerate(paragraphs):
        label = f"{title if at == 0 else '':<7}"
        yield textwrap.fill(each, width, initial_indent=label, subsequent_indent=" " * 7, break_on_hyphens=False)


NAMESPACE = Column("NAMESPACE")
COLUMNS_OF_ALL = (Column("NAME"), Column("STATE"), Column("WHY", flexible=True), Column("DO", flexible=True))
LOOKS_MAX = 4
"""Canaries that are read at the same time. Each takes about fifteen requests."""


async def all_of(cluster: Cluster, chosen: Choice, mesh_provider: str, home: str = "") -> list[Explanation]:
    """The explanations of all canaries that are neither idle nor moving, the worst first. Raises ApiError."""
    from pyflagger.seeing.explain import explain

    found = await read(cluster, chosen)
    slots = asyncio.Semaphore(LOOKS_MAX)

    async def one(row: FleetRow) -> Explanation | None:
        async with slots:
            try:
                seen_now = await seen(cluster, f"{row.name}.{row.namespace}", mesh_provider, home=home)
            except NotFound:
                return None
            return explain(seen_now.look, seen_now.view)

    standing = [row for row in chosen.rows(found.objects, found.now) if row.verdict not in HEALTHY]
    return [each for each in await asyncio.gather(*map(one, standing)) if each is not None]


def lines_of(found: Sequence[Explanation], on: Screen, *, namespaces: bool) -> list[str]:
    """A line for each explanation: its first cause, and what to do."""
    columns = (*((NAMESPACE,) if namespaces else ()), *COLUMNS_OF_ALL)
    cells = [
        [*((each.namespace,) if namespaces else ()), each.name, state(each.verdict, on), *_first(each)]
        for each in map(clean, found)
    ]
    head, *body = table(columns, cells, on)
    for line, each in zip(body, found, strict=True):
        line[len(columns) - 3] = painted(line[len(columns) - 3], each.verdict, on)
    return ["  ".join(line).rstrip() for line in (head, *body)]


def _first(found: Explanation) -> tuple[str, str]:
    first = found.causes[0] if found.causes else Cause("", found.headline)
    return first.text, first.todo


async def _explain_all(
    cluster: Cluster, chosen: Choice, assumed: tuple[str, str], on: Screen, output: str | None, *, exit_code: bool
) -> int:
    """`assumed`: the provider and the namespace of the operator, if they are not known."""
    found = await all_of(cluster, chosen, *assumed)
    if output:
        print(rendered(documents.document("ExplanationList", {"items": found}), output))
    elif found:
        say("\n".join(lines_of(found, on, namespaces=not chosen.namespace)), on)
    else:
        print(f"Every canary in {chosen.namespace or 'any'} namespace is idle or moving.", file=sys.stderr)
    return 1 if exit_code and found else 0


@click.command("explain", context_settings=SETTINGS)
@optional_name
@fleet_options
@home_option
@click.option("--verbose", is_flag=True, help="all causes, not only the first")
@click.option("--exit-code", is_flag=True, help="exit status 1 if the canary stands")
@click.option("-o", "--output", type=click.Choice(("json", "yaml")), help="another form")
@on_cluster
async def command(
    cluster: Cluster,
    name: str,
    mesh_provider: str,
    color: str,
    everywhere: bool,
    selector: str,
    home: str,
    verbose: bool,
    exit_code: bool,
    output: str | None,
) -> int:
    """Say why the canary NAME stands where it stands, what happens next, and what you can do.

    Without NAME: a line for each canary that is neither idle nor moving.
    """
    on = screen(color)
    if not name:
        chosen = Choice("" if everywhere else cluster.namespace, selector, ())
        return await _explain_all(cluster, chosen, (mesh_provider, home), on, output, exit_code=exit_code)
    if everywhere or selector:
        raise Wrong("--all-namespaces and --selector choose among many canaries: leave NAME out", 2)
    from pyflagger.seeing.explain import explain

    one = await seen(cluster, name, mesh_provider, home=home)
    found = explain(one.look, one.view)
    if output:
        print(rendered(documents.explanation(found), output))
    else:
        say("\n".join(text(clean(found), one.look.now, on, verbose=verbose)), on)
    return 1 if exit_code and not found.healthy else 0
