"""`flagger history`: the releases of a canary, one of them in full, or the difference of two."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from pyflagger.api.durations import stamp
from pyflagger.cli.cluster import Cluster, Wrong, on_cluster
from pyflagger.cli.completing import names
from pyflagger.cli.listing import rendered
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.single import key_of, missing
from pyflagger.cli.text import Column, Screen, say, screen, table
from pyflagger.kube.client import NotFound
from pyflagger.seeing import documents
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.model import Image, RecordView, ReleaseView
from pyflagger.seeing.words import age

COLUMNS = (
    Column("NUMBER", right=True),
    Column("OUTCOME"),
    Column("IMAGE", flexible=True),
    Column("WEIGHT", right=True),
    Column("FAILED", right=True),
    Column("TOOK", right=True),
    Column("AGE", right=True),
    Column("REASON", flexible=True),
)
NONE = "This canary has no record of a release: flagger records the next one, unless it runs with -release-history=0."
NO_KIND = (
    "this cluster has no CanaryRelease definition, so that no release is recorded: kubectl apply -k kustomize/crds"
)


def lines(found: Sequence[ReleaseView], now: float, on: Screen) -> list[str]:
    """The table."""
    rows = [_cells(each, now) for each in clean(tuple(found))]
    return ["  ".join(line).rstrip() for line in table(COLUMNS, rows, on)]


def _cells(release: ReleaseView, now: float) -> list[str]:
    return [
        str(release.number),
        release.outcome,
        release.images[0].new if release.images else "-",
        str(release.weight),
        f"{release.failed}/{release.threshold}",
        release.took or "-",
        "-" if release.started is None else age(now - release.started),
        release.text,
    ]


def whole(record: RecordView) -> Iterator[str]:
    """One record in full."""
    shown: RecordView = clean(record)
    release = shown.release
    yield f"Release {release.number}   {release.outcome}   {release.revision}"
    yield from _facts(shown)
    yield from _images(release.images)
    yield from (f"Changed     {path}" for path in release.changes)
    if shown.rounds:
        yield ""
        yield from _rounds(shown)
    for action in shown.actions:
        yield ""
        yield from _action(action)
    for wait in shown.waits:
        yield ""
        yield f"Waited      {_word(wait, 'from')} to {_word(wait, 'to')}: {_word(wait, 'text')}"


def _action(action: Mapping[str, Any]) -> Iterator[str]:
    """Who did what, when, and the result."""
    via = f" via {_word(action, 'via')}" if _word(action, "via") else ""
    why = f": {_word(action, 'reason')}" if _word(action, "reason") else ""
    yield f"Action      {_word(action, 'at')}  {_word(action, 'action')} by {_word(action, 'by')}{via}{why}"
    yield f"            {_word(action, 'result')}: {_word(action, 'text')}"


def _facts(record: RecordView) -> Iterator[str]:
    release, plan = record.release, record.plan
    facts = {
        "Cause": release.cause,
        "Began": stamp(release.started) if release.started is not None else "",
        "Ended": f"{stamp(release.finished)} after {release.took}" if release.finished is not None else "",
        "Because": release.text,
        "Do": release.todo,
        "Instead of": f"release {record.origin}" if record.origin else "",
        "Plan": f"{_word(plan, 'strategy')} by {_word(plan, 'provider')}, every {_word(plan, 'interval')}",
        "Template": "kept" if record.template is not None else record.template_omitted,
    }
    for name, value in facts.items():
        if value:
            yield f"{name:<12}{value}"


def _images(images: Sequence[Image]) -> Iterator[str]:
    for each in images:
        yield f"Image       {each.container}: {each.old or '-'} → {each.new}"


def _rounds(record: RecordView) -> Iterator[str]:
    for each in record.rounds:
        if gap := each.get("gap"):
            yield f"{' to '.join(map(str, clean(tuple(gap))))}   rounds of this time are lost"
            continue
        results = [_result(clean(check)) for check in each.get("checks") or () if isinstance(check, Mapping)]
        hooks = [_result(clean(hook)) for hook in each.get("hooks") or () if isinstance(hook, Mapping)]
        about = f"weight {each.get('weight') or 0}"
        yield f"{_word(each, 'at')}   {about:<12}{_word(each, 'end'):<10}{', '.join((*results, *hooks))}".rstrip()
    if record.skipped:
        yield f"{record.skipped} more rounds are not kept."


def _result(check: Mapping[str, Any]) -> str:
    value = check.get("value")
    shown = f" {value:g}" if isinstance(value, int | float) else ""
    return f"{_word(check, 'name')}{shown} {_word(check, 'verdict')}"


def _word(obj: Mapping[str, Any], key: str) -> str:
    value = obj.get(key)
    return value if isinstance(value, str) else ""


@click.command("history", context_settings=SETTINGS)
@click.argument("name", shell_complete=names)
@click.argument("number", type=int, required=False)
@click.option("--diff", type=int, nargs=2, metavar="N M", help="what differs between two releases")
@click.option("-o", "--output", type=click.Choice(("json", "yaml")), help="another form")
@click.option("--color", type=click.Choice(("never", "auto", "always")), default="auto", help="colours")
@on_cluster
async def command(
    cluster: Cluster, name: str, number: int | None, diff: tuple[int, int] | None, output: str | None, color: str
) -> int:
    """List the releases of the canary NAME, the newest first, or show the release NUMBER in full."""
    from pyflagger.seeing.history import difference, record_of, releases
    from pyflagger.seeing.read import Reader

    if diff and (number is not None or output):
        raise Wrong("--diff prints a difference: leave NUMBER and --output out", 2)
    key, on = key_of(name, cluster.namespace), screen(color)
    reader = Reader(cluster.client, cluster.clock)
    try:
        uid = await reader.uid(key)
    except NotFound as error:
        raise missing(key, error) from error
    try:
        found = await reader.releases(key, uid)
    except NotFound as error:
        raise Wrong(NO_KIND) from error
    by_number = {release.release.number: release for release in map(record_of, found.objects)}
    if diff:
        old, new = (_chosen(by_number, each) for each in diff)
        say("\n".join(clean(difference(old, new))) or "Nothing that a record keeps differs.", on)
    elif number is not None:
        chosen = _chosen(by_number, number)
        print(rendered(documents.record(chosen), output)) if output else say("\n".join(whole(chosen)), on)
    elif output:
        print(rendered(documents.document("ReleaseList", {"items": releases(found.objects)}), output))
    elif by_number:
        say("\n".join(lines(releases(found.objects), found.now, on)), on)
    else:
        print(NONE, file=sys.stderr)
    return 0


def _chosen(found: Mapping[int, RecordView], number: int) -> RecordView:
    if number not in found:
        known = ", ".join(map(str, sorted(found))) or "none"
        raise Wrong(f"there is no record of release {number}; there are: {known}")
    return found[number]
