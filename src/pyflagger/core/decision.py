"""What to do next, as a value: needs, actions, reasons, and when to look again.

Returned by `core.decide`; carried out by `operator.act`, which renders each action through `workloads`, `routing`
and `kube`. A decision is never an exception: "not yet" is a Reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from pyflagger.api.canary import CanaryStatus
from pyflagger.api.facts import Fault, Route
from pyflagger.core.memory import Memory, Subject, Told
from pyflagger.core.situation import Need


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a release is where it is, in one line. `code` is stable and machine-readable, such as `canary-not-ready`.

    `text` is the event text; `todo`, if any, what the user can do. `fault` is None for normal progress.
    """

    code: str
    text: str
    todo: str = ""
    fault: Fault | None = None

    @property
    def whole(self) -> str:
        """The text, and what to do."""
        return f"{self.text.rstrip('. ')}. {self.todo}" if self.todo else self.text


class Part(StrEnum):
    """The generated things that an Ensure brings about; each is idempotent."""

    CANARY_SERVICE = "canary-service"
    PRIMARY_SERVICE = "primary-service"
    APEX_SERVICE = "apex-service"
    PRIMARY_WORKLOAD = "primary-workload"
    PRIMARY_AUTOSCALER = "primary-autoscaler"
    AUTOSCALER_BOUNDS = "autoscaler-bounds"
    ROUTING = "routing"
    FINALIZER = "finalizer"
    STALE_CONFIGS = "stale-configs"
    PRIMARY_CONFIGS = "primary-configs"
    OWNERS = "owners"


@dataclass(frozen=True, slots=True)
class Ensure:
    """Create or mend one generated thing."""

    part: Part


@dataclass(frozen=True, slots=True)
class Promote:
    """Copy the target's configs and template to the primary.

    `revision` must still be the target's; if it is not, nothing is done and the rest of the decision is dropped too.
    """

    revision: str


@dataclass(frozen=True, slots=True)
class SetRoute:
    """Split traffic. `everyone`: match rules (A/B) are left out, so that all traffic means everybody's."""

    route: Route
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class ScaleTarget:
    """Scale the target to zero or back; `replicas` None means to zero."""

    replicas: int | None


@dataclass(frozen=True, slots=True)
class PauseAutoscaler:
    """Pause (or resume) the target's autoscaler, where its kind can be paused."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Revert:
    """Give one thing back to the user on deletion."""

    thing: Literal["target", "apex-service", "routing"]


@dataclass(frozen=True, slots=True)
class ReleaseFinalizer:
    """Remove our finalizer, so that the object can go."""


@dataclass(frozen=True, slots=True)
class Say:
    """Tell of something: a Kubernetes Event, the event hooks, the log. `phase` and `checksum` go to the event hooks.

    `told` is what memory keeps of it, so that it is not told again (`View.once`).
    """

    type: Literal["Normal", "Warning"]
    reason: Reason
    phase: str
    checksum: str
    told: tuple[tuple[Subject, Told], ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """Send an alert. `with_fields` adds the target, threshold, deadline and routing lines."""

    severity: Literal["info", "warn", "error"]
    text: str
    with_fields: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """Count a finished release."""

    outcome: Literal["success", "failure"]
    analysis: Literal["completed", "skipped"]


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Make the status this; always the last write of a decision. Conditions are already in it.

    Fields that are as in the situation's status say nothing: what routing put into it meanwhile (cookies) stays.
    """

    status: CanaryStatus


Action: TypeAlias = (
    Ensure
    | Promote
    | SetRoute
    | ScaleTarget
    | PauseAutoscaler
    | Revert
    | ReleaseFinalizer
    | Say
    | Alert
    | Count
    | WriteStatus
)


@dataclass(frozen=True, slots=True)
class Decision:
    """Either `needs` or `actions`, never both.

    `needs` are the checks of one stage that are still without a result, in order. Run the first, add its result to the
    evidence and decide again: only the decision knows whether a value passes, and it asks for no more than it needs.
    `actions` are carried out in order; one that fails drops the rest, and deciding again goes on from there.

    `memory` is the next memory, None when it stays as it is. It is taken over once everything but the status write is
    carried out; what is kept when an action fails before, `remember.carried_out` knows. A decision may change nothing
    but the memory.

    `reasons` say what holds or what was done. `wake` is when to look again (seconds since the epoch); None means that
    only a watched change can move this canary. Deciding again on an unchanged situation yields no action
    and no other memory.
    """

    needs: tuple[Need, ...] = ()
    actions: tuple[Action, ...] = ()
    reasons: tuple[Reason, ...] = ()
    wake: float | None = None
    memory: Memory | None = None

    @property
    def changes(self) -> bool:
        """Whether it does something, or remembers something new."""
        return bool(self.actions) or self.memory is not None
