"""`flagger rehearse`: plays releases on virtual time against scripted metrics and hooks, and checks how they end.

The whole operator runs, on the embedded cluster of the sandbox. Imports the sandbox only when run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from pyflagger import logs
from pyflagger.api.parse import Invalid
from pyflagger.cli.manifests import Found, Unreadable, read
from pyflagger.cli.people import LEVELS, Words, call
from pyflagger.cli.recording import Past, past, record
from pyflagger.clock import SystemClock
from pyflagger_sandbox.rehearsal import virtual
from pyflagger_sandbox.rehearsal.casting import Miscast
from pyflagger_sandbox.rehearsal.player import play
from pyflagger_sandbox.rehearsal.production import options, production
from pyflagger_sandbox.rehearsal.recordings import KIND as RECORDING
from pyflagger_sandbox.rehearsal.recordings import Recording, Unusable, loaded
from pyflagger_sandbox.rehearsal.reports import FORMS, Report, junit
from pyflagger_sandbox.rehearsal.script import KIND, Rehearsal, parsed
from pyflagger_sandbox.rehearsal.verdicts import outcome

INVALID = 2


class Unplayable(Exception):
    """A file or a script is invalid. One line for each problem, each with its file."""


def found(places: Sequence[str]) -> list[Found]:
    """The objects of some files. Raises Unplayable."""
    entries = list(read(places))
    lost = [f"{each.file}: {each.text}" for each in entries if isinstance(each, Unreadable)]
    if lost:
        raise Unplayable("\n".join(lost))
    return [each for each in entries if isinstance(each, Found)]


def script(one: Found) -> Rehearsal:
    """The script of a document. Raises Unplayable."""
    try:
        return parsed(one.obj)
    except Invalid as invalid:
        name = one.obj.get("name", "without a name")
        lines = (f"{one.file}:{one.line(each.path)}: {KIND} {name}: {each.text}" for each in invalid.problems)
        raise Unplayable("\n".join(lines)) from None


def recording(file: Path) -> Recording:
    """Read a recording. Raises Unplayable."""
    try:
        return loaded(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, Unusable) as error:
        raise Unplayable(f"{file}: {error.strerror if isinstance(error, OSError) else error}") from None


def rehearsed(one: Found, manifests: Sequence[Found]) -> Report:
    """Play one script with these manifests, and those that it names. Raises Unplayable."""
    asked, near = script(one), Path(one.file).parent
    recordings = {part.recorded: recording(near / part.recorded) for part in asked.canaries if part.recorded}
    try:
        made = production(asked, [each.obj for each in (*manifests, *named(one))], recordings)
        played = virtual.run(play(made))
    except Miscast as error:
        raise Unplayable(f"{one.file}: {KIND} {asked.name}: {error}") from None
    except Invalid as invalid:
        lines = (f"{one.file}: {KIND} {asked.name}: a manifest: {each.text}" for each in invalid.problems)
        raise Unplayable("\n".join(lines)) from None
    told = tuple(outcome(key, made, each) for key, each in played.items())
    return Report(asked.name, one.file, tuple(made.cluster.notes), told)


def named(one: Found) -> list[Found]:
    """The manifests that a script names. Raises Unplayable."""
    return found([str(Path(one.file).parent / name) for name in script(one).files])


def apart(files: Sequence[str]) -> tuple[list[Found], list[Found]]:
    """The scripts and the manifests of some files. Recordings in a directory are neither. Raises Unplayable."""
    entries = [each for each in found(files) if each.obj.get("kind") != RECORDING]
    scripts = [each for each in entries if each.obj.get("kind") == KIND]
    return scripts, [each for each in entries if each.obj.get("kind") != KIND]


def record_all(wanted: Past, files: Sequence[str]) -> None:
    """Record for the Canaries of some files, and of those that their scripts name. Raises Unplayable."""
    scripts, manifests = apart(files)
    flags = next((asked.operator for asked in map(script, scripts) if asked.operator), ())
    objects = [each.obj for each in (*manifests, *(one for each in scripts for one in named(each)))]
    try:
        record(wanted, objects, options(flags), click.echo)
    except (Unusable, Miscast, OSError, Invalid) as error:
        raise Unplayable(str(error)) from None


def reports(files: Sequence[str]) -> Iterator[Report]:
    """Play the scripts of some files, each with the manifests of its file and of files without a script.

    Raises Unplayable.
    """
    scripts, manifests = apart(files)
    if not scripts:
        raise Unplayable(
            f"no document of kind {KIND} is in {', '.join(files)}: it says what to release, and what to answer"
        )
    others = {each.file for each in scripts}
    for each in scripts:
        yield rehearsed(each, [one for one in manifests if one.file == each.file or one.file not in others])


@click.command(cls=Words)
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", "form", type=click.Choice(tuple(FORMS)), default="text", help="output format")
@click.option("--junit", "xml", type=click.Path(path_type=Path, dir_okay=False), help="also write JUnit XML to a file")
@click.option("--prometheus", help="instead of playing, record what this Prometheus has; a base URL")
@click.option("--from", "begin", help="beginning of the recording: an RFC 3339 time, or an age such as 90m")
@click.option("--to", "end", help="its end, in the same forms")
@click.option(
    "--record", "file", type=click.Path(path_type=Path, dir_okay=False), help="file to write the recording to"
)
@click.option(
    "--log-level", type=click.Choice(LEVELS), default="fatal", help="log level of the operator on standard error"
)
def command(
    files: tuple[str, ...],
    form: str,
    xml: Path | None,
    prometheus: str | None,
    begin: str | None,
    end: str | None,
    file: Path | None,
    log_level: str,
) -> int:
    """Play releases on virtual time against scripted metrics and hooks.

    FILES are files, directories (all .yaml, .yml and .json below them) or `-` for standard input: manifests, and
    scripts of kind Rehearsal. Each script is played by the whole operator on a cluster of its own.

    Exit status: 0 if every release ended as its script expects, 1 if one did not, 2 if the command line, a file or a
    script is invalid.
    """
    logs.configure(log_level, "console")
    wanted = past(SystemClock(), prometheus, begin, end, file)
    try:
        if wanted is not None:
            record_all(wanted, files)
            return 0
        told = list(reports(files))
    except Unplayable as error:
        for line in str(error).splitlines():
            click.echo(f"flagger rehearse: {line}", err=True)
        return INVALID
    for line in FORMS[form](told):
        click.echo(line)
    if xml is not None:
        xml.write_text(junit(told), encoding="utf-8")
    return 0 if all(each.passed for each in told) else 1


def main(argv: Sequence[str]) -> int:
    """Play scripts; see `command` for the exit status."""
    return call(command, argv, "flagger rehearse")
