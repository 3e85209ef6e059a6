"""The docs name everything that users can meet: fields, flags, commands, metrics, events, phases."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from docs import phases
from docs.paths import fields, table
from pyflagger.api.meaning import MEANING
from pyflagger.api.status import Phase
from pyflagger.cli.main import COMMANDS, SERVICES
from pyflagger.cli.people import Commands
from pyflagger.core import reasons
from pyflagger.core.decision import Reason
from pyflagger.core.transitions import ALLOWED
from pyflagger.goflags import Flag
from pyflagger.loadtester.options import FLAGS as LOADTESTER
from pyflagger.operator.options import FLAGS as OPERATOR
from pyflagger.operator.process.telemetry import Telemetry

DOCS = Path(__file__).resolve().parents[2] / "docs"


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / name).read_text()


def test_every_field_has_a_meaning() -> None:
    """`kubectl explain` says something about each field, and nothing is described that is not there."""
    assert [field.path for field in fields() if not field.meaning] == []
    known = {(field.kind, field.path) for field in fields()} | {(kind, part) for kind in MEANING for part in PARTS}
    assert [(kind, path) for kind, paths in MEANING.items() for path in paths if (kind, path) not in known] == []


PARTS = ("spec", "status")


@pytest.mark.parametrize(
    "kind, part", [("Canary", "spec"), ("Canary", "status"), ("MetricTemplate", "spec"), ("AlertProvider", "spec")]
)
def test_the_tables_of_fields_are_those_of_the_kinds(kind: str, part: str) -> None:
    """The page of the kinds holds each table as the CRDs have it."""
    assert table(kind, part) in page("canary.md")


@pytest.mark.parametrize("part", PARTS)
def test_the_tables_of_fields_are_those_of_records(part: str) -> None:
    """The same for the page of the history."""
    assert table("CanaryRelease", part) in page("history.md")


@pytest.mark.parametrize("part", PARTS)
def test_the_tables_of_fields_are_those_of_actions(part: str) -> None:
    """The same for the page of the actions."""
    assert table("CanaryAction", part) in page("actions.md")


@pytest.mark.parametrize(
    "command, flags",
    [("run", OPERATOR), ("loadtester", LOADTESTER)],
)
def test_every_flag_is_explained(command: str, flags: tuple[Flag, ...]) -> None:
    """Each flag has a row with its help text in the section of its command."""
    section = page("commands.md").partition(f"## `flagger {command}`")[2].partition("\n## ")[0]
    assert [flag.name for flag in flags if f"| `-{flag.name}` |" not in section or flag.help not in section] == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in SERVICES])
def test_every_option_is_explained(name: str) -> None:
    """The same for the commands that people type."""
    command = Commands(COMMANDS).get_command(click.Context(click.Command("flagger")), name)
    assert command is not None
    params = [*command.params, *(param for each in subcommands(command) for param in each.params)]
    section = page("commands.md").partition(f"## `flagger {name}`")[2].partition("\n## ")[0]
    for shared, where in SHARED.items():
        if any(param.name == shared for param in params):
            section += page("commands.md").partition(f"## {where}")[2].partition("\n## ")[0]
    options = [param for param in params if isinstance(param, click.Option)]
    rows = [f"| `{option.opts[-1]}` | {shown_default(option)} | {option.help} |" for option in options]
    assert [row for row in rows if row not in section] == []


SHARED = {"impersonated": "Reaching a cluster", "by": "Steering a release"}
"""Sections of options that several commands have, by one of them."""


def subcommands(command: click.Command) -> list[click.Command]:
    """The commands of a group that reach a cluster by the flags of kubectl."""
    found: list[click.Command] = [*getattr(command, "commands", {}).values()]
    return [each for each in found if any(param.name == "impersonated" for param in each.params)]


def shown_default(option: click.Option) -> str:
    """A default as the tables show it."""
    if option.is_flag:
        return "false"
    return f"`{option.default}`" if isinstance(option.default, str) else ""


def test_every_command_has_a_section() -> None:
    """A command that no page names does not exist for users."""
    assert [name for name in COMMANDS if f"## `flagger {name}`" not in page("commands.md")] == []


def test_every_metric_is_explained() -> None:
    """Each series on /metrics that is ours is in the table."""
    shown = Telemetry("0", "nginx").expose({"get": 1}).decode()
    names = set(re.findall(r"^# TYPE (flagger_\w+)", shown, re.MULTILINE))
    assert len(names) > 8
    assert sorted(name for name in names if f"`{name}`" not in page("metrics.md")) == []


def test_every_standing_reason_is_explained() -> None:
    """Texts that do not depend on a canary are on the page of events word by word."""
    texts = [value.text for value in vars(reasons).values() if isinstance(value, Reason)]
    assert len(texts) > 15
    assert [text for text in texts if text not in page("events.md")] == []


def test_the_diagrams_are_the_table_of_transitions() -> None:
    """Each arrow of a diagram is a transition, and each transition an arrow of one diagram."""
    assert phases.BLOCK.findall(page("behaviour.md")) == phases.diagrams()
    found = re.findall(r"^    (\w+) --> (\w+): ", page("behaviour.md"), re.MULTILINE)
    wanted = [(phases.name(before), phases.name(after)) for before, afters in ALLOWED.items() for after in afters]
    named = [arrow for arrow in found if phases.REST not in arrow]
    rest = [arrow for arrow in wanted if arrow not in named]
    others = {phases.name(phase) for phase in Phase} - {before for before, after in named if after == "Terminating"}
    assert (phases.REST, "Terminating") in found
    assert {after for _, after in rest} == {"Terminating"}
    assert {before for before, _ in rest} == others - {"Terminating", "Terminated"}
    assert sorted(named + rest) == sorted(wanted)
