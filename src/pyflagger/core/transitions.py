"""The table of a release: for each phase the events in order, the rule for each, and the phases that may follow.

The theory. A release has two facts: the revision of the primary, and the traffic of the canary. The table follows
from four rules:

1. flagger promotes nothing that it has not judged, or promoted before. Only `Progressing` and `WaitingPromotion` judge,
   and `Promoting` only follows them, or a person who undoes a release. (With skipAnalysis, the user is the judge.)
2. There is always a way back. Every phase with traffic on the canary can fail. A failed run ends with all traffic on
   ready pods: those of the primary, or those of the canary while the primary is broken.
3. The copy is the point of no return. From `Promoting` on only the primary matters, and a new revision waits.
4. A run ends with a write. `Succeeded` and `Failed` are the last write of a run, so a crash repeats the steps before
   them and never loses one.

A run also ends in `Initialized` if the user restores the promoted revision: nothing failed, and nothing was promoted. A
Canary that is not being deleted never stays in a phase of deletion or in an unknown phase: flagger initializes it
again.

A row has an event and the rule that detects it. The first rule of a phase that returns a decision decides, and the last
one always does. A rule may change the status only to the phases of its row: a test follows the calls of each rule to
every phase that it can write. `make docs` draws the diagram from this table. Run by `decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from pyflagger.api.canary import Phase
from pyflagger.core import (
    analysis,
    baking,
    bootstrap,
    finalizer,
    handover,
    pausing,
    preconditions,
    promotion,
    rebuild,
    record,
    rollback,
    start,
    steering,
    strategy,
    undo,
)
from pyflagger.core.decision import Decision
from pyflagger.core.view import View

Answer = TypeVar("Answer", covariant=True)


@dataclass(frozen=True, slots=True)
class Row(Generic[Answer]):
    """An event, the rule that detects it, and the phases that may follow, each with a short form of the event.

    A rule returns None if its event did not occur. It may always keep the phase.
    """

    event: str
    rule: Callable[[View], Answer]
    to: Mapping[Phase, str] = field(default_factory=dict)


Conditional: TypeAlias = Row[Decision | None]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in order, and a last one that always decides."""

    rows: tuple[Conditional, ...]
    last: Row[Decision]

    def decide(self, view: View) -> Decision:
        """The decision of the first row that has one."""
        for row in self.rows:
            decision = row.rule(view)
            if decision is not None:
                return decision
        return self.last.rule(view)


GONE = Row("the Canary is being deleted without flagger's finalizer", preconditions.gone)
UNREADABLE = Row("the status has invalid values", preconditions.unreadable)
FINALIZER = Row("the finalizer does not match the spec", preconditions.finalizer)

ASKED: Conditional = Row("a person asks for an action", steering.asked)
PRECONDITIONS: tuple[Conditional, ...] = (
    GONE,
    UNREADABLE,
    FINALIZER,
    ASKED,
    Row("the Canary is suspended", preconditions.suspended),
    Row("a deleted primary may have a record", rebuild.ask),
    Row("a problem blocks the canary", preconditions.blocked),
    Row("a pause ends, or has lasted for another day", pausing.over),
    Row("objects belong to an earlier Canary", preconditions.bind),
    Row("an object of the primary is missing", preconditions.degraded),
    Row("generated objects have drifted", preconditions.repair),
    Row("the target's autoscaler has new bounds", preconditions.bounds),
    Row("objects are left from an earlier spec", preconditions.left_behind),
    Row("the primary's selector has fewer labels", preconditions.narrow),
)

# Initialization -----------------------------------------------------------------------------------------------------

NEW = Rows(
    (GONE, UNREADABLE, FINALIZER, Row("the manifest is invalid", preconditions.unusable)),
    Row("a Canary was created", bootstrap.begin, {Phase.INITIALIZING: "created"}),
)
AGAIN = Rows((GONE,), Row("a Canary was restored", bootstrap.again, {Phase.INITIALIZING: "restored"}))
INITIALIZING = Rows(
    (
        *PRECONDITIONS,
        Row("Services are missing", bootstrap.services),
        Row("metric providers have not been probed", bootstrap.probe),
        Row("routes must exist first", bootstrap.early_routing),
        Row("the primary is missing or not ready", bootstrap.primary),
        Row("the primary is ready", bootstrap.handover),
        Row("routes send traffic to the target", bootstrap.home),
        Row("the target runs pods", bootstrap.asleep),
        Row("routes are missing", bootstrap.routing),
    ),
    Row("everything is in place", bootstrap.finish, {Phase.INITIALIZED: "primary serves"}),
)

# Between releases ---------------------------------------------------------------------------------------------------

OWED: Conditional = Row("the canary is owed all traffic", rollback.rescue)
SCALING_DOWN: Conditional = Row("a release has ended", start.scale_down)
UNJUDGED: Conditional = Row("nothing could judge a release", start.unjudged)
UNSERVED: Conditional = Row("the new revision lacks a port", start.unserved, {Phase.PROGRESSING: "port missing"})
PRIMARY_FIRST: Conditional = Row("the primary is not ready", start.primary_first)

IDLE = Rows(
    (
        *PRECONDITIONS,
        Row("a person undoes a release", steering.undone, {Phase.PROMOTING: "undo"}),
        OWED,
        SCALING_DOWN,
        Row("the status has hashes of another version", start.rebase),
        Row("traffic, pods or configs are left over", start.tidy),
        Row("the primary's release has no record", record.adopt),
        Row("the promoted version bakes", baking.carry_on, {Phase.PROMOTING: "bake failed"}),
        Row("there is no new revision", start.rest),
        UNJUDGED,
        UNSERVED,
        PRIMARY_FIRST,
        Row("a person holds the next release", pausing.stands),
    ),
    Row("there is a new revision", start.start, {Phase.PROGRESSING: "new revision", Phase.WAITING: "gate closed"}),
)
WAITING = Rows(
    (
        *PRECONDITIONS,
        Row("a rollback is under way", rollback.carry_on, {Phase.FAILED: "rolled back"}),
        OWED,
        SCALING_DOWN,
        Row(
            "the new revision was withdrawn",
            start.retract,
            {Phase.INITIALIZED: "promoted revision is back", Phase.FAILED: "refused revision is back"},
        ),
        UNJUDGED,
        UNSERVED,
        PRIMARY_FIRST,
        Row("the gate was asked within the interval", start.poll),
        Row("a rollback hook passes", start.called_off),
        Row("a person holds the release", pausing.start),
    ),
    Row("an interval is over", start.start, {Phase.PROGRESSING: "gate open"}),
)

# Judging ------------------------------------------------------------------------------------------------------------

JUDGING = Rows(
    (
        *PRECONDITIONS,
        Row("the primary is gone", rollback.cover, {Phase.PROGRESSING: "primary gone"}),
        Row("a rollback is under way", rollback.carry_on, {Phase.FAILED: "rolled back"}),
        Row(
            "the revision changed",
            analysis.changed,
            {Phase.PROGRESSING: "new revision", Phase.INITIALIZED: "promoted revision is back"},
        ),
        Row("the primary runs this revision", analysis.made_it, {Phase.PROMOTING: "copied"}),
        Row("the revision lacks a port", rollback.refused, {Phase.FAILED: "rolled back"}),
        OWED,
        Row("the primary is not ready", analysis.primary_carries),
        Row("the canary's pods are not ready", analysis.canary_pods),
        Row(
            "a person asks for a promotion, a weight or a restart",
            steering.late,
            {Phase.PROGRESSING: "asked for", Phase.PROMOTING: "copied"},
        ),
        Row("all traffic goes to the canary first", handover.carry_on, {Phase.PROMOTING: "copied"}),
        Row(
            "the analysis is skipped",
            analysis.skipped,
            {Phase.PROGRESSING: "all traffic to the canary first", Phase.PROMOTING: "copied"},
        ),
        Row("traffic is ahead of the status", strategy.record),
        Row("too many checks failed", analysis.too_many_failed),
        Row("the data plane does not serve the route", analysis.served),
        Row("the interval is not over", analysis.between_rounds),
    ),
    Row(
        "a round is due",
        analysis.round_of,
        {
            Phase.PROGRESSING: "all traffic to the canary first",
            Phase.WAITING_PROMOTION: "gate closed",
            Phase.PROMOTING: "copied",
        },
    ),
)

# Promotion ----------------------------------------------------------------------------------------------------------

GIVEN_UP: Conditional = Row("the promotion failed", promotion.give_up, {Phase.FAILED: "primary past its deadline"})
REBASED: Conditional = Row("the hash is of another version", promotion.rebase)
PRIMARY_READY: Conditional = Row("the primary is not ready", promotion.primary_ready)
LEFT: Conditional = Row("traffic goes to the canary", promotion.leave)
PROMOTED: Row[Decision] = Row("all traffic is on the primary", promotion.finish, {Phase.SUCCEEDED: "promoted"})

PROMOTING = Rows(
    (
        *PRECONDITIONS,
        Row("an undo is under way", undo.carry_on, {Phase.FAILED: "undone"}),
        GIVEN_UP,
        REBASED,
        OWED,
        PRIMARY_READY,
        Row("all pods of the primary are new", promotion.settled),
        Row("the primary's autoscaler differs", promotion.autoscaler),
        Row("traffic goes back at once", promotion.go_home, {Phase.FINALISING: "all traffic to the primary"}),
        Row("traffic goes back in steps", promotion.step_home, {Phase.FINALISING: "all traffic to the primary"}),
        LEFT,
    ),
    PROMOTED,
)
FINALISING = Rows((*PRECONDITIONS, GIVEN_UP, REBASED, PRIMARY_READY, LEFT), PROMOTED)

RELEASE: Mapping[Phase, Rows] = {
    Phase.NEW: NEW,
    Phase.INITIALIZING: INITIALIZING,
    Phase.INITIALIZED: IDLE,
    Phase.WAITING: WAITING,
    Phase.PROGRESSING: JUDGING,
    Phase.WAITING_PROMOTION: JUDGING,
    Phase.PROMOTING: PROMOTING,
    Phase.FINALISING: FINALISING,
    Phase.SUCCEEDED: IDLE,
    Phase.FAILED: IDLE,
    Phase.TERMINATING: AGAIN,
    Phase.TERMINATED: AGAIN,
    Phase.UNKNOWN: AGAIN,
}

# Deletion -----------------------------------------------------------------------------------------------------------

DELETED = Rows((), Row("the Canary is deleted", finalizer.begin, {Phase.TERMINATING: "deleted"}))
HANDING_BACK = Rows(
    (
        ASKED,
        Row("an object cannot be read", finalizer.unread),
        Row("the target is not scaled up", finalizer.target),
        Row("the target's pods are not ready", finalizer.pods),
        Row("visitors are not back on the target", finalizer.hand_back),
    ),
    Row("everything is restored", finalizer.release),
)
"""Also for `Terminated` of the reference, which writes it before it removes its finalizer."""

DELETION: Mapping[Phase, Rows] = {
    phase: HANDING_BACK if phase in (Phase.TERMINATING, Phase.TERMINATED) else DELETED for phase in Phase
}
"""The table of a Canary that is being deleted and has flagger's finalizer."""


def following(phase: Phase) -> Mapping[Phase, tuple[str, ...]]:
    """The phases that may follow a phase, each with its events, in the order of the table."""
    found: dict[Phase, tuple[str, ...]] = {}
    for rows in (RELEASE[phase], DELETION[phase]):
        for row in (*rows.rows, rows.last):
            for to, event in row.to.items():
                known = found.get(to, ())
                found[to] = known if event in known else (*known, event)
    return {to: events for to, events in found.items() if to is not phase}


ALLOWED: Mapping[Phase, frozenset[Phase]] = {phase: frozenset(following(phase)) for phase in Phase}
