"""Read a stored status into typed values.

The CRD admits more than flagger writes: any number as a count, and in old versions any text as a time or a phase.
Reading never fails. A value that cannot be read counts as absent, and `Reader.unread` names it, so that the operator
can report and replace it. Only `api.status` uses this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from reprlib import Repr
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from pyflagger.api import published
from pyflagger.api.base import Model
from pyflagger.api.compared import Comparison
from pyflagger.api.durations import epoch_or_none
from pyflagger.api.phase import STORED, Phase
from pyflagger.api.published import Bake, ReleaseStatus, RoundStatus
from pyflagger.api.steered import Gate, Hold, LastAction, Promotion, Undo

COUNT_MAX = 2**31
WEIGHT_MAX = 100
TIME_MAX = 253_402_300_800.0  # the year 10000, which RFC 3339 cannot express

_PHASES = frozenset(phase.value for phase in STORED)
_SHOWN = Repr()
_SHOWN.maxstring = _SHOWN.maxother = 40
_NAMES = ("type", "status", "reason")

Read = TypeVar("Read")


class Unread(NamedTuple):
    """A stored value that cannot be read: its `path`, such as `status.canaryWeight`, and the start of the value."""

    path: str
    value: str

    @property
    def field(self) -> str:
        """The field of the status that holds it, such as `conditions`."""
        return self.path.removeprefix("status.").split(".")[0].partition("[")[0]

    def __str__(self) -> str:
        return f"{self.path} {self.value}"


class Reader:
    """Reads the values of one status. `unread` collects those that cannot be read."""

    def __init__(self) -> None:
        self.unread: list[Unread] = []

    def phase(self, path: str, value: Any) -> Phase:
        """A phase, or UNKNOWN for any other text."""
        if isinstance(value, Phase):
            return value
        known = isinstance(value, str) and value in _PHASES
        return Phase(value) if known else self._not(path, value, Phase.UNKNOWN)

    def count(self, path: str, value: Any) -> int:
        """An integer. A fraction is truncated."""
        return self._number(path, value, -COUNT_MAX, COUNT_MAX)

    def weight(self, path: str, value: Any) -> int:
        """A percentage."""
        return self._number(path, value, 0, WEIGHT_MAX)

    def text(self, path: str, value: Any) -> str:
        """Any text."""
        return value if isinstance(value, str) else self._not(path, value, "")

    def texts(self, path: str, value: Any) -> dict[str, str] | None:
        """Texts by name."""
        if not isinstance(value, Mapping):
            return self._not(path, value, None)
        return {str(key): self.text(f"{path}.{key}", each) for key, each in value.items()}

    def time(self, path: str, value: Any) -> float | None:
        """Seconds since the epoch, from a text in RFC 3339 or from a number of seconds."""
        if value == "":
            return None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        seconds = epoch_or_none(value) if isinstance(value, str) else float(value) if number else None
        known = seconds is not None and 0.0 <= seconds < TIME_MAX
        return seconds if known else self._not(path, value, None)

    def release(self, path: str, value: Any) -> ReleaseStatus | None:
        """The last release."""
        found: ReleaseStatus | None = self._published(path, value, ReleaseStatus)
        return found

    def round(self, path: str, value: Any) -> RoundStatus | None:
        """The last round."""
        found: RoundStatus | None = self._published(path, value, RoundStatus)
        return found

    def hold(self, path: str, value: Any) -> Hold | None:
        """A pause."""
        found: Hold | None = self._published(path, value, Hold)
        return found

    def gates(self, path: str, value: Any) -> dict[str, Gate] | None:
        """The gates that people opened or closed, by name."""
        if not isinstance(value, Mapping):
            return self._not(path, value, None)
        found = {str(name): self._published(f"{path}.{name}", each, Gate) for name, each in value.items()}
        return {name: gate for name, gate in found.items() if gate is not None} or None

    def promotion(self, path: str, value: Any) -> Promotion | None:
        """A promotion that a person asked for."""
        found: Promotion | None = self._published(path, value, Promotion)
        return found

    def undo(self, path: str, value: Any) -> Undo | None:
        """A release that a person undoes."""
        found: Undo | None = self._published(path, value, Undo)
        return found

    def bake(self, path: str, value: Any) -> Bake | None:
        """The time after a promotion in which flagger judges the primary."""
        found: Bake | None = self._published(path, value, Bake)
        return found

    def comparisons(self, path: str, value: Any) -> tuple[Comparison, ...]:
        """The comparisons of canary and primary."""
        if not isinstance(value, list | tuple):
            return self._not(path, value, ())
        found = (self._published(f"{path}[{at}]", each, Comparison) for at, each in enumerate(value))
        return tuple(each for each in found if each is not None)

    def last_action(self, path: str, value: Any) -> LastAction | None:
        """The last action."""
        found: LastAction | None = self._published(path, value, LastAction)
        return found

    def _published(self, path: str, value: Any, kind: type[Any]) -> Any:
        try:
            return published.read(kind, value)
        except ValidationError:
            return self._not(path, value, None)

    def conditions(self, path: str, value: Any) -> tuple[Any, ...]:
        """Conditions, each with a type, a status and a reason."""
        if not isinstance(value, list | tuple):
            return self._not(path, value, ())
        found = (self._condition(f"{path}[{at}]", each) for at, each in enumerate(value))
        return tuple(each for each in found if each is not None)

    def _condition(self, path: str, value: Any) -> Any:
        """A condition by its field names. A Condition is returned unchanged."""
        if not isinstance(value, Mapping):
            return value if isinstance(value, Model) else self._not(path, value, None)
        if not all(isinstance(value.get(name), str) for name in _NAMES):
            return self._not(path, dict(value), None)
        return {name: value[name] for name in _NAMES} | self.fields(path, value, CONDITION)

    def fields(self, path: str, value: Mapping[str, Any], readers: Readers) -> dict[str, Any]:
        """The fields that are set, by attribute. `readers` maps the two names of each field to its reader."""
        found = {}
        for (attribute, name), read in readers.items():
            held = value.get(name, value.get(attribute))
            if held is not None:
                found[attribute] = read(self, f"{path}.{name}", held)
        return found

    def _number(self, path: str, value: Any, least: int, most: int) -> int:
        usable = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        return int(value) if usable else self._not(path, value, 0)

    def _not(self, path: str, value: Any, instead: Read) -> Read:
        self.unread.append(Unread(path, _SHOWN.repr(value)))
        return instead


Readers = Mapping[tuple[str, str], Callable[[Reader, str, Any], Any]]
"""The reader of each field, by the field's attribute and its name in JSON."""

CONDITION: Readers = {
    ("message", "message"): Reader.text,
    ("last_update_time", "lastUpdateTime"): Reader.time,
    ("last_transition_time", "lastTransitionTime"): Reader.time,
}
STATUS: Readers = {
    ("phase", "phase"): Reader.phase,
    ("failed_checks", "failedChecks"): Reader.count,
    ("canary_weight", "canaryWeight"): Reader.weight,
    ("iterations", "iterations"): Reader.count,
    ("tracked_configs", "trackedConfigs"): Reader.texts,
    ("last_applied_spec", "lastAppliedSpec"): Reader.text,
    ("last_promoted_spec", "lastPromotedSpec"): Reader.text,
    ("last_transition_time", "lastTransitionTime"): Reader.time,
    ("session_affinity_cookie", "sessionAffinityCookie"): Reader.text,
    ("previous_session_affinity_cookie", "previousSessionAffinityCookie"): Reader.text,
    ("primary_session_affinity_cookie", "primarySessionAffinityCookie"): Reader.text,
    ("last_tick_time", "lastTickTime"): Reader.time,
    ("results", "results"): Reader.text,
    ("conditions", "conditions"): Reader.conditions,
    ("release", "release"): Reader.release,
    ("round", "round"): Reader.round,
    ("hold", "hold"): Reader.hold,
    ("gates", "gates"): Reader.gates,
    ("again", "again"): Reader.text,
    ("promote", "promote"): Reader.promotion,
    ("undo", "undo"): Reader.undo,
    ("last_action", "lastAction"): Reader.last_action,
    ("bake", "bake"): Reader.bake,
    ("comparisons", "comparisons"): Reader.comparisons,
}
