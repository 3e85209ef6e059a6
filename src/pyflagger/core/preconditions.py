"""What comes before any phase: deletion, suspension, problems, and generated objects that are not as they should be.

Each is a rule of `transitions`, asked in order before those of the phase.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.api.facts import Problem, Route
from pyflagger.core import absent, bootstrap, conflicts, reasons, rollback, start
from pyflagger.core.actions import act, announce, hold, once, say
from pyflagger.core.conditions import BLOCKED, DEGRADED, stand
from pyflagger.core.decision import Action, Decision, Ensure, Part, Reason, WriteStatus
from pyflagger.core.revision import Change, configs_changed
from pyflagger.core.situation import Generated, Sync
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_backends

COPIED = (Phase.PROMOTING, Phase.FINALISING)
"""Phases in which the revision of the run was judged and copied."""

WORKLOADS = ("Deployment ", "DaemonSet ")

RESTING = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED, Phase.WAITING})


def gone(view: View) -> Decision | None:
    """An object on its way out that is not ours to hold: leave everything alone."""
    over = view.canary.metadata.deletion_timestamp is not None
    return Decision(reasons=(reasons.DELETED,)) if over else None


def unreadable(view: View) -> Decision | None:
    """What the status holds and cannot be read is reported once, and replaced by what it was understood as."""
    if not view.status.unread:
        return None
    reason = reasons.unread(view.canary, view.status.unread)
    return act(reason, *once(view, reason, warn=True), WriteStatus(view.status.but(unread=())))


def finalizer(view: View) -> Decision | None:
    """Our finalizer is there if and only if the target is to be handed back on deletion; suspension changes nothing."""
    if view.situation.generated.finalizer in ("drift", "missing"):
        return act(reasons.PREPARING, Ensure(Part.FINALIZER))
    return None


def suspended(view: View) -> Decision | None:
    """A suspended canary is left alone, whatever else is wrong; said once each time it is suspended."""
    return hold(view, reasons.SUSPENDED, warn=False) if view.canary.spec.suspend else None


def unusable(view: View) -> Decision | None:
    """A manifest that makes no sense is not taken on; any other is, whatever else there is still to wait for."""
    return (suspended(view) or blocked(view)) if view.situation.problems else None


def blocked(view: View) -> Decision | None:
    """While there are problems nothing is changed: each is said once, and a condition names them.

    A refused action is told in the same way, but tried again: only that shows whether the right is there by now. So is
    somebody who undoes what we write. What others are about to mend is waited for without a word. What a release could
    not be judged by is told as well; only the start of a release waits for it.
    """
    found = tuple(dict.fromkeys(_problems(view)))
    waited = [problem.passes_by for problem in found if problem.passes_by and problem.passes_by > view.now]
    holding = tuple(problem for problem in found if problem.passes_by not in waited)
    refused = view.situation.refused
    problems = holding or ((refused,) if refused else ()) or conflicts.problems(view) or view.situation.unjudged
    told = tuple(reasons.blocked(problem) for problem in problems)
    news = _standing(view, BLOCKED, told, reasons.MENDED)
    if not found:
        return news
    awaited = tuple(reasons.awaited(problem) for problem in found if problem not in holding)
    return replace(news or Decision(), reasons=(*told, *awaited), wake=min(waited, default=None))


def degraded(view: View) -> Decision | None:
    """What is missing and stops nothing: an event says it once, and a condition as long as it lasts."""
    told = tuple(reasons.blocked(problem) for problem in view.situation.generated.degraded)
    return _standing(view, DEGRADED, told, reasons.WHOLE)


def _standing(view: View, kind: str, told: tuple[Reason, ...], over: Reason) -> Decision | None:
    """Tell of each reason once, and of all in a condition of this kind, for as long as they hold; None without news.

    What does not hold any more is forgotten, and told when it comes back.
    """
    status = stand(view.status, kind, told, view.now)
    memory = view.memory.without(kind, *(reason.text for reason in told))
    actions: list[Action] = [said for reason in told for said in announce(view, reason, kind, reason.text)]
    actions += [WriteStatus(status)] if status != view.status else []
    if not actions and memory == view.memory:
        return None
    return Decision(actions=tuple(actions), reasons=told or (over,), memory=memory)


def _problems(view: View) -> Iterator[Problem]:
    situation = view.situation
    yield from situation.problems
    if situation.rivalled:
        return
    yield from situation.unread
    if situation.unread:
        return
    yield from situation.foreign
    lost = _lost(view)
    if lost is not None:
        yield lost
    route = None if _mendable(view) else situation.route
    parts: tuple[object, ...] = (situation.target, situation.primary, route, *_rendered(view))
    yield from (part for part in parts if isinstance(part, Problem))


def _mendable(view: View) -> bool:
    """Whether a route whose weights make no sense can be set again, which `repair` does and tells."""
    return view.situation.generated.routing == "drift"


def _rendered(view: View) -> Iterator[Sync]:
    """The generated parts whose problems count by now: the primary's come after the first steps of the bootstrap."""
    made: Generated = view.situation.generated
    yield from (made.canary_service, made.primary_service, made.apex_service, made.routing, made.stale_configs)
    if not bootstrap.under_way(view) or bootstrap.primary_is_next(view):
        yield from (made.primary_configs, made.primary_workload, made.primary_autoscaler)


def bind(view: View) -> Decision | None:
    """Renew owner references first of all: what has those of an earlier Canary is about to be collected with it."""
    unbound = view.situation.generated.unbound
    if not unbound:
        return None
    reason = reasons.bound(view.canary, unbound)
    return act(reason, Ensure(Part.OWNERS), say(view, reason))


def repair(view: View) -> Decision | None:
    """Write what drifted, and create what was deleted. Weights stay as they are."""
    if bootstrap.under_way(view):
        return None
    made = view.situation.generated
    lost = _restore(view)
    if lost is not None:
        return lost
    if made.autoscaler_unpaused:
        reason = reasons.autoscaler_unpaused(view.canary)
        return act(reason, Ensure(Part.PRIMARY_AUTOSCALER), say(view, reason, warn=True))
    announced = made.routing == "announced"
    holds = hold_for_backends(view, announced)
    wanted = (
        (Part.CANARY_SERVICE, made.canary_service != "ok"),
        (Part.PRIMARY_SERVICE, made.primary_service != "ok"),
        (Part.APEX_SERVICE, made.apex_service != "ok"),
        (Part.ROUTING, made.routing != "ok" and holds is None),
        (Part.PRIMARY_AUTOSCALER, made.primary_autoscaler == "missing" and view.primary is not None),
        (Part.PRIMARY_CONFIGS, made.primary_configs == "missing"),
    )
    ensure = tuple(Ensure(part) for part, want in wanted if want)
    if not ensure:
        return holds
    due = tuple(each for each in ensure if not conflicts.rests(view, each))
    if not due:
        # With weights that are known there is more to do meanwhile; without, this waits its turn and all else with it.
        return None if isinstance(view.situation.route, Route) else act(reasons.REPAIRING, *ensure)
    return _mend(view, due) if Ensure(Part.ROUTING) in due and not announced else act(reasons.REPAIRING, *due)


def bounds(view: View) -> Decision | None:
    """Between releases the primary's autoscaler gets new bounds of the target's at once: users are served by it."""
    change = view.situation.generated.autoscaler_bounds
    if not change or view.status.phase not in RESTING:
        return None
    reason = reasons.autoscaler_follows(view.canary, change)
    return act(reason, Ensure(Part.AUTOSCALER_BOUNDS), say(view, reason))


def _mend(view: View, ensure: tuple[Ensure, ...]) -> Decision:
    """Mend the routes, and tell what somebody did to them."""
    by, found = conflicts.manager(view), view.situation.route
    if by is None:
        return conflicts.ask()
    if isinstance(found, Problem):
        reason = reasons.blocked(found)
    elif found is None:
        reason = reasons.route_gone(view.canary, view.status.canary_weight)
    elif by.named:
        reason = reasons.route_changed(by)
    else:
        return act(reasons.REPAIRING, *ensure)
    return act(reason, *ensure, say(view, reason, warn=True))


def _restore(view: View) -> Decision | None:
    """Bring a deleted primary back, but never from a template that was not judged. Meanwhile a proved canary serves."""
    if view.situation.generated.primary_workload == "ok":
        return None
    if view.primary is None and not _restorable(view):
        return None
    covered = rollback.cover_copied(view) if view.status.phase in COPIED else None
    return covered or act(reasons.REPAIRING, Ensure(Part.PRIMARY_WORKLOAD))


def _restorable(view: View) -> bool:
    """Whether the target is what the primary ran. A template that is kept elsewhere would be asked for here."""
    if view.status.phase in COPIED and view.target.revision == view.status.last_applied_spec:
        return not configs_changed(view.status, view.target)
    return view.target.revision == view.status.last_promoted_spec


def _lost(view: View) -> Problem | None:
    """A primary that is gone, and nothing to make one of: neither the promoted revision nor a new one to judge.

    Nothing is made of another target while the primary of the one before serves.
    """
    gone = view.primary is None and view.primary_gone
    if not gone or bootstrap.under_way(view) or _restorable(view):
        return None
    if any(left.startswith(WORKLOADS) for left in view.situation.left):
        return absent.other_target(view.canary)
    idle = view.status.phase in (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)
    if not idle or view.rescued or start.change(view) is Change.NEW:
        return None
    return absent.not_restorable(view.canary)


def left_behind(view: View) -> Decision | None:
    """What an earlier spec had made is named, once the new is there. It is not touched: visitors may come by it."""
    if bootstrap.under_way(view):
        return None
    left = view.situation.left
    return _told(view, reasons.left_behind(view.canary, left)) if left else None


def narrow(view: View) -> Decision | None:
    """A primary with a selector of fewer labels than its target's is told of once. It serves on."""
    labels = view.primary.unselected if view.primary else ()
    if not labels or bootstrap.under_way(view):
        return None
    return _told(view, reasons.narrow(view.canary, labels))


def _told(view: View, reason: Reason) -> Decision | None:
    said = announce(view, reason, reason.code)
    return act(reason, *said) if said else None
