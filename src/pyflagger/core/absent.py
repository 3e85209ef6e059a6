"""All texts about missing pods and missing answers: a primary without available pods, a canary that lost all pods under
traffic, a hook or a metric provider that does not answer.

See `reasons` for the conventions.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.api import names
from pyflagger.api.canary import Canary, Webhook
from pyflagger.api.durations import show, stamp
from pyflagger.api.facts import Fault, Problem
from pyflagger.core.decision import Reason
from pyflagger.core.reasons import ASKING, PODS_TODO, primary, target, whose
from pyflagger.wire import shown_url

CONDITION_COVERING = "Primary is gone, {kind} gets all traffic and is judged with it."
CONDITION_COVERING_BROKEN = "Primary has no available pods, {kind} gets all traffic and is judged with it."


def primary_missing(canary: Canary) -> str:
    """The primary was deleted."""
    return f"{primary(canary)} not ready: it does not exist"


def primary_at_zero(canary: Canary) -> str:
    """The primary is scaled to zero."""
    return f"{primary(canary)} not ready: it is scaled to zero"


def primary_new(canary: Canary) -> str:
    """The primary had no available pod, and its first one became available now."""
    return f"{primary(canary)} not ready: its pods became available just now"


def _unpromoted(canary: Canary) -> str:
    return f"{primary(canary)} does not exist and {target(canary)} is not the promoted revision"


def not_restorable(canary: Canary, why: str = "") -> Problem:
    """The primary was deleted, and the target runs a refused revision. `why`: the trouble with the record, if any."""
    todo = (
        f"Change the pod template of {names.target(canary)}: flagger judges the new revision on its own pods. "
        "Or restore the promoted revision."
    )
    return Problem(Fault.CLUSTER, f"{_unpromoted(canary)}: {why}" if why else _unpromoted(canary), todo)


def rebuilt(canary: Canary, number: int) -> Reason:
    """The primary was deleted, and the record of the promoted release has its template."""
    text = f"{primary(canary)} does not exist: flagger creates it again from the record of release {number}"
    return Reason("repairing", text, "Find the client that deleted it.", Fault.CLUSTER)


def other_target(canary: Canary) -> Problem:
    """The spec names another target, and the primary of the previous one serves."""
    todo = "Restore spec.targetRef, and create another Canary for the new target."
    return Problem(Fault.MANIFEST, _unpromoted(canary), todo, "spec.targetRef")


def covering(canary: Canary, text: str, broken: bool) -> Reason:
    """The primary has no available pods, in a run or before it. `broken`: it exists, but its pods fail."""
    told = f"{text}. {target(canary)} gets all traffic as soon as it is ready, and is judged with it"
    todo = "The promotion replaces the primary's pods." if broken else "The promotion creates the primary."
    return Reason("primary-gone", told, todo, Fault.CLUSTER)


def stranded(canary: Canary) -> Reason:
    """All pods of the canary broke while it received traffic."""
    text = f"Halt {whose(canary)} advancement no pod of {target(canary)} is available: all traffic goes to the primary"
    return Reason("canary-stranded", text, PODS_TODO)


def alert_covering(text: str) -> str:
    """The primary is missing during a run."""
    return f"The canary gets all traffic, primary not ready: {text}"


# Answers ------------------------------------------------------------------------------------------------------------


def hook_unanswered(hook: Webhook, since: float) -> Reason:
    """A hook has not answered for ten seconds."""
    text = f"Hook {hook.name} has not answered since {stamp(since)}: POST {shown_url(hook.url)}"
    todo = f"flagger waits {show(hook.timeout_seconds)} for each answer. Check the server at this URL."
    return Reason(ASKING.code, text, todo, Fault.HOOK)


UNANSWERED_TODO = "Check that the metric providers are running and reachable."


def checks_unanswered(metrics: Iterable[str], since: float) -> Reason:
    """Metric checks, or without names the probe of their providers, have not been answered for ten seconds."""
    named = ", ".join(metrics)
    what = f"Metric providers have not answered {named}" if named else "Metric providers have not answered the probe"
    return Reason(ASKING.code, f"{what} since {stamp(since)}", UNANSWERED_TODO, Fault.PROVIDER)
