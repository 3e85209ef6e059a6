"""The kind CanaryAction: what a request may hold, when it expires, and how a new one looks."""

from __future__ import annotations

from typing import Any

import pytest
from test_crds import refusals

from pyflagger.api import actions
from pyflagger.api.actions import OF, Action, ActionSpec

SPEC = {"canary": "podinfo", "action": "pause", "by": "ann"}


def spec(**fields: Any) -> ActionSpec:
    """A spec with these fields."""
    return ActionSpec.model_validate({**SPEC, **fields})


def request(created: str = "2026-01-01T00:00:00Z", **fields: Any) -> actions.CanaryAction:
    """A stored request."""
    return actions.parsed({"metadata": {"name": "a", "creationTimestamp": created}, "spec": {**SPEC, **fields}})


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another word": ({"action": "stop"}, "there is no action 'stop'; there are promote, pause,"),
    "no weight": ({"action": "weight"}, "spec.weight is required by weight"),
    "no gate": ({"action": "open-gate"}, "spec.gate is required by open-gate"),
    "full of a pause": ({"full": True}, "spec.full belongs to promote"),
    "a gate of a pause": ({"gate": "approve"}, "spec.gate belongs to open-gate and close-gate"),
    "then without an end": ({"then": "abort"}, "spec.then needs spec.until"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_request_that_makes_no_sense(case: str) -> None:
    """It says which field is wrong."""
    fields, text = WRONG[case]
    assert actions.problem(spec(**fields)).startswith(text)


RIGHT: dict[Action, dict[str, Any]] = {
    Action.PROMOTE: {"full": True},
    Action.PAUSE: {"until": "2026-01-01T01:00:00Z", "then": "abort", "onFailure": "hold"},
    Action.WEIGHT: {"weight": 0, "hold": True},
    Action.UNDO: {"to": 41},
    Action.OPEN_GATE: {"gate": "approve"},
    Action.CLOSE_GATE: {"gate": "approve"},
}


@pytest.mark.parametrize("action", Action)
def test_each_action_with_its_fields(action: Action) -> None:
    """Nothing is wrong, neither for us nor for an API server."""
    fields = {**SPEC, "action": str(action), **RIGHT.get(action, {})}
    assert actions.problem(ActionSpec.model_validate(fields)) == ""
    assert refusals({"spec": fields}, "CanaryAction") == []


def test_each_rule_of_the_definition_has_its_text() -> None:
    """A field that belongs to some actions has a rule, and so has a field that an action needs."""
    texts = [rule["message"] for rule in actions.rules()]
    assert len(texts) == len(set(texts)) == 1 + len(OF) + len(actions.NEEDED) + 1
    assert "!has(self.to) || self.action in ['undo']" in [rule["rule"] for rule in actions.rules()]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"action": "stop"}, "spec.action"),
        ({"by": ""}, "spec.by"),
        ({"by": "a" * 257}, "spec.by"),
        ({"reason": "a" * 513}, "spec.reason"),
        ({"weight": 101}, "spec.weight"),
        ({"weight": 2.5}, "spec.weight"),
        ({"then": "stop"}, "spec.then"),
        ({"until": "tomorrow"}, "spec.until"),
    ],
)
def test_bounds(fields: dict[str, Any], path: str) -> None:
    """The API server refuses what is too long, too large or no known word."""
    (text,) = refusals({"spec": {**SPEC, **fields}}, "CanaryAction")
    assert text.startswith(path)


def test_unseen_characters_become_spaces() -> None:
    """A reason that forges a second line or turns the direction of writing does neither."""
    found = spec(by="ann\n\x1b[2J", reason="ok\r\nEvent: promoted\u202e\u200bx")
    assert (found.by, found.reason) == ("ann [2J", "ok Event: promoted x")


@pytest.mark.parametrize(
    ("fields", "after"),
    [({}, 600.0), ({"expires": "2026-01-01T00:00:30Z"}, 30.0), ({"expires": "2026-01-09T00:00:00Z"}, 86400.0)],
)
def test_expiry(fields: dict[str, Any], after: float) -> None:
    """10 minutes after the creation, or as asked for, but not after a day."""
    assert actions.expiry(request(**fields)) == 1767225600.0 + after


def test_a_request_without_a_time_has_expired() -> None:
    """An API server always sets it."""
    assert actions.expiry(request(created="")) == 0.0


def test_a_new_request() -> None:
    """The Canary owns it, does not wait for it, and gives it nothing of its own metadata."""
    made = actions.rendered("podinfo", "test", "u1", {**SPEC, "reason": "x"})
    (owner,) = made["metadata"].pop("ownerReferences")
    assert made["metadata"] == {
        "generateName": "podinfo-pause-",
        "namespace": "test",
        "labels": {"flagger.app/canary-uid": "u1"},
    }
    assert (owner["uid"], owner["blockOwnerDeletion"]) == ("u1", False)
    assert made["spec"] == {**SPEC, "reason": "x"} and refusals(made, "CanaryAction") == []
    assert actions.is_pending(actions.parsed({**made, "metadata": {"name": "a"}}))


def test_the_right_that_a_request_needs() -> None:
    """`promote --full` needs one of its own."""
    assert actions.verb(spec()) == "pause"
    assert [actions.verb(spec(action="promote", full=full)) for full in (False, True)] == ["promote", "promote-full"]


def test_written() -> None:
    """What is not set is left out; weight 0 is set."""
    assert actions.written(spec(action="weight", weight=0)) == {**SPEC, "action": "weight", "weight": 0}
