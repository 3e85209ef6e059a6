"""The table of a release: in each phase what may happen, in order, which rule decides then, and which phase may follow.

The theory. A release is about two facts: what the primary runs, and how much traffic the canary gets.
Four rules make the table:

1. Nothing is promoted that was not judged. Only `Progressing` and `WaitingPromotion` judge; `Promoting` follows them
   alone (an analysis that is skipped is a judgement by the user).
2. There is always a way back. Every phase that gives traffic to the canary can fail, and failing ends with all traffic
   on pods that are ready: the primary, or the canary while the primary is broken.
3. Copying is the point of no return. From `Promoting` on the primary alone decides; a new revision waits its turn.
4. An end is an end only once it is written. `Succeeded` and `Failed` are the last write of a run, so a crash repeats
   the steps before them and never loses one.

`Initialized` is also where a run goes that was cancelled by putting the promoted revision back: nothing failed, and
nothing was promoted. A Canary that is not being deleted never stays in a phase of deletion, nor in one that flagger
does not know: it is initialized again.

A row names an event and the rule that looks for it. The first rule of a phase that returns a decision decides, and the
last one always does. A rule may move the status to the phases of its row and to no other: a test follows the calls of
each rule to every phase that it can write. The diagram of the docs is drawn from this table. Run by `decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from pyflagger.api.canary import Phase
from pyflagger.core import (
    analysis,
    bootstrap,
    finalizer,
    handover,
    preconditions,
    promotion,
    rollback,
    start,
    strategy,
)
from pyflagger.core.decision import Decision
from pyflagger.core.view import View

Answer = TypeVar("Answer", covariant=True)


@dataclass(frozen=True, slots=True)
class Row(Generic[Answer]):
    """An event, the rule that looks for it, and the phases that may follow, each by the event in fewer words.

    A rule that finds nothing returns None. It may always leave the phase as it is.
    """

    event: str
    rule: Callable[[View], Answer]
    to: Mapping[Phase, str] = field(default_factory=dict)


Conditional: TypeAlias = Row[Decision | None]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in order, and a last one that always answers."""

    rows: tuple[Conditional, ...]
    last: Row[Decision]

    def decide(self, view: View) -> Decision:
        """The first answer."""
        for row in self.rows:
            decision = row.rule(view)
            if decision is not None:
                return decision
        return self.last.rule(view)


GONE = Row("the Canary is being deleted and others hold it", preconditions.gone)
UNREADABLE = Row("the status has values that cannot be read", preconditions.unreadable)
FINALIZER = Row("the finalizer is not as the spec asks", preconditions.finalizer)

PRECONDITIONS: tuple[Conditional, ...] = (
    GONE,
    UNREADABLE,
    FINALIZER,
    Row("the Canary is suspended", preconditions.suspended),
    Row("a problem blocks the canary", preconditions.blocked),
    Row("objects belong to an earlier Canary", preconditions.bind),
    Row("something of the primary's is missing", preconditions.degraded),
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
        Row("routes have to exist first", bootstrap.early_routing),
        Row("the primary is missing or not ready", bootstrap.primary),
        Row("the primary is ready", bootstrap.handover),
        Row("routes lead to the target", bootstrap.home),
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
        OWED,
        SCALING_DOWN,
        Row("hashes are of another version", start.rebase),
        Row("traffic, pods or configs are left over", start.tidy),
        Row("there is no new revision", start.rest),
        UNJUDGED,
        UNSERVED,
        PRIMARY_FIRST,
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
        Row("a rollback hook agrees", start.called_off),
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
        Row("something cannot be read", finalizer.unread),
        Row("the target is not scaled up", finalizer.target),
        Row("the target's pods are not ready", finalizer.pods),
        Row("users are not handed back", finalizer.hand_back),
    ),
    Row("everything is handed back", finalizer.release),
)
"""Also for the reference's `Terminated`, which it writes before it removes its finalizer."""

DELETION: Mapping[Phase, Rows] = {
    phase: HANDING_BACK if phase in (Phase.TERMINATING, Phase.TERMINATED) else DELETED for phase in Phase
}
"""The table of a Canary that is being deleted and has our finalizer."""


def following(phase: Phase) -> Mapping[Phase, tuple[str, ...]]:
    """The phases that may follow one, each with its events, in the order of the table."""
    found: dict[Phase, tuple[str, ...]] = {}
    for rows in (RELEASE[phase], DELETION[phase]):
        for row in (*rows.rows, rows.last):
            for to, event in row.to.items():
                known = found.get(to, ())
                found[to] = known if event in known else (*known, event)
    return {to: events for to, events in found.items() if to is not phase}


ALLOWED: Mapping[Phase, frozenset[Phase]] = {phase: frozenset(following(phase)) for phase in Phase}
