"""What comes before any phase: deletion, suspension, problems, and generated objects that are not as they should be.

Each is a question about the case, asked in order by `decide`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.api.facts import Problem, Route
from pyflagger.core import absent, bootstrap, contest, reasons, rollback, start
from pyflagger.core.case import Case
from pyflagger.core.conditions import BLOCKED, DEGRADED, stand
from pyflagger.core.decision import Action, Decision, Ensure, Part, Reason, WriteStatus
from pyflagger.core.revision import Change, configs_changed
from pyflagger.core.situation import Generated, Sync

COPIED = (Phase.PROMOTING, Phase.FINALISING)
"""Phases in which the revision of the run was judged and copied."""

WORKLOADS = ("Deployment ", "DaemonSet ")

RESTING = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED, Phase.WAITING})


def gone(case: Case) -> Decision | None:
    """An object on its way out that is not ours to hold: leave everything alone."""
    over = case.canary.metadata.deletion_timestamp is not None
    return Decision(reasons=(reasons.DELETED,)) if over else None


def unreadable(case: Case) -> Decision | None:
    """What the status holds and cannot be read is reported once, and replaced by what it was understood as."""
    if not case.status.unread:
        return None
    reason = reasons.unread(case.canary, case.status.unread)
    return case.act(reason, *case.once(reason, warn=True), WriteStatus(case.status.but(unread=())))


def finalizer(case: Case) -> Decision | None:
    """Our finalizer is there if and only if the target is to be handed back on deletion; suspension changes nothing."""
    if case.situation.generated.finalizer in ("drift", "missing"):
        return case.act(reasons.PREPARING, Ensure(Part.FINALIZER))
    return None


def suspended(case: Case) -> Decision | None:
    """A suspended canary is left alone, whatever else is wrong; said once each time it is suspended."""
    return case.hold(reasons.SUSPENDED, warn=False) if case.canary.spec.suspend else None


def unusable(case: Case) -> Decision | None:
    """A manifest that makes no sense is not taken on; any other is, whatever else there is still to wait for."""
    return (suspended(case) or blocked(case)) if case.situation.problems else None


def blocked(case: Case) -> Decision | None:
    """While there are problems nothing is changed: each is said once, and a condition names them.

    A refused action is told in the same way, but tried again: only that shows whether the right is there by now. So is
    somebody who undoes what we write. What others are about to mend is waited for without a word. What a release could
    not be judged by is told as well; only the start of a release waits for it.
    """
    found = tuple(dict.fromkeys(_problems(case)))
    waited = [problem.passes_by for problem in found if problem.passes_by and problem.passes_by > case.now]
    holding = tuple(problem for problem in found if problem.passes_by not in waited)
    refused = case.situation.refused
    problems = holding or ((refused,) if refused else ()) or contest.problems(case) or case.situation.unjudged
    told = tuple(reasons.blocked(problem) for problem in problems)
    news = _standing(case, BLOCKED, told, reasons.MENDED)
    if not found:
        return news
    awaited = tuple(reasons.awaited(problem) for problem in found if problem not in holding)
    return replace(news or Decision(), reasons=(*told, *awaited), wake=min(waited, default=None))


def degraded(case: Case) -> Decision | None:
    """What is missing and stops nothing: an event says it once, and a condition as long as it lasts."""
    told = tuple(reasons.blocked(problem) for problem in case.situation.generated.degraded)
    return _standing(case, DEGRADED, told, reasons.WHOLE)


def _standing(case: Case, kind: str, told: tuple[Reason, ...], over: Reason) -> Decision | None:
    """Tell of each reason once, and of all in a condition of this kind, for as long as they hold; None without news.

    What does not hold any more is forgotten, and told when it comes back.
    """
    status = stand(case.status, kind, told, case.now)
    memory = case.memory.without(kind, *(reason.text for reason in told))
    actions: list[Action] = [said for reason in told for said in case.announce(reason, kind, reason.text)]
    actions += [WriteStatus(status)] if status != case.status else []
    if not actions and memory == case.memory:
        return None
    return Decision(actions=tuple(actions), reasons=told or (over,), memory=memory)


def _problems(case: Case) -> Iterator[Problem]:
    situation = case.situation
    yield from situation.problems
    if situation.rivalled:
        return
    yield from situation.unread
    if situation.unread:
        return
    yield from situation.foreign
    lost = _lost(case)
    if lost is not None:
        yield lost
    route = None if _mendable(case) else situation.route
    parts: tuple[object, ...] = (situation.target, situation.primary, route, *_rendered(case))
    yield from (part for part in parts if isinstance(part, Problem))


def _mendable(case: Case) -> bool:
    """Whether a route whose weights make no sense can be set again, which `repair` does and tells."""
    return case.situation.generated.routing == "drift"


def _rendered(case: Case) -> Iterator[Sync]:
    """The generated parts whose problems count by now: the primary's come after the first steps of the bootstrap."""
    made: Generated = case.situation.generated
    yield from (made.canary_service, made.primary_service, made.apex_service, made.routing, made.stale_configs)
    if not bootstrap.under_way(case) or bootstrap.primary_is_next(case):
        yield from (made.primary_configs, made.primary_workload, made.primary_autoscaler)


def bind(case: Case) -> Decision | None:
    """Renew owner references first of all: what has those of an earlier Canary is about to be collected with it."""
    unbound = case.situation.generated.unbound
    if not unbound:
        return None
    reason = reasons.bound(case.canary, unbound)
    return case.act(reason, Ensure(Part.OWNERS), case.say(reason))


def repair(case: Case) -> Decision | None:
    """Write what drifted, and create what was deleted. Weights stay as they are."""
    if bootstrap.under_way(case):
        return None
    made = case.situation.generated
    lost = _restore(case)
    if lost is not None:
        return lost
    if made.autoscaler_unpaused:
        reason = reasons.autoscaler_unpaused(case.canary)
        return case.act(reason, Ensure(Part.PRIMARY_AUTOSCALER), case.say(reason, warn=True))
    wanted = (
        (Part.CANARY_SERVICE, made.canary_service != "ok"),
        (Part.PRIMARY_SERVICE, made.primary_service != "ok"),
        (Part.APEX_SERVICE, made.apex_service != "ok"),
        (Part.ROUTING, made.routing != "ok"),
        (Part.PRIMARY_AUTOSCALER, made.primary_autoscaler == "missing" and case.primary is not None),
        (Part.PRIMARY_CONFIGS, made.primary_configs == "missing"),
    )
    ensure = tuple(Ensure(part) for part, want in wanted if want)
    if not ensure:
        return None
    due = tuple(each for each in ensure if not contest.rests(case, each))
    if not due:
        # With weights that are known there is more to do meanwhile; without, this waits its turn and all else with it.
        return None if isinstance(case.situation.route, Route) else case.act(reasons.REPAIRING, *ensure)
    return _mend(case, due) if Ensure(Part.ROUTING) in due else case.act(reasons.REPAIRING, *due)


def bounds(case: Case) -> Decision | None:
    """Between releases the primary's autoscaler gets new bounds of the target's at once: users are served by it."""
    change = case.situation.generated.autoscaler_bounds
    if not change or case.status.phase not in RESTING:
        return None
    reason = reasons.autoscaler_follows(case.canary, change)
    return case.act(reason, Ensure(Part.AUTOSCALER_BOUNDS), case.say(reason))


def _mend(case: Case, ensure: tuple[Ensure, ...]) -> Decision:
    """Mend the routes, and tell what somebody did to them."""
    by, found = contest.manager(case), case.situation.route
    if by is None:
        return contest.ask()
    if isinstance(found, Problem):
        reason = reasons.blocked(found)
    elif found is None:
        reason = reasons.route_gone(case.canary, case.status.canary_weight)
    elif by.named:
        reason = reasons.route_changed(by)
    else:
        return case.act(reasons.REPAIRING, *ensure)
    return case.act(reason, *ensure, case.say(reason, warn=True))


def _restore(case: Case) -> Decision | None:
    """Bring a deleted primary back, but never from a template that was not judged. Meanwhile a proved canary serves."""
    if case.situation.generated.primary_workload == "ok":
        return None
    if case.primary is None and not _restorable(case):
        return None
    covered = rollback.cover_copied(case) if case.status.phase in COPIED else None
    return covered or case.act(reasons.REPAIRING, Ensure(Part.PRIMARY_WORKLOAD))


def _restorable(case: Case) -> bool:
    """Whether the target is what the primary ran. A template that is kept elsewhere would be asked for here."""
    if case.status.phase in COPIED and case.target.revision == case.status.last_applied_spec:
        return not configs_changed(case.status, case.target)
    return case.target.revision == case.status.last_promoted_spec


def _lost(case: Case) -> Problem | None:
    """A primary that is gone, and nothing to make one of: neither the promoted revision nor a new one to judge.

    Nothing is made of another target while the primary of the one before serves.
    """
    gone = case.primary is None and case.primary_gone
    if not gone or bootstrap.under_way(case) or _restorable(case):
        return None
    if any(left.startswith(WORKLOADS) for left in case.situation.left):
        return absent.other_target(case.canary)
    idle = case.status.phase in (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)
    if not idle or case.rescued or start.change(case) is Change.NEW:
        return None
    return absent.not_restorable(case.canary)


def left_behind(case: Case) -> Decision | None:
    """What an earlier spec had made is named, once the new is there. It is not touched: visitors may come by it."""
    if bootstrap.under_way(case):
        return None
    left = case.situation.left
    return _told(case, reasons.left_behind(case.canary, left)) if left else None


def narrow(case: Case) -> Decision | None:
    """A primary with a selector of fewer labels than its target's is told of once. It serves on."""
    labels = case.primary.unselected if case.primary else ()
    if not labels or bootstrap.under_way(case):
        return None
    return _told(case, reasons.narrow(case.canary, labels))


def _told(case: Case, reason: Reason) -> Decision | None:
    said = case.announce(reason, reason.code)
    return case.act(reason, *said) if said else None
