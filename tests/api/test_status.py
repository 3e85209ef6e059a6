"""Reading a stored status never fails: what cannot be read counts as absent, and is named."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api.canary import CanaryStatus, Condition, Phase
from pyflagger.api.durations import epoch

NOW = "2023-11-14T22:13:20Z"
THEN = epoch(NOW)
TOLD = {"type": "Promoted", "status": "True", "reason": "Succeeded"}

# A field, what is stored in it, what is read, and whether it could be read.
VALUES: list[tuple[str, Any, Any, bool]] = [
    ("phase", "Progressing", Phase.PROGRESSING, True),
    ("phase", "Analysing", Phase.UNKNOWN, False),
    ("phase", "Unknown", Phase.UNKNOWN, False),
    ("phase", 7, Phase.UNKNOWN, False),
    ("phase", None, Phase.NEW, True),
    ("failedChecks", 2.5, 2, True),
    ("failedChecks", 1e300, 0, False),
    ("failedChecks", float("inf"), 0, False),
    ("failedChecks", True, 0, False),
    ("failedChecks", "3", 0, False),
    ("iterations", -1, -1, True),
    ("canaryWeight", 100, 100, True),
    ("canaryWeight", 101, 0, False),
    ("canaryWeight", -1, 0, False),
    ("trackedConfigs", {"configmap/a": "1"}, {"configmap/a": "1"}, True),
    ("trackedConfigs", [], None, False),
    ("lastAppliedSpec", "v1:r1", "v1:r1", True),
    ("lastAppliedSpec", 7, "", False),
    ("lastTransitionTime", NOW, THEN, True),
    ("lastTransitionTime", "2023-11-14T23:13:20.5+01:00", THEN + 0.5, True),
    ("lastTransitionTime", "yesterday", None, False),
    ("lastTransitionTime", "", None, True),
    ("lastTransitionTime", "0001-01-01T00:00:00+14:00", None, False),
    ("lastTransitionTime", "9999-12-31T23:59:59-14:00", None, False),
    ("lastTransitionTime", "2023-12-31T23:59:60Z", None, False),
    ("lastTransitionTime", True, None, False),
    ("lastTickTime", "yesterday", None, False),
    ("conditions", {}, (), False),
]
ATTRIBUTES = {
    "failedChecks": "failed_checks",
    "canaryWeight": "canary_weight",
    "trackedConfigs": "tracked_configs",
    "lastAppliedSpec": "last_applied_spec",
    "lastTransitionTime": "last_transition_time",
    "lastTickTime": "last_tick_time",
}


@pytest.mark.parametrize(("field", "stored", "read", "legible"), VALUES)
def test_each_field(field: str, stored: Any, read: Any, legible: bool) -> None:
    """The value, and its path if it could not be read."""
    status = CanaryStatus.model_validate({field: stored, "lastPromotedSpec": "v1:r1"})
    assert getattr(status, ATTRIBUTES.get(field, field)) == read
    assert [each.path for each in status.unread] == ([] if legible else [f"status.{field}"])
    assert [each.field for each in status.unread] == ([] if legible else [field])
    assert status.last_promoted_spec == "v1:r1", "the rest is read all the same"


def test_a_value_that_cannot_be_read_is_shown_short() -> None:
    """Whatever its size."""
    (unread,) = CanaryStatus.model_validate({"phase": "x" * 10_000_000}).unread
    assert str(unread).startswith("status.phase 'xxx") and len(str(unread)) < 80


@pytest.mark.parametrize("status", ["Failed", ["Failed"], 7])
def test_a_status_that_is_no_object(status: Any) -> None:
    """It is a status that says nothing."""
    read = CanaryStatus.model_validate(status)
    assert read.phase is Phase.NEW and read.unread[0].path == "status"


def test_a_text_among_configs() -> None:
    """The others stay."""
    read = CanaryStatus.model_validate({"trackedConfigs": {"configmap/a": "1", "configmap/b": 2}})
    assert read.tracked_configs == {"configmap/a": "1", "configmap/b": ""}
    assert [(each.path, each.field) for each in read.unread] == [
        ("status.trackedConfigs.configmap/b", "trackedConfigs")
    ]


@pytest.mark.parametrize(
    ("stored", "kept", "path"),
    [
        ("Promoted", 1, "status.conditions[1]"),
        ({"type": "Promoted"}, 1, "status.conditions[1]"),
        ({**TOLD, "status": True}, 1, "status.conditions[1]"),
        ({**TOLD, "message": 7}, 2, "status.conditions[1].message"),
        ({**TOLD, "lastUpdateTime": "soon"}, 2, "status.conditions[1].lastUpdateTime"),
        ({**TOLD, "type": "Judged", "lastUpdateTime": "soon"}, 1, "status.conditions[1].lastUpdateTime"),
    ],
)
def test_conditions(stored: Any, kept: int, path: str) -> None:
    """One that lacks a name is dropped; of others only the field is."""
    read = CanaryStatus.model_validate({"conditions": [TOLD, stored]})
    assert len(read.conditions) == kept and read.last_tick_time is None
    assert [(each.path, each.field) for each in read.unread] == [(path, "conditions")]


def test_typed_values_are_kept() -> None:
    """A status made of typed values is that status; what another one could not read is kept, a stored field is not."""
    told = Condition(**TOLD, last_update_time=THEN)
    status = CanaryStatus(phase=Phase.UNKNOWN, last_transition_time=THEN, conditions=(told,))
    assert (status.phase, status.last_transition_time, status.conditions) == (Phase.UNKNOWN, THEN, (told,))
    once = CanaryStatus.model_validate({"phase": "Analysing"})
    assert CanaryStatus(unread=once.unread).unread == once.unread
    assert not CanaryStatus.model_validate({"unread": ["phase"]}).unread
    assert not CanaryStatus.model_validate({"unread": "phase"}).unread


def test_what_is_read_is_what_was_written() -> None:
    """Times to the second, that of the last round to the microsecond."""
    status = CanaryStatus(
        phase=Phase.PROGRESSING,
        last_transition_time=THEN,
        last_tick_time=THEN + 0.123456,
        conditions=(Condition(**TOLD),),
    )
    wire = status.to_wire()
    assert wire["lastTransitionTime"] == NOW
    assert wire["conditions"][1]["lastUpdateTime"] == "2023-11-14T22:13:20.123456Z"
    assert CanaryStatus.model_validate(wire) == status


SAME = {
    "type": "SameRevision",
    "status": "True",
    "reason": "Adopted",
    "message": "85d557f47b v1:r1 are the hashes of Flagger and of this operator for the same revision.",
    "lastUpdateTime": NOW,
    "lastTransitionTime": NOW,
}


def test_the_hash_of_the_reference_is_read_as_flaggers_own() -> None:
    """It is stored as it was, so that both operators know the revision."""
    wire = {"lastAppliedSpec": "85d557f47b", "lastPromotedSpec": "other", "conditions": [TOLD | {"message": ""}, SAME]}
    status = CanaryStatus.model_validate(wire)
    assert (status.last_applied_spec, status.last_promoted_spec) == ("v1:r1", "other")
    assert [told.type for told in status.conditions] == ["Promoted"] and not status.unread
    again = status.to_wire()
    assert {key: again[key] for key in wire} == wire
    assert CanaryStatus.model_validate(status.but(canary_weight=5).to_wire()) == status.but(canary_weight=5)
    assert CanaryStatus(**dict(status)) == status


@pytest.mark.parametrize("message", ["", "85d557f47b", "85d557f47b v1:r1", " v1:r1 are"])
def test_a_condition_without_two_hashes_is_dropped(message: str) -> None:
    """The hashes stay what they are."""
    status = CanaryStatus.model_validate({"lastAppliedSpec": "85d557f47b", "conditions": [SAME | {"message": message}]})
    assert status.last_applied_spec == "85d557f47b" and status.same_revision is None and status.conditions == ()


def test_the_condition_of_both_hashes_always_has_its_times() -> None:
    """The reference writes an unknown time as null, which the API server rejects."""
    without = {key: value for key, value in SAME.items() if not key.startswith("last")}
    told = CanaryStatus.model_validate({"conditions": [without]}).to_wire()["conditions"]
    assert [one["lastTransitionTime"] for one in told] == ["1970-01-01T00:00:00Z"]
