"""What to do next, as a value: needs, actions, reasons, and a wake-up time.

`core.decide` returns it, and `operator.act` carries it out through `workloads`, `routing` and `kube`. A decision is
never an exception: "not yet" is a Reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from pyflagger.api.actions import CanaryAction
from pyflagger.api.canary import CanaryStatus
from pyflagger.api.facts import Fault, Route
from pyflagger.api.published import RoundStatus
from pyflagger.api.records import Acted, Judged, ReleaseRecord, ReleaseSpec, Waited
from pyflagger.api.steered import LastAction
from pyflagger.core.memory import Memory, Subject, Told
from pyflagger.core.situation import CheckMetric, Need


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a release is in its state, in one line. `code` is stable and machine-readable, such as `canary-not-ready`.

    `text`: the event text. `todo`: advice for the user, if any. `fault`: None for normal progress.
    """

    code: str
    text: str
    todo: str = ""
    fault: Fault | None = None

    @property
    def whole(self) -> str:
        """The text with the advice."""
        return f"{self.text.rstrip('. ')}. {self.todo}" if self.todo else self.text


class Part(StrEnum):
    """The generated parts of an Ensure. Each is idempotent."""

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
    """Create or restore one generated part."""

    part: Part


@dataclass(frozen=True, slots=True)
class Promote:
    """Copy the target's configs and template to the primary, or create a missing primary from them.

    `revision` must still be the target's. Otherwise the operator drops this action and the rest of the decision.
    `release`: the number of the release whose record has the template; 0 for the template of the target.
    """

    revision: str
    release: int = 0


@dataclass(frozen=True, slots=True)
class SetRoute:
    """Split traffic. `everyone`: without match rules (A/B), so that all traffic means all visitors."""

    route: Route
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class ScaleTarget:
    """Scale the target. `replicas` None means to zero."""

    replicas: int | None


@dataclass(frozen=True, slots=True)
class PauseAutoscaler:
    """Pause or resume the target's autoscaler, if its kind can be paused."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Revert:
    """Restore one part for the user on deletion."""

    thing: Literal["target", "apex-service", "routing"]


@dataclass(frozen=True, slots=True)
class ReleaseFinalizer:
    """Remove flagger's finalizer, so that the API server can delete the object."""


@dataclass(frozen=True, slots=True)
class Say:
    """Report a reason in a Kubernetes Event, the event hooks and the log. `phase` and `checksum` go to the event hooks.

    `told`: the reports that memory keeps, so that flagger does not repeat them (`actions.once`).
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
class OpenRecord:
    """Create the record of a release, before the status write that begins it.

    `ended`: how it ended, for a release that ends with the same status write. `template`: as in CloseRecord. `actions`:
    those that began it.
    """

    spec: ReleaseSpec
    ended: ReleaseRecord | None = None
    template: str = ""
    actions: tuple[Acted, ...] = ()


@dataclass(frozen=True, slots=True)
class NoteRounds:
    """Add rounds, waits and actions to the record of a release under way.

    `spec`: what it is about now, if that changed. `pause`: the seconds between two rounds after which some must be
    missing.
    """

    number: int
    rounds: tuple[Judged, ...]
    waits: tuple[Waited, ...]
    pause: float
    spec: ReleaseSpec | None = None
    actions: tuple[Acted, ...] = ()


@dataclass(frozen=True, slots=True)
class CloseRecord:
    """Add the last rounds and the end to the record of a release, before the status write that ends it.

    `template`: the revision whose pod template the record keeps; empty for none.
    """

    rounds: NoteRounds
    ended: ReleaseRecord
    template: str = ""


@dataclass(frozen=True, slots=True)
class DropRecords:
    """Delete the records of releases that are no longer kept."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MarkAction:
    """Write the result of an action into its status. The Canary's status has it already."""

    action: CanaryAction
    result: LastAction


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write this status, with its conditions. Always the last write of a decision.

    Only changes fields that differ from the situation's status, so that cookies that routing wrote meanwhile stay.
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
    | OpenRecord
    | NoteRounds
    | CloseRecord
    | DropRecords
    | MarkAction
    | WriteStatus
)


@dataclass(frozen=True, slots=True)
class Decision:
    """Either `needs` or `actions`, never both.

    `needs`: the checks of one stage without a result, in order. Run `together`, add the results to the evidence, and
    decide again. Only the decision knows whether a hook passes, so it asks for no more than it needs. `actions`: the
    operator carries them out in order. If one fails, it drops the rest, and the next decision continues from there.

    `memory`: the next memory; None if it does not change. The operator applies it once only the status write is left.
    If an action fails before that, `remember.carried_out` decides what to keep. A decision may change only the memory.

    `reasons`: why the release waits, or what was done. `wake`: when to reconcile again (seconds since the epoch); None
    if only a watched change can have an effect. A second decision on an unchanged situation has no action and no other
    memory. `judged`: the round that it judged, for the record of the release. `meanwhile`: a status write that says
    which needs have no answer yet. Gathering goes on.
    """

    needs: tuple[Need, ...] = ()
    actions: tuple[Action, ...] = ()
    reasons: tuple[Reason, ...] = ()
    wake: float | None = None
    memory: Memory | None = None
    judged: RoundStatus | None = None
    meanwhile: WriteStatus | None = None

    @property
    def together(self) -> tuple[Need, ...]:
        """The needs to run at the same time: all metrics of a round, or one need of another kind."""
        metrics = tuple(need for need in self.needs if isinstance(need, CheckMetric))
        return metrics if metrics == self.needs else self.needs[:1]

    @property
    def changes(self) -> bool:
        """Whether it has actions or a new memory."""
        return bool(self.actions) or self.memory is not None

    @property
    def writes(self) -> bool:
        """Whether an action changes the cluster. Events, alerts and counts change nothing that a decision reads."""
        return not all(isinstance(action, Say | Alert | Count) for action in self.actions)
