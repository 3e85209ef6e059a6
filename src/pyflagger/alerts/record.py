"""An alert as one line of a condition, in which it survives a restart until it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import cast

from pyflagger.alerts.base import Severity, cut
from pyflagger.api.durations import epoch_or_none, second, stamp

TEXT_MAX = 1024
RECORDS_MAX = 10
"""The maximum number of lines in a condition. Only receivers that are long out of reach have more to get."""

_LINE = re.compile(r"(\S+Z) (info|warn|error)( with details)?: (.+)")


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """One alert to be sent. `time` is in whole seconds since the epoch."""

    time: float
    severity: Severity
    text: str
    details: bool = False

    @property
    def line(self) -> str:
        """`2026-01-02T03:04:05Z error: Failed checks threshold reached 2`."""
        return f"{stamp(self.time)} {self.severity}{' with details' if self.details else ''}: {self.text}"

    def repeats(self, other: AlertRecord) -> bool:
        """Whether it says the same, at whatever time."""
        return (self.severity, self.text) == (other.severity, other.text)

    def id(self, uid: str) -> str:
        """The identity of the alert for its receivers: the same whenever it is sent again."""
        return blake2b(f"{uid}\0{self.line}".encode(), digest_size=16).hexdigest()


def record(time: float, severity: Severity, text: str, *, details: bool) -> AlertRecord:
    """A record whose text is one line."""
    return AlertRecord(second(time), severity, cut(" ".join(text.split()), TEXT_MAX), details)


def written(records: Iterable[AlertRecord]) -> str:
    """The newest records as the message of a condition."""
    return "\n".join(each.line for each in tuple(records)[-RECORDS_MAX:])


def read(message: str) -> tuple[AlertRecord, ...]:
    """The records of a message. Leaves out lines that are none."""
    found = (_LINE.fullmatch(line) for line in message.splitlines()[:RECORDS_MAX])
    records = ((epoch_or_none(each[1]), each) for each in found if each)
    return tuple(
        AlertRecord(time, cast(Severity, each[2]), each[4], bool(each[3])) for time, each in records if time is not None
    )
