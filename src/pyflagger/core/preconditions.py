"""The rules before those of any phase: deletion, suspension, problems, and drift of generated objects.

`transitions` runs them in order before the rules of the phase.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.api.facts import Problem, Route
from pyflagger.core import bootstrap, conflicts, reasons, rebuild
from pyflagger.core.actions import act, announce, hold, once, say
from pyflagger.core.conditions import BLOCKED, DEGRADED, stand
from pyflagger.core.decision import Action, Decision, Ensure, Part, Reason, WriteStatus
from pyflagger.core.situation import Generated, Sync
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_backends

RESTING = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED, Phase.WAITING})


def gone(view: View) -> Decision | None:
    """A Canary that is being deleted without flagger's finalizer: change nothing."""
    over = view.canary.metadata.deletion_timestamp is not None
    return Decision(reasons=(reasons.DELETED,)) if over else None


def unreadable(view: View) -> Decision | None:
    """Report invalid values in the status once, and replace them by the values that flagger assumed."""
    if not view.status.unread:
        return None
    reason = reasons.unread(view.canary, view.status.unread)
    return act(reason, *once(view, reason, warn=True), WriteStatus(view.status.but(unread=())))


def finalizer(view: View) -> Decision | None:
    """Add or remove the finalizer, by spec.revertOnDeletion. Also for a suspended canary."""
    if view.situation.generated.finalizer in ("drift", "missing"):
        return act(reasons.PREPARING, Ensure(Part.FINALIZER))
    return None


def suspended(view: View) -> Decision | None:
    """Change nothing while the canary is suspended. An event reports each suspension once."""
    return hold(view, reasons.SUSPENDED, warn=False) if view.canary.spec.suspend else None


def unusable(view: View) -> Decision | None:
    """Do not start with an invalid manifest. Other problems do not prevent the initialization from starting."""
    return (suspended(view) or blocked(view)) if view.situation.problems else None


def blocked(view: View) -> Decision | None:
    """Change nothing while there are problems. An event reports each once, and a condition has them all.

    flagger also reports a refused action, but retries it, because only a retry shows whether permission was granted. It
    reports a conflict in the same way. It waits silently for problems that another controller is expected to resolve.
    It also reports missing metric sources, but only the start of a release waits for them.
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


def hindrance(view: View) -> Problem | None:
    """The first problem that stops the canary and that no other controller is about to resolve."""
    found = (each for each in _problems(view) if not (each.passes_by and each.passes_by > view.now))
    return next(found, None)


def degraded(view: View) -> Decision | None:
    """Report missing objects that do not stop a release: once in an event, and in a condition while it lasts."""
    told = tuple(reasons.blocked(problem) for problem in view.situation.generated.degraded)
    return _standing(view, DEGRADED, told, reasons.WHOLE)


def _standing(view: View, kind: str, told: tuple[Reason, ...], over: Reason) -> Decision | None:
    """Report each reason once, and all of them in a condition of this kind while they last; None without news.

    The memory forgets a reason that ended, so that flagger reports it if it returns.
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
    lost = rebuild.problem(view)
    if lost is not None:
        yield lost
    route = None if _mendable(view) else situation.route
    parts: tuple[object, ...] = (situation.target, situation.primary, route, *_rendered(view))
    yield from (part for part in parts if isinstance(part, Problem))


def _mendable(view: View) -> bool:
    """Whether `repair` can restore, and report, a route with invalid weights."""
    return view.situation.generated.routing == "drift"


def _rendered(view: View) -> Iterator[Sync]:
    """The generated parts whose problems count. Those of the primary count after the first steps of the bootstrap."""
    made: Generated = view.situation.generated
    yield from (made.canary_service, made.primary_service, made.apex_service, made.routing, made.stale_configs)
    if not bootstrap.under_way(view) or bootstrap.primary_is_next(view):
        yield from (made.primary_configs, made.primary_workload, made.primary_autoscaler)


def bind(view: View) -> Decision | None:
    """Renew owner references first: the garbage collector would delete objects that an earlier Canary owns."""
    unbound = view.situation.generated.unbound
    if not unbound:
        return None
    reason = reasons.bound(view.canary, unbound)
    return act(reason, Ensure(Part.OWNERS), say(view, reason))


def repair(view: View) -> Decision | None:
    """Restore objects that drifted or were deleted. Weights stay as they are."""
    if bootstrap.under_way(view):
        return None
    made = view.situation.generated
    restored = rebuild.restore(view)
    if restored is not None:
        return restored
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
        # Without known weights nothing else can be done, so the write waits for its backoff.
        return None if isinstance(view.situation.route, Route) else act(reasons.REPAIRING, *ensure)
    return _mend(view, due) if Ensure(Part.ROUTING) in due and not announced else act(reasons.REPAIRING, *due)


def bounds(view: View) -> Decision | None:
    """Between releases, copy new bounds of the target's autoscaler immediately, because the primary serves users."""
    change = view.situation.generated.autoscaler_bounds
    if not change or view.status.phase not in RESTING:
        return None
    reason = reasons.autoscaler_follows(view.canary, change)
    return act(reason, Ensure(Part.AUTOSCALER_BOUNDS), say(view, reason))


def _mend(view: View, ensure: tuple[Ensure, ...]) -> Decision:
    """Restore the routes, and report the change and its field manager."""
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


def left_behind(view: View) -> Decision | None:
    """Report objects of an earlier spec, once the new ones exist. flagger keeps them, because visitors may use them."""
    if bootstrap.under_way(view):
        return None
    left = view.situation.left
    return _told(view, reasons.left_behind(view.canary, left)) if left else None


def narrow(view: View) -> Decision | None:
    """Report once a primary whose selector has fewer labels than its target's. It keeps serving."""
    labels = view.primary.unselected if view.primary else ()
    if not labels or bootstrap.under_way(view):
        return None
    return _told(view, reasons.narrow(view.canary, labels))


def _told(view: View, reason: Reason) -> Decision | None:
    said = announce(view, reason, reason.code)
    return act(reason, *said) if said else None
