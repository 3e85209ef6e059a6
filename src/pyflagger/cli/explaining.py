"""`flagger explain`: why a canary stands where it stands, and what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from pyflagger.api.durations import stamp
from pyflagger.cli.cluster import Cluster, on_cluster
from pyflagger.cli.listing import rendered
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.single import about_one, seen
from pyflagger.cli.text import Screen, age, clean, painted, say, screen
from pyflagger.seeing import documents
from pyflagger.seeing.explain import explain
from pyflagger.seeing.model import Cause, Explanation

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


@click.command("explain", context_settings=SETTINGS)
@about_one
@click.option("--verbose", is_flag=True, help="all causes, not only the first")
@click.option("--exit-code", is_flag=True, help="exit status 1 if the canary stands")
@click.option("-o", "--output", type=click.Choice(("json", "yaml")), help="another form")
@on_cluster
async def command(
    cluster: Cluster, name: str, mesh_provider: str, color: str, verbose: bool, exit_code: bool, output: str | None
) -> int:
    """Say why the canary NAME stands where it stands, what happens next, and what you can do."""
    read = await seen(cluster, name, mesh_provider)
    found = explain(read.look, read.view)
    if output:
        print(rendered(documents.explanation(found), output))
    else:
        on = screen(color)
        say("\n".join(text(clean(found), read.look.now, on, verbose=verbose)), on)
    return 1 if exit_code and not found.healthy else 0
