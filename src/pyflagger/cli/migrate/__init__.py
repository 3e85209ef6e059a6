"""`flagger migrate`: what changes when this operator takes the place of Flagger, and the way back.

`check` only reads. `back --write` writes one field of each Canary that Flagger would otherwise release anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from pyflagger.cli.migrate import charts, settings, verdicts
from pyflagger.cli.migrate.cluster import canaries, client_of, container, operators
from pyflagger.cli.migrate.findings import STOPS, Fate, Finding, as_json, text
from pyflagger.cli.people import SETTINGS, Words, call
from pyflagger.clock import Clock, SystemClock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, Forbidden
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.kubeconfig import NoCluster
from pyflagger.kube.reach import find
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Key, Obj, Patch
from pyflagger.operator.options import Options

KUBECONFIG = click.option(
    "--kubeconfig", default="", help="path to a kubeconfig (default: KUBECONFIG, ~/.kube/config, or the pod's account)"
)
Report = Callable[[Client, Clock], Awaitable[list[Finding]]]
FORMS = {"text": text, "json": as_json}
OUTPUT = click.option("-o", "--output", "form", type=click.Choice(tuple(FORMS)), default="text", help="output format")
SEVERAL = "there are {} Deployments that look like an operator. Two operators must never act at once"
NONE = "no Deployment of an operator was found: its flags are unknown, and the defaults are assumed"
RUNS = "still has replicas. Scale it to zero before `flagger migrate back --write`: an operator that runs undoes it"


@click.group(context_settings=SETTINGS)
def command() -> None:
    """Say what changes when this operator takes over from Flagger, and prepare the way back."""


@command.command("check", cls=Words)
@KUBECONFIG
@click.option("--values", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Helm values of Flagger")
@OUTPUT
def check(kubeconfig: str, values: Path | None, form: str) -> int:
    """Read a cluster that runs Flagger, and say what happens to each setting and Canary. Writes nothing.

    Exit status: 0 if all goes on, 1 if something is refused, unreadable or released anew, 2 if the command line is
    invalid.
    """
    held = yaml.safe_load(values.read_text()) if values else None
    return _run(kubeconfig, form, lambda client, clock: checked(client, clock, held or {}), writes=False)


@command.command("back", cls=Words)
@KUBECONFIG
@click.option("--write", is_flag=True, help="prepare the Canaries; without it, only say what would be done")
@OUTPUT
def back(kubeconfig: str, write: bool, form: str) -> int:
    """Prepare Canaries for the return to Flagger, so that it releases none anew.

    Flagger cannot read the hash of a revision that this operator released. Scale this operator to zero first.

    Exit status: as for check.
    """
    return _run(kubeconfig, form, lambda client, clock: prepared(client, clock, write), writes=write)


async def checked(client: Client, clock: Clock, values: Mapping[str, Any]) -> list[Finding]:
    """All findings for the way to this operator. Raises ApiError."""
    found, rights = await _found(client)
    told, options = _settings(found)
    told += [*rights, *settings.helm(values), *await charts.versions(client)]
    read = await canaries(client, clock, options)
    told += [Finding(Fate.UNKNOWN, "rights", why) for why in read.unread]
    told += verdicts.over(read.seen)
    refused = {one.about for one in told if one.fate is Fate.REFUSED}
    linted = verdicts.linted(read.manifests, options.mesh_provider)
    return [*told, *(one for one in linted if one.fate is not Fate.REFUSED or one.about not in refused)]


async def _found(client: Client) -> tuple[tuple[Obj, ...], list[Finding]]:
    """The operators' Deployments, and a finding if they may not be listed. Raises ApiError."""
    try:
        return await operators(client), []
    except Forbidden as error:
        return (), [Finding(Fate.UNKNOWN, "rights", str(error))]


def _settings(found: Sequence[Obj]) -> tuple[list[Finding], Options]:
    """The findings about the operator's Deployment, and its options."""
    if not found:
        return [Finding(Fate.CHANGED, "operator", NONE)], Options()
    told = [Finding(Fate.CHANGED, "operator", SEVERAL.format(len(found)))] if len(found) > 1 else []
    one: Mapping[str, Any] = container(found[0]) or {}
    args = [*(one.get("command") or ())[1:], *(one.get("args") or ())]
    return [*told, *settings.arguments(args), *settings.variables(one.get("env") or ())], settings.options(args)


async def prepared(client: Client, clock: Clock, write: bool) -> list[Finding]:
    """All findings for the way back. Prepares the Canaries if `write` is given. Raises ApiError."""
    found, rights = await _found(client)
    awake = [_named(one) for one in found if one["spec"].get("replicas", 1)]
    told = [*rights, *(Finding(Fate.REFUSED, name, RUNS) for name in awake)]
    _, options = _settings(found)
    read = await canaries(client, clock, options)
    told += [Finding(Fate.UNKNOWN, "rights", why) for why in read.unread]
    for finding, key in verdicts.back(read.seen):
        told.append(finding)
        if key is not None and write and not awake and not rights:
            await client.patch(_prepare(key))
    return told


def _prepare(key: Key) -> Patch:
    """In this phase Flagger takes the target as it is, and releases nothing."""
    return Patch(CANARIES.ref(*key), {"status": {"phase": "Initializing"}}, subresource="status")


def _named(obj: Obj) -> str:
    return f"Deployment {obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _run(kubeconfig: str, form: str, report: Report, *, writes: bool) -> int:
    try:
        told = asyncio.run(_reported(kubeconfig, report, writes))
    except (NoCluster, ApiError, OSError, yaml.YAMLError) as error:
        click.echo(f"flagger migrate: {error}", err=True)
        return 1
    for line in FORMS[form](told):
        click.echo(line)
    return 1 if any(one.fate in STOPS for one in told) else 0


async def _reported(kubeconfig: str, report: Report, writes: bool) -> list[Finding]:
    clock = SystemClock()
    transport = AiohttpTransport(await find(kubeconfig, "", clock))
    try:
        return await report(client_of(transport, clock, writes=writes), clock)
    finally:
        await transport.close()


def main(argv: Sequence[str]) -> int:
    """Run a subcommand; see each for the exit status."""
    return call(command, argv, "flagger migrate")
