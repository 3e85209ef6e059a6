"""`flagger rehearse --record FILE`: asks a Prometheus for the answers to a canary's checks in a past time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from pyflagger.api import durations
from pyflagger.api.canary import Canary
from pyflagger.clock import Clock
from pyflagger.metrics.base import ProviderError
from pyflagger.objects import Obj
from pyflagger.operator.options import Options
from pyflagger.operator.process.http import AiohttpHttp
from pyflagger.wire import Http, HttpFailure, shown_url
from pyflagger_sandbox.rehearsal import casting, recordings
from pyflagger_sandbox.rehearsal.recordings import Unusable


@dataclass(frozen=True, slots=True)
class Past:
    """What to record: the address of the Prometheus, the time in seconds since the epoch, and the file."""

    prometheus: str
    start: float
    end: float
    file: Path


def past(clock: Clock, prometheus: str | None, begin: str | None, end: str | None, file: Path | None) -> Past | None:
    """The options of a recording, which belong together; None without any. Raises click.UsageError."""
    given = {"--prometheus": prometheus, "--from": begin, "--to": end, "--record": file}
    if not any(given.values()):
        return None
    if lost := [name for name, value in given.items() if not value]:
        raise click.UsageError(f"a recording needs {' and '.join(lost)} as well")
    assert prometheus and begin and end and file
    found = Past(prometheus, round(_time(clock, "--from", begin)), round(_time(clock, "--to", end)), file)
    if not found.start < found.end <= clock.now():
        raise click.UsageError("--from must be before --to, and both in the past")
    return found


def _time(clock: Clock, name: str, text: str) -> float:
    """An RFC 3339 time, or a duration before now."""
    for read in (durations.epoch, lambda text: clock.now() - durations.parse(text)):
        try:
            return read(text)
        except ValueError:
            continue
    raise click.UsageError(f"{name}: {text!r} is neither a time such as 2026-11-30T12:00:00Z nor an age such as 90m")


def asked(objects: Iterable[Obj], options: Options) -> dict[str, None]:
    """The queries of all Canaries of some files, in order. Raises Unusable, casting.Miscast, parse.Invalid."""
    made = casting.cluster(list(objects), options, complete=False)
    templates = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each["spec"]["query"]
        for each in objects_of(made.objects)
    }
    found: dict[str, None] = {}
    for canary in made.canaries.values():
        found |= recordings.queries(canary, options.mesh_provider, templates)
        _check(canary, templates)
    if not found:
        raise Unusable("no Canary of the files has a metric to record")
    return found


def objects_of(objects: Iterable[Obj], kind: str = "MetricTemplate") -> list[Obj]:
    """The objects of a kind."""
    return [each for each in objects if each["kind"] == kind]


def _check(canary: Canary, templates: Mapping[tuple[str, str], str]) -> None:
    """Every template of the canary is in a file. Raises Unusable."""
    for metric in canary.spec.analysis.metrics if canary.spec.analysis else ():
        ref = metric.template_ref
        if ref and (ref.namespace or canary.metadata.namespace, ref.name) not in templates:
            raise Unusable(f"MetricTemplate {ref.name} of metric {metric.name} is in no file: add it to the FILEs")


async def fetched(http: Http, wanted: Past, queries: Iterable[str]) -> str:
    """The file of a recording. Raises Unusable."""
    length = wanted.end - wanted.start
    step = recordings.step_of(length)
    found = {}
    for query in queries:
        try:
            request = recordings.request(wanted.prometheus, query, wanted.start, wanted.end, step)
            found[query] = recordings.values(await http.send(request), wanted.start)
        except (HttpFailure, ProviderError) as error:
            raise Unusable(f"{shown_url(wanted.prometheus)}: {error}") from None
        except Unusable as error:
            raise Unusable(f"{shown_url(wanted.prometheus)}: {' '.join(query.split())}: {error}") from None
    return recordings.dumped(wanted.start, length, step, found)


def record(wanted: Past, objects: Iterable[Obj], options: Options, say: Callable[[str], None]) -> None:
    """Record, and say how many values each query has. Raises Unusable, casting.Miscast, parse.Invalid."""
    text = asyncio.run(_recorded(wanted, asked(objects, options)))
    wanted.file.write_text(text, encoding="utf-8")
    recorded = recordings.loaded(text)
    every = int(recorded.length // recorded.step) + 1
    say(f"recorded {durations.show(recorded.length)} of {shown_url(wanted.prometheus)} in {wanted.file}")
    for query, points in recorded.values.items():
        say(f"  {len(points)} of {every} values: {' '.join(query.split())}")


async def _recorded(wanted: Past, queries: Iterable[str]) -> str:
    async with AiohttpHttp() as http:
        return await fetched(http, wanted, queries)
