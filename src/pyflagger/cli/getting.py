"""`flagger get`: one canary with its traffic, checks and pods, as a header and a tree."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from pyflagger.api.compared import odds
from pyflagger.cli.cluster import Cluster, Wrong, on_cluster
from pyflagger.cli.listing import rendered
from pyflagger.cli.people import SETTINGS
from pyflagger.cli.single import about_one, home_option, seen
from pyflagger.cli.text import Column, Screen, painted, say, screen, state, table
from pyflagger.seeing import documents
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.model import CanaryView, Check, Pod, Time, Workload
from pyflagger.seeing.words import age, next_text, summary, waits_for

BAR_COLUMNS = 25
MARKS = {"pass": ("✔", "+"), "bad": ("✖", "x"), "no-data": ("○", "o"), "error": ("△", "!")}


def header(view: CanaryView, now: float, on: Screen) -> Iterator[str]:
    """What the release does, waits for, and how traffic is split."""
    row = view.canary
    words = [row.phase or "new"]
    if row.step:
        words.append(f"step {row.step.at}/{row.step.of}")
    if row.last_transition is not None:
        words.append(f"for {age(now - row.last_transition)}")
    yield f"{row.name}.{row.namespace}   {painted(state(row.verdict, on), row.verdict, on)}   {', '.join(words)}"
    if row.wait or row.hold or row.stale:
        yield from wrapped("Waits for", waits_for(row), on)
    if view.next:
        yield f"Next        {next_text(view, now)}"
    yield from _traffic(view, on)
    yield from _images(view)
    yield from _checks(view, on)


def wrapped(title: str, words: str, on: Screen) -> Iterator[str]:
    """A titled line, wrapped on a terminal."""
    if on.width is None:
        yield f"{title:<12}{words}"
    else:
        yield from textwrap.wrap(words, on.width, initial_indent=f"{title:<12}", subsequent_indent=" " * 12)


def _traffic(view: CanaryView, on: Screen) -> Iterator[str]:
    split = view.traffic
    if split is None:
        return
    where = f"{split.route.kind} {split.route.name}" if split.route else "no route"
    told = f"{where}, {view.canary.provider}" + (" (by the status)" if split.source == "status" else "")
    yield f"Traffic     primary {bar(split.primary, on)} {split.primary:>3} %   {told}"
    most = f"   max {view.canary.weight.max}" if view.canary.weight else ""
    mirrored = "   mirrored" if split.mirrored else ""
    yield f"            canary  {bar(split.canary, on)} {split.canary:>3} %{most}{mirrored}"
    yield from (f"            {rule}" for rule in split.rules)


def bar(percent: int, on: Screen) -> str:
    """A share as a bar."""
    full, empty = ("█", "░") if on.unicode else ("#", ".")
    filled = round(percent * BAR_COLUMNS / 100)
    return full * filled + empty * (BAR_COLUMNS - filled)


def _images(view: CanaryView) -> Iterator[str]:
    title = "Images      "
    for each in view.images:
        same = each.primary == each.canary
        for role, image in (("primary", each.primary), ("canary", each.canary)):
            if image is not None and not (same and role == "canary"):
                yield f"{title}{image}  {'both' if same else role}"
                title = " " * len(title)


def _checks(view: CanaryView, on: Screen) -> Iterator[str]:
    if not view.checks:
        return
    columns = [Column("", flexible=False), Column(""), Column("", right=True), Column("")]
    cells = [[_mark(each, on), each.name, _value(each), _evidence(each) or _limit(each)] for each in view.checks]
    title = "Checks      "
    for line in table(columns, cells, Screen(unicode=on.unicode))[1:]:
        yield f"{title}{'  '.join(line).rstrip()}"
        title = " " * len(title)


def _mark(check: Check, on: Screen) -> str:
    return MARKS.get(check.verdict or "", ("·", "-"))[0 if on.unicode else 1]


def _value(check: Check) -> str:
    if check.value is None:
        return "no data" if check.verdict == "no-data" else "-"
    return f"{check.value:g} {check.unit}".rstrip()


def _evidence(check: Check) -> str:
    return f"evidence {odds(check.evidence)} that it is worse than the primary" if check.evidence is not None else ""


def _limit(check: Check) -> str:
    limits = [
        f"at least {check.min:g}" if check.min is not None else "",
        f"at most {check.max:g}" if check.max is not None else "",
    ]
    return " and ".join(filter(None, limits))


# The tree -----------------------------------------------------------------------------------------------------------

TREE = (
    Column("NAME"),
    Column("KIND"),
    Column("STATE", flexible=True),
    Column("READY", right=True),
    Column("AGE", right=True),
)
Line = tuple[str, str, str, str, str]


def tree(view: CanaryView, now: float, on: Screen, pods: str) -> Iterator[str]:
    """The canary and its objects. `pods`: all, bad or none; bad ones are always shown but with none."""
    lines: list[Line] = [(view.canary.name, "Canary", state(view.canary.verdict, on), "", "")]
    blocks = [_workload(each, now, on, pods) for each in view.workloads]
    route = view.traffic.route if view.traffic else None
    if route:
        share = f"weight {view.traffic.canary}" if view.traffic else ""
        blocks.append([(route.name, route.kind, share, "", "")])
    for at, block in enumerate(blocks):
        lines += _branched(block, last=at == len(blocks) - 1, on=on)
    yield from ("  ".join(line).rstrip() for line in table(TREE, lines, on))


def _branched(block: list[Line], *, last: bool, on: Screen) -> list[Line]:
    """A block under its parent: the first line has the branch, the others are indented."""
    branch, more = (
        (("└─ ", "   ") if last else ("├─ ", "│  ")) if on.unicode else (("`- ", "   ") if last else ("|- ", "|  "))
    )
    return [((branch if at == 0 else more) + line[0], *line[1:]) for at, line in enumerate(block)]


def _workload(each: Workload, now: float, on: Screen, pods: str) -> list[Line]:
    ready = "" if each.desired is None else f"{each.ready or 0}/{each.desired}"
    whole = "missing" if not each.exists else each.role
    block: list[Line] = [(each.name, each.kind, whole, ready, _age(each.since, now))]
    shown = [found for found in each.sets if found.current or any(_bad(pod) for pod in found.pods)]
    for at, found in enumerate(shown):
        lines = _pods(found.pods, now, on, pods, folded=each.role == "primary")
        if found.name:
            head: Line = (
                found.name,
                "ReplicaSet",
                f"revision {found.revision}",
                f"{_ready(found.pods)}/{len(found.pods)}",
                "",
            )
            lines = [
                head,
                *(one for n, line in enumerate(lines) for one in _branched([line], last=n == len(lines) - 1, on=on)),
            ]
            block += _branched(lines, last=at == len(shown) - 1, on=on)
        else:
            block += [one for n, line in enumerate(lines) for one in _branched([line], last=n == len(lines) - 1, on=on)]
    return block


def _pods(found: tuple[Pod, ...], now: float, on: Screen, pods: str, *, folded: bool) -> list[Line]:
    bad = [each for each in found if _bad(each)]
    if pods == "none":
        return []
    whole = pods == "all" or (pods == "auto" and not folded)
    shown = list(found) if whole else bad
    lines: list[Line] = [
        (each.name, "Pod", f"{each.state} {each.message}".rstrip(), each.ready, _age(each.since, now)) for each in shown
    ]
    rest = len(found) - len(shown)
    return [*lines, (f"{rest} {'pod' if rest == 1 else 'pods'}", "", "ready", "", "")] if rest else lines


def _bad(pod: Pod) -> bool:
    return pod.state != "ready"


def _ready(pods: tuple[Pod, ...]) -> int:
    return sum(not _bad(pod) for pod in pods)


def _age(since: Time | None, now: float) -> str:
    return "" if since is None else age(now - since)


def text(view: CanaryView, now: float, on: Screen, pods: str = "auto") -> Iterator[str]:
    """The whole output."""
    yield from header(view, now, on)
    yield ""
    yield from tree(view, now, on, pods)
    yield from unseen(view)


def unseen(view: CanaryView) -> Iterator[str]:
    """What the person may not see, once each."""
    if view.missing:
        parts = sorted({f"{each.resource} ({each.verb})" for each in view.missing})
        yield ""
        yield f"Not visible to you: {', '.join(parts)}"
    if view.operator.foreign:
        yield ""
        yield f"Run by Flagger: {summary(view)} is shown as far as its status and the live objects say."


@click.command("get", context_settings=SETTINGS)
@about_one
@home_option
@click.option("--pods", type=click.Choice(("auto", "all", "bad", "none")), default="auto", help="pods in the tree")
@click.option("-w", "--watch", is_flag=True, help="go on, and show each change")
@click.option("--until-done", is_flag=True, help="watch until the release has ended, with the exit status of wait")
@click.option("-o", "--output", type=click.Choice(("json", "yaml", "name")), help="another form")
@on_cluster
async def command(
    cluster: Cluster,
    name: str,
    mesh_provider: str,
    color: str,
    home: str,
    pods: str,
    watch: bool,
    until_done: bool,
    output: str | None,
) -> int:
    """Show the canary NAME: what it does, its traffic, its checks and its pods."""
    if watch or until_done:
        from pyflagger.cli.watching import watched

        if output:
            raise Wrong(f"--watch prints text: leave --output={output} out", 2)
        return await watched(cluster, name, mesh_provider, screen(color), pods, until_done=until_done)
    found = await seen(cluster, name, mesh_provider, history=output in ("json", "yaml"), home=home)
    if output == "name":
        print(f"canary.flagger.app/{found.view.canary.name}")
    elif output:
        print(rendered(documents.canary(found.view), output))
    else:
        on = screen(color)
        say("\n".join(text(clean(found.view), found.look.now, on, pods)), on)
    return 0
