"""The commands that steer a release. Each creates one request, by `asking`."""

from __future__ import annotations

from typing import Any

import click

from pyflagger.cli.asking import Ask, Manner, ask, asking, named
from pyflagger.cli.cluster import Cluster, Wrong, on_cluster
from pyflagger.cli.completing import releases
from pyflagger.cli.people import SETTINGS, Duration


@click.command("promote", context_settings=SETTINGS)
@named
@click.option("--full", is_flag=True, help="whatever the checks and gates say, once the pods are ready")
@asking
@on_cluster
async def promote(cluster: Cluster, name: str, full: bool, manner: Manner) -> int:
    """Promote the release of the canary NAME now.

    The operator judges a round at once, over a window that may begin before the canary had its weight. If the round
    passes, the primary gets the new version, and gates before the promotion count as open. --full skips the checks.
    """
    return await ask(cluster, name, Ask({"action": "promote", **({"full": True} if full else {})}, grave=full), manner)


@click.command("pause", context_settings=SETTINGS)
@named
@click.option("--for", "lasting", type=Duration(), help="how long, such as 2h; default: until you resume it")
@click.option("--until", default="", show_default=False, help="when it ends, such as 2026-05-31T14:00:00Z")
@click.option("--then", type=click.Choice(("resume", "abort")), help="what follows at its end; default: resume")
@click.option("--no-rollback", is_flag=True, help="failed checks are counted, and nothing moves")
@asking
@on_cluster
async def pause(
    cluster: Cluster, name: str, lasting: float | None, until: str, then: str | None, no_rollback: bool, manner: Manner
) -> int:
    """Hold the canary NAME: no step, no promotion, no new release, until you resume it.

    The checks go on, and roll the release back as ever, unless --no-rollback is set.
    """
    if lasting is not None and until:
        raise Wrong("--for and --until both say when the pause ends: choose one", 2)
    if then and lasting is None and not until:
        raise Wrong("--then needs --for or --until: a pause without an end is followed by nothing", 2)
    fields = {"until": until, "then": then or "", "onFailure": "hold" if no_rollback else ""}
    spec = {"action": "pause", **{name: value for name, value in fields.items() if value}}
    return await ask(cluster, name, Ask(spec, any_revision=True, lasting=lasting), manner)


def _simple(action: str, text: str, **more: Any) -> click.Command:
    """A command without options of its own."""

    @named
    @asking
    @on_cluster
    async def run(cluster: Cluster, name: str, manner: Manner) -> int:
        return await ask(cluster, name, Ask({"action": action}, **more), manner)

    return click.command(action, context_settings=SETTINGS, help=text)(run)


RESUME = """Let the paused canary NAME go on.

It keeps its weight for one more interval, and is judged then."""
ABORT = """Roll the release of the canary NAME back.

All visitors get the primary's version again. The revision counts as failed: flagger does not try it again until its pod
template changes, or until you retry it."""
RETRY = "Run the revision of the canary NAME that failed again, from the gate before its start on."
RESTART = "Begin the analysis of the release of the canary NAME again, at weight 0."


@click.command("weight", context_settings=SETTINGS)
@named
@click.argument("weight", type=click.IntRange(0, 100), metavar="N")
@click.option("--hold", is_flag=True, help="pause at that weight")
@asking
@on_cluster
async def set_weight(cluster: Cluster, name: str, weight: int, hold: bool, manner: Manner) -> int:
    """Set the weight of the canary NAME to N percent now.

    It is held for one interval and judged then. The next step is the next larger one of the plan.
    """
    spec = {"action": "weight", "weight": weight, **({"hold": True} if hold else {})}
    return await ask(cluster, name, Ask(spec, reasoned=True), manner)


@click.command("undo", context_settings=SETTINGS)
@named
@click.argument("number", type=click.IntRange(min=1), required=False, shell_complete=releases, metavar="[N]")
@asking
@on_cluster
async def undo(cluster: Cluster, name: str, number: int | None, manner: Manner) -> int:
    """Give the primary of the canary NAME the pod template of the release before, or of release N.

    The target stays as Git has it. Its revision is not released again until its pod template changes.
    """
    spec = {"action": "undo", **({"to": number} if number is not None else {})}
    return await ask(cluster, name, Ask(spec, grave=True), manner)


commands: dict[str, click.Command] = {
    "promote": promote,
    "pause": pause,
    "resume": _simple("resume", RESUME),
    "abort": _simple("abort", ABORT, grave=True),
    "retry": _simple("retry", RETRY),
    "restart": _simple("restart", RESTART),
    "weight": set_weight,
    "undo": undo,
}
