"""The fields of an alert, and its line in a condition."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.alerts.compose import fields_of
from pyflagger.alerts.record import RECORDS_MAX, TEXT_MAX, AlertRecord, read, record, written
from pyflagger.api.parse import parse_canary
from stage.manifests import canary


def made(**analysis: Any) -> Any:
    """A Canary with this analysis."""
    obj = canary("shop", analysis=analysis or None)
    obj["metadata"] |= {"namespace": "test"}
    if not analysis:
        del obj["spec"]["analysis"]
        obj["spec"]["skipAnalysis"] = True
    return parse_canary(obj)


MATCH = [{"headers": {"x-insider": {"exact": "1"}}}]
ROUTINGS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"iterations": 5, "match": MATCH}, "A/B Testing"),
    ({"iterations": 5}, "Blue/Green"),
    ({"stepWeight": 10, "maxWeight": 50}, "Weight step: 10 max: 50"),
    ({"stepWeight": 10}, "Weight step: 10 max: 0"),
    ({"stepWeights": [1, 2, 10], "maxWeight": 80}, "Weight steps: 1,2,10 max: 80"),
)


@pytest.mark.parametrize(("analysis", "text"), ROUTINGS)
def test_how_traffic_moves(analysis: dict[str, Any], text: str) -> None:
    """In the words of the reference."""
    assert fields_of(made(threshold=0, **analysis), "east", details=True) == (
        ("Cluster", "east"),
        ("Target", "Deployment/shop.test"),
        ("Failed checks threshold", "1"),
        ("Progress deadline", "60s"),
        ("Traffic routing", text),
    )


def test_fields_that_are_left_out() -> None:
    """The cluster without a name, the routing without an analysis, and all others without details."""
    names = [name for name, _ in fields_of(made(), "", details=True)]
    assert names == ["Target", "Failed checks threshold", "Progress deadline"]
    assert fields_of(made(threshold=3), "", details=True)[1] == ("Failed checks threshold", "3")
    assert [name for name, _ in fields_of(made(threshold=3), "", details=True)] == names
    assert fields_of(made(), "east", details=False) == (("Cluster", "east"),)
    assert fields_of(made(), "", details=False) == ()


def test_a_letter_is_read_as_it_was_written() -> None:
    """What it says on several lines is one line, and a long text is cut."""
    first = record(1_767_323_045.7, "warn", "Canary is\n waiting", details=True)
    assert first == AlertRecord(1_767_323_045.0, "warn", "Canary is waiting", True)
    second = record(1_767_323_046, "error", "x" * 5000, details=False)
    assert len(second.text) == TEXT_MAX
    assert written([first, second]).splitlines()[0] == "2026-01-02T03:04:05Z warn with details: Canary is waiting"
    assert read(written([first, second])) == (first, second)
    assert first.repeats(AlertRecord(0.0, "warn", "Canary is waiting")) and not first.repeats(second)


def test_only_the_newest_letters_are_stored() -> None:
    """A condition stays small."""
    many = [record(second, "info", f"{second}", details=False) for second in range(50)]
    assert read(written(many)) == tuple(many[-RECORDS_MAX:])


@pytest.mark.parametrize("text", ["", "by hand", "2026-13-45T00:00:00Z info: x", "yesterdayZ info: x", "x\n\n"])
def test_a_message_of_somebody_else_is_no_letter(text: str) -> None:
    """A condition may hold anything."""
    assert read(text) == ()


def test_the_identity_of_an_alert() -> None:
    """The same whenever it is sent again; another one for another Canary, time, severity or text."""
    one = AlertRecord(1.0, "info", "a")
    others = (AlertRecord(2.0, "info", "a"), AlertRecord(1.0, "warn", "a"), AlertRecord(1.0, "info", "b"))
    assert read(one.line)[0].id("u") == one.id("u")
    assert len({one.id("u"), one.id("v"), *(other.id("u") for other in others)}) == 5
