"""When `flagger wait` ends, and its exit status: a state machine over what is seen of one canary.

A release is known by the hash of its revision. Hashes of Flagger are foreign: in a cluster that it runs, the images of
target and primary and the phase decide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pyflagger.api.facts import Problem
from pyflagger.objects import Obj, part
from pyflagger.seeing import raw
from pyflagger.workloads.pods import images, pod_of

if TYPE_CHECKING:
    from pyflagger.seeing.look import Look

FAILED = "Failed"
MOVING = (*raw.RUNNING, "", "Initializing", "Terminating")
GATES = ("Waiting", "WaitingPromotion")
PEOPLE = ("GateClosed", "Paused")
"""Reasons of a condition `Waiting` that only a person ends."""

SETTLE_SECONDS = 30.0
"""Flagger notices a new revision within an interval. It may take so much longer."""


class Goal(StrEnum):
    """What to wait for. `approval`: also a release that stands until a person decides."""

    PROMOTED = "promoted"
    APPROVAL = "approval"
    ENDED = "ended"
    IDLE = "idle"


class Status(IntEnum):
    """Exit statuses."""

    DONE = 0
    ERROR = 1
    FAILED = 3
    TIMEOUT = 4
    SUPERSEDED = 6


class Ending(NamedTuple):
    """The end of the wait, with a line for people."""

    status: Status
    text: str


class Sight(NamedTuple):
    """What is seen at one moment.

    `revision` is the hash of the target's pod template, None if the target is missing. `applied` and `promoted` are the
    hashes in the status: as they are stored, and in flagger's own form. `images` are those of the target. `asks`: a
    gate is closed, or the release is paused.
    """

    phase: str
    revision: str | None
    applied: tuple[str, str]
    promoted: tuple[str, str]
    foreign: bool
    images: tuple[str, ...]
    primary: tuple[str, ...]
    interval: float
    asks: bool = False

    @property
    def moving(self) -> bool:
        """Whether a release is under way."""
        return self.phase in MOVING


def sight(look: Look) -> Sight:
    """What a look shows."""
    status, compiled, target = part(look.canary, "status"), look.compiled, look.seen.situation.target
    own = compiled.canary.status
    return Sight(
        phase=raw.text(status, "phase"),
        revision=None if isinstance(target, Problem) else target.revision,
        applied=(raw.text(status, "lastAppliedSpec"), own.last_applied_spec),
        promoted=(raw.text(status, "lastPromotedSpec"), own.last_promoted_spec),
        foreign=raw.foreign(status),
        images=tuple(images(pod_of(look.get(compiled.target))).values()),
        primary=tuple(images(pod_of(look.get(compiled.primary))).values()),
        interval=compiled.interval,
        asks=asks(status),
    )


def asks(status: Obj) -> bool:
    """Whether a release stands until a person decides."""
    return raw.text(status, "phase") in GATES or raw.holding(status).get("Waiting", {}).get("reason") in PEOPLE


class Asked(NamedTuple):
    """What the command asks for. `image`: one that the target must have first. `revision`: a hash; empty: the current.

    An empty image means any.
    """

    goal: Goal = Goal.PROMOTED
    image: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The state of a wait.

    `revision`: the release that is waited for, empty until the target has the image. `images`: its images. `began`: the
    target had it, or a run of it began. `moved`: a release was seen under way. `since`: when `revision` was fixed.
    """

    asked: Asked
    revision: str = ""
    images: tuple[str, ...] = ()
    began: bool = False
    moved: bool = False
    since: float = 0.0

    def step(self, seen: Sight, now: float) -> tuple[Waiting, Ending | None]:
        """The state after one more look, and the end if this is it. `now`: seconds since the epoch."""
        after = self._fixed(seen, now)
        if not after.revision:
            return after, None
        after = replace(
            after,
            began=after.began or after.revision in (seen.revision, *seen.applied),
            moved=after.moved or seen.moving,
        )
        return after, after._ending(seen, now)

    @property
    def late(self) -> str:
        """The image that the target does not have yet; empty if it has."""
        return "" if self.revision else self.asked.image

    def _fixed(self, seen: Sight, now: float) -> Waiting:
        """With the revision that is waited for, as soon as it is known."""
        if self.revision or seen.revision is None or (self.asked.image and self.asked.image not in seen.images):
            return self
        return replace(self, revision=self.asked.revision or seen.revision, images=seen.images, since=now)

    def _ending(self, seen: Sight, now: float) -> Ending | None:
        if self.asked.goal is Goal.IDLE:
            return self._idle(seen)
        if self.asked.goal is Goal.APPROVAL and seen.asks and seen.revision == self.revision:
            return _ASKS
        by_images = seen.foreign and not self.asked.revision
        found = self._by_images(seen, now) if by_images else self._by_hash(seen)
        ended = found and self.asked.goal is Goal.ENDED and found.status is Status.FAILED
        return found._replace(status=Status.DONE) if found and ended else found

    def _idle(self, seen: Sight) -> Ending | None:
        """The end of any release, once the operator has seen the target as it is."""
        known = seen.revision in (None, *seen.applied)
        if seen.foreign:
            known = seen.phase == FAILED or seen.images == seen.primary
        return Ending(Status.DONE, "no release is under way") if known and not seen.moving else None

    def _by_hash(self, seen: Sight) -> Ending | None:
        run = self.revision in seen.applied
        if run and seen.phase == FAILED:
            return _FAILED
        if self.revision in seen.promoted and not (run and seen.moving):
            return _PROMOTED
        return None if run or not self.began or self.revision == seen.revision else self._superseded(seen)

    def _superseded(self, seen: Sight) -> Ending:
        cancelled = seen.revision in seen.promoted
        return _CANCELLED if cancelled else _SUPERSEDED

    def _by_images(self, seen: Sight, now: float) -> Ending | None:
        """Flagger's status does not say whose the phase is: it may be that of the release before."""
        if not seen.moving and seen.phase != FAILED and seen.primary == self.images:
            return _PROMOTED
        if seen.revision != self.revision:
            return _CANCELLED if seen.images == seen.primary else _SUPERSEDED
        judged = self.moved or now - self.since > seen.interval + SETTLE_SECONDS
        return _FAILED if seen.phase == FAILED and judged else None


_PROMOTED = Ending(Status.DONE, "the release was promoted")
_ASKS = Ending(Status.DONE, "the release waits for a person: a gate is closed, or it is paused")
_FAILED = Ending(Status.FAILED, "the release was rolled back")
_SUPERSEDED = Ending(Status.SUPERSEDED, "another revision took the place of the release")
_CANCELLED = Ending(Status.SUPERSEDED, "the release was cancelled: the target has the promoted revision again")
