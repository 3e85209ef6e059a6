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
from pyflagger.core.case import Case, no_progress
from pyflagger.core.decision import Action, Alert, Decision, Ensure, Part
from pyflagger.core.holding import hold_for_primary
from pyflagger.core.situation import Passed, ProbeProviders, Refused, Sync

UNINITIALIZED = frozenset({Phase.NEW, Phase.INITIALIZING, Phase.TERMINATING, Phase.TERMINATED, Phase.UNKNOWN})

APPMESH = "appmesh"
"""Providers that need their routing objects before the primary exists."""


def under_way(case: Case) -> bool:
    """Whether the canary has yet to be initialized."""
    return case.status.phase in UNINITIALIZED


def primary_is_next(case: Case) -> bool:
    """Whether the first steps are done, so that what keeps the primary from being made is worth telling."""
    return services(case) is None and probe(case) is None


def begin(case: Case) -> Decision:
    """The first write to a Canary."""
    return case.act(reasons.INITIALIZING, case.write(Phase.INITIALIZING))


def again(case: Case) -> Decision:
    """A Canary in a phase of deletion that nobody deletes was restored from a backup; other phases are not known.

    Either way its objects tell how far it is: what is there serves on, and a primary that runs something else than the
    target makes that a new revision.
    """
    reason, unread = reasons.restored(case.canary, case.status.phase), case.status.unread
    told = case.once(reasons.unread(case.canary, unread), warn=True) if unread else ()
    written = case.write(Phase.INITIALIZING, **no_progress())
    return case.act(reason, *told, *case.once(reason, warn=True), written)


def services(case: Case) -> Decision | None:
    """The Services of canary and primary."""
    made = case.situation.generated
    return _ensure(case, (Part.CANARY_SERVICE, made.canary_service), (Part.PRIMARY_SERVICE, made.primary_service))


def probe(case: Case) -> Decision | None:
    """Ask the metric providers once; one that is away is told of and stops nothing."""
    if case.skip or case.memory.probed:
        return None
    result = case.situation.evidence.get(ProbeProviders())
    if result is None:
        return Decision(needs=(ProbeProviders(),), reasons=(reasons.ASKING,))
    memory = replace(case.memory, probed=True)
    if isinstance(result, Passed):
        reason = reasons.PROVIDERS_AVAILABLE
        return case.act(reason, case.say(reason), memory=memory)
    reason = reasons.providers_away(result.text if isinstance(result, Refused) else "no answer")
    return case.act(reason, case.say(reason, warn=True), memory=memory)


def early_routing(case: Case) -> Decision | None:
    """Routing objects that have to exist before the primary does."""
    if not case.situation.provider.startswith(APPMESH):
        return None
    return _ensure(case, (Part.ROUTING, case.situation.generated.routing))


def primary(case: Case) -> Decision | None:
    """The primary, and waiting for it."""
    made = _ensure(case, (Part.PRIMARY_WORKLOAD, case.situation.generated.primary_workload))
    return made or (None if case.primary_readiness.ready else hold_for_primary(case))


def handover(case: Case) -> Decision | None:
    """From here on the primary serves: its autoscaler and the apex Service."""
    made = case.situation.generated
    return _ensure(case, (Part.PRIMARY_AUTOSCALER, made.primary_autoscaler), (Part.APEX_SERVICE, made.apex_service))


def home(case: Case) -> Decision | None:
    """Routes of an earlier life may lead to the target: all traffic goes to the primary before the target's pods go."""
    if not case.exposed:
        return None
    restored = _ensure(case, (Part.ROUTING, case.situation.generated.routing))
    return restored or case.act(reasons.ROUTING_TO_PRIMARY, *case.route_to(ALL_PRIMARY))


def asleep(case: Case) -> Decision | None:
    """The target to zero."""
    return case.sleep(reasons.SCALING_DOWN)


def routing(case: Case) -> Decision | None:
    """The routing objects, with all traffic on the primary."""
    return _ensure(case, (Part.ROUTING, case.situation.generated.routing))


def finish(case: Case) -> Decision:
    """Write that the canary is initialized.

    A target that changed since the primary was made of it is not what is promoted: no hash is written then, so that
    it is found as a new revision next.
    """
    reason = reasons.initialized(case.canary)
    taken = {**case.take_revision(), "last_promoted_spec": case.target.revision}
    if not case.matches:
        taken |= {"last_applied_spec": "", "last_promoted_spec": ""}
    return case.act(
        reason,
        case.say(reason, phase=Phase.INITIALIZED, checksum=case.pending),
        Alert("info", reasons.alert_initialized(case.kind), with_fields=True),
        case.write(Phase.INITIALIZED, **no_progress(), **taken),
    )


def _ensure(case: Case, *parts: tuple[Part, Sync]) -> Decision | None:
    actions: tuple[Action, ...] = tuple(Ensure(part) for part, sync in parts if sync != "ok")
    return case.act(reasons.PREPARING, *actions) if actions else None
