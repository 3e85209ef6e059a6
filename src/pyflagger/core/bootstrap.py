"""The first phase: from a target that serves traffic to a primary that serves it.

In order: Services, a probe of the metric providers, and the primary. Once the primary is ready: its autoscaler, the
apex Service, the target to zero, and the routes. A primary that never gets ready changes nothing for users. Until it is
ready, flagger changes neither the target nor the apex Service, even with skipAnalysis.
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
"""Providers whose routing objects must exist before the primary."""


def under_way(view: View) -> bool:
    """Whether the canary is not initialized yet."""
    return view.status.phase in UNINITIALIZED


def primary_is_next(view: View) -> bool:
    """Whether the first steps are done. From then on flagger reports problems that prevent the primary."""
    return services(view) is None and probe(view) is None


def begin(view: View) -> Decision:
    """The first write to a Canary."""
    return act(reasons.INITIALIZING, write(view, Phase.INITIALIZING))


def again(view: View) -> Decision:
    """A Canary in a phase of deletion that is not being deleted (restored from a backup), or in an unknown phase.

    Its objects determine its progress: existing ones keep serving. If the primary does not run the target's revision,
    that is a new revision.
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
    """Ask the metric providers once. flagger reports one that does not answer, and continues."""
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
    """Routing objects that must exist before the primary."""
    if not view.situation.provider.startswith(APPMESH):
        return None
    return _ensure(view, (Part.ROUTING, view.situation.generated.routing))


def primary(view: View) -> Decision | None:
    """Create the primary, and wait for it."""
    made = _ensure(view, (Part.PRIMARY_WORKLOAD, view.situation.generated.primary_workload))
    return made or (None if view.primary_readiness.ready else hold_for_primary(view))


def handover(view: View) -> Decision | None:
    """The primary's autoscaler and the apex Service. From here on the primary serves."""
    made = view.situation.generated
    return _ensure(view, (Part.PRIMARY_AUTOSCALER, made.primary_autoscaler), (Part.APEX_SERVICE, made.apex_service))


def home(view: View) -> Decision | None:
    """Existing routes may send traffic to the target. Send all of it to the primary before the target's pods stop."""
    if not view.exposed:
        return None
    restored = _ensure(view, (Part.ROUTING, view.situation.generated.routing))
    return restored or act(reasons.ROUTING_TO_PRIMARY, *route_to(view, ALL_PRIMARY))


def asleep(view: View) -> Decision | None:
    """Scale the target to zero."""
    return sleep(view, reasons.SCALING_DOWN)


def routing(view: View) -> Decision | None:
    """The routing objects, with all traffic on the primary."""
    sync = view.situation.generated.routing
    return hold_for_backends(view, sync == "announced") or _ensure(view, (Part.ROUTING, sync))


def finish(view: View) -> Decision:
    """Write that the canary is initialized.

    If the target has changed since flagger copied it to the primary, the status gets no hash. The next decision then
    finds a new revision.
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
