"""The first phase: from a target that serves to a primary that does.

In order: Services, a probe of the metric providers, the primary, and only once that is ready its autoscaler, the apex
Service, the target to zero, and the routes. A primary that does not come up changes nothing for users: neither the
target nor the apex Service is touched before it is ready, also when the analysis is skipped.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_PRIMARY
from pyflagger.core import reasons
from pyflagger.core.actions import act, once, route_to, say, sleep
from pyflagger.core.decision import Action, Alert, Decision, Ensure, Part
from pyflagger.core.situation import Passed, ProbeProviders, Refused, Sync
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_backends, hold_for_primary
from pyflagger.core.writing import no_progress, take_revision, write

UNINITIALIZED = frozenset({Phase.NEW, Phase.INITIALIZING, Phase.TERMINATING, Phase.TERMINATED, Phase.UNKNOWN})

APPMESH = "appmesh"
"""Providers that need their routing objects before the primary exists."""


def under_way(view: View) -> bool:
    """Whether the canary has yet to be initialized."""
    return view.status.phase in UNINITIALIZED


def primary_is_next(view: View) -> bool:
    """Whether the first steps are done, so that what keeps the primary from being made is worth telling."""
    return services(view) is None and probe(view) is None


def begin(view: View) -> Decision:
    """The first write to a Canary."""
    return act(reasons.INITIALIZING, write(view, Phase.INITIALIZING))


def again(view: View) -> Decision:
    """A Canary in a phase of deletion that nobody deletes was restored from a backup; other phases are not known.

    Either way its objects tell how far it is: what is there serves on, and a primary that runs something else than the
    target makes that a new revision.
    """
    reason, unread = reasons.restored(view.canary, view.status.phase), view.status.unread
    told = once(view, reasons.unread(view.canary, unread), warn=True) if unread else ()
    written = write(view, Phase.INITIALIZING, **no_progress())
    return act(reason, *told, *once(view, reason, warn=True), written)


def services(view: View) -> Decision | None:
    """The Services of canary and primary."""
    made = view.situation.generated
    return _ensure(view, (Part.CANARY_SERVICE, made.canary_service), (Part.PRIMARY_SERVICE, made.primary_service))


def probe(view: View) -> Decision | None:
    """Ask the metric providers once; one that is away is told of and stops nothing."""
    if view.skip or view.memory.probed:
        return None
    result = view.situation.evidence.get(ProbeProviders())
    if result is None:
        return Decision(needs=(ProbeProviders(),), reasons=(reasons.ASKING,))
    memory = replace(view.memory, probed=True)
    if isinstance(result, Passed):
        reason = reasons.PROVIDERS_AVAILABLE
        return act(reason, say(view, reason), memory=memory)
    reason = reasons.providers_away(result.text if isinstance(result, Refused) else "no answer")
    return act(reason, say(view, reason, warn=True), memory=memory)


def early_routing(view: View) -> Decision | None:
    """Routing objects that have to exist before the primary does."""
    if not view.situation.provider.startswith(APPMESH):
        return None
    return _ensure(view, (Part.ROUTING, view.situation.generated.routing))


def primary(view: View) -> Decision | None:
    """The primary, and waiting for it."""
    made = _ensure(view, (Part.PRIMARY_WORKLOAD, view.situation.generated.primary_workload))
    return made or (None if view.primary_readiness.ready else hold_for_primary(view))


def handover(view: View) -> Decision | None:
    """From here on the primary serves: its autoscaler and the apex Service."""
    made = view.situation.generated
    return _ensure(view, (Part.PRIMARY_AUTOSCALER, made.primary_autoscaler), (Part.APEX_SERVICE, made.apex_service))


def home(view: View) -> Decision | None:
    """Routes of an earlier life may lead to the target: all traffic goes to the primary before the target's pods go."""
    if not view.exposed:
        return None
    restored = _ensure(view, (Part.ROUTING, view.situation.generated.routing))
    return restored or act(reasons.ROUTING_TO_PRIMARY, *route_to(view, ALL_PRIMARY))


def asleep(view: View) -> Decision | None:
    """The target to zero."""
    return sleep(view, reasons.SCALING_DOWN)


def routing(view: View) -> Decision | None:
    """The routing objects, with all traffic on the primary."""
    sync = view.situation.generated.routing
    return hold_for_backends(view, sync == "announced") or _ensure(view, (Part.ROUTING, sync))


def finish(view: View) -> Decision:
    """Write that the canary is initialized.

    A target that changed since the primary was made of it is not what is promoted: no hash is written then, so that
    it is found as a new revision next.
    """
    reason = reasons.initialized(view.canary)
    taken = {**take_revision(view), "last_promoted_spec": view.target.revision}
    if not view.matches:
        taken |= {"last_applied_spec": "", "last_promoted_spec": ""}
    return act(
        reason,
        say(view, reason, phase=Phase.INITIALIZED, checksum=view.pending),
        Alert("info", reasons.alert_initialized(view.kind), with_fields=True),
        write(view, Phase.INITIALIZED, **no_progress(), **taken),
    )


def _ensure(view: View, *parts: tuple[Part, Sync]) -> Decision | None:
    actions: tuple[Action, ...] = tuple(Ensure(part) for part, sync in parts if sync != "ok")
    return act(reasons.PREPARING, *actions) if actions else None
