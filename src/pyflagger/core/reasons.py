"""All texts of a release: events, alerts, and the reasons of decisions.

Users match on the event texts, so those of the reference stay as they are. `whose` is `{name}.{namespace}` of the
Canary. `target` and `primary` are the workloads' names with the namespace. Called by the phases of `core`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.api import names
from pyflagger.api.canary import Canary, Phase
from pyflagger.api.facts import Fault, Managed, Problem
from pyflagger.api.status import Unread
from pyflagger.core.conditions import DEGRADED, GATE_CLOSED
from pyflagger.core.decision import Reason


def whose(canary: Canary) -> str:
    """The Canary, as events name it."""
    return f"{canary.metadata.name}.{canary.metadata.namespace}"


def target(canary: Canary) -> str:
    """The target, as events name it."""
    return f"{names.target(canary)}.{canary.metadata.namespace}"


def primary(canary: Canary) -> str:
    """The primary, as events name it."""
    return f"{names.primary(canary)}.{canary.metadata.namespace}"


# Progress -----------------------------------------------------------------------------------------------------------

PROVIDERS_AVAILABLE = Reason("providers-available", "all the metrics providers are available!")
SUSPENDED = Reason("suspended", "skipping canary run as object is suspended")
ROUTING_TO_CANARY = Reason("routing-to-canary", "Routing all traffic to canary")
MIRROR_OFF = Reason("routing-to-canary", "Stop traffic mirroring and route all traffic to canary")
ROUTING_TO_PRIMARY = Reason("routing-to-primary", "Routing all traffic to primary")
DELETED = Reason("deleted", "The canary is being deleted, and flagger has nothing left to do.")
IDLE = Reason("idle", "No new revision: the primary runs the target's revision.")
REFUSED = Reason("refused", "The last revision failed. Change the pod template to try again.")
SERVING = Reason("canary-serving", "The canary serves traffic while the primary is broken. Release a new revision.")
REBASED = Reason("rebased", "Another version of flagger wrote the status. flagger rewrites it and releases nothing.")
REFRESHED = Reason("refreshed", "The target is back at the promoted revision.")
PREPARING = Reason("preparing", "Creating the generated objects.")
REPAIRING = Reason("repairing", "Restoring the generated objects.")
ADOPTED = Reason("adopted", "Recording the release that the primary runs.")
MENDED = Reason("mended", "The canary is no longer blocked.")
WHOLE = Reason("whole", "The primary is complete again.")
RECORDED = Reason("recorded", "The route was ahead of the status. Updating the status and holding the weight.")
ASKING = Reason("asking", "Running the checks.")
INTERVAL = Reason("interval", "Holding the current step until the interval ends.")
CLEANING = Reason("cleaning", "Deleting the configs that the primary no longer uses.")
SETTLING = Reason("settling", "The target's pods became available just now. Waiting until proxies know them.")
SETTLING_PRIMARY = Reason("settling", "All pods of the primary are new. Waiting until proxies know them.")
HEARING = Reason("handing-over", "The canary gets all traffic. Waiting until proxies know the new route.")
ANNOUNCED = Reason("announced", "The route names new Services at weight 0. Waiting until proxies know them.")
SCALING_DOWN = Reason("scaling-down", "Scaling the target to zero once proxies know that it gets no traffic.")
SCALED_DOWN = Reason("scaled-down", "The target is scaled to zero.")
SCALING_UP = Reason("scaling-up", "Scaling the target up again for the run.")
STRAY_TRAFFIC = Reason("stray-traffic", "Returning traffic to the primary: the canary has no pods.")
HANDING_BACK = Reason("handing-back", "Handing back to the target.")
INITIALIZING = Reason("initializing", "Starting the initialization.")
NO_STEPS = Reason(
    "no-steps",
    "The analysis has no steps.",
    "Set spec.analysis.stepWeight, stepWeights or iterations.",
    Fault.MANIFEST,
)


def initialized(canary: Canary) -> Reason:
    """The primary serves."""
    return Reason("initialized", f"Initialization done! {whose(canary)}")


def restored(canary: Canary, phase: Phase) -> Reason:
    """A Canary that is not being deleted has a phase of deletion, or its phase is unknown."""
    why = f"its status has phase {phase}, but it is not being deleted"
    if phase is Phase.UNKNOWN:
        why = "its status has a phase that flagger does not know"
    return Reason("restored", f"Initializing {whose(canary)} again: {why}", fault=Fault.CLUSTER)


def unread(canary: Canary, values: Iterable[Unread]) -> Reason:
    """The status holds values that flagger cannot read."""
    text = f"Replacing invalid values in the status of {whose(canary)}: {', '.join(map(str, values))}"
    return Reason("status-unread", text, "Stop other controllers from writing the status.", Fault.CLUSTER)


def new_revision(canary: Canary) -> Reason:
    """A run begins."""
    return Reason("new-revision", f"New revision detected! Scaling up {target(canary)}")


def restarting(canary: Canary) -> Reason:
    """A run restarts."""
    return Reason("restarting", f"New revision detected! Restarting analysis for {target(canary)}")


def cancelled(canary: Canary) -> Reason:
    """A run ends because the target is back at the primary's revision."""
    return Reason("cancelled", f"Promoted revision is back! Cancelling analysis for {target(canary)}")


def starting(canary: Canary) -> Reason:
    """The first judging round of a run."""
    return Reason("starting", f"Starting canary analysis for {target(canary)}")


def weight(canary: Canary, percent: int) -> Reason:
    """The canary's weight went up."""
    return Reason("advanced", f"Advance {whose(canary)} canary weight {percent}")


def iteration(canary: Canary, done: int, of: int) -> Reason:
    """An iteration is done."""
    return Reason("advanced", f"Advance {whose(canary)} canary iteration {done}/{of}")


def primary_weight(canary: Canary, percent: int) -> Reason:
    """The primary's weight went up after its template was replaced."""
    return Reason("advanced", f"Advance {whose(canary)} primary weight {percent}")


def copying(canary: Canary) -> Reason:
    """The primary gets the target's template."""
    return Reason("copying", f"Copying {target(canary)} template spec to {primary(canary)}")


def handing_over(canary: Canary) -> Reason:
    """The canary takes all traffic because the primary may lose its pods while it rolls."""
    text = f"Routing all traffic to canary: the update strategy of {primary(canary)} may leave it without pods"
    return Reason("handing-over", text)


def growing(canary: Canary, pods: int) -> Reason:
    """The canary gets as many pods as the primary has, before it takes all traffic."""
    return Reason("growing", f"Scaling up {target(canary)} to {pods} replicas to carry all traffic")


ROOM_TODO = "Raise the limit of the target's autoscaler, or choose an update strategy that keeps pods of the primary."


def fewer_pods(canary: Canary, pods: int, wanted: int) -> Reason:
    """The canary takes all traffic with fewer pods than the primary has: its autoscaler does not allow more."""
    text = f"{target(canary)} carries all traffic with {pods} replicas, {primary(canary)} had {wanted}"
    return Reason("fewer-pods", text, ROOM_TODO, Fault.MANIFEST)


def too_few_allowed(canary: Canary, most: int, wanted: int) -> Reason:
    """The canary will have to take all traffic with fewer pods than the primary has."""
    text = (
        f"{target(canary)} has to carry all traffic while {primary(canary)} is updated, "
        f"but its autoscaler allows {most} replicas where the primary has {wanted}"
    )
    return Reason("too-few-allowed", text, ROOM_TODO, Fault.MANIFEST)


def completed(canary: Canary, skipped: bool) -> Reason:
    """A release succeeded."""
    if skipped:
        return Reason("completed", f"Promotion completed! Canary analysis was skipped for {target(canary)}")
    return Reason("completed", f"Promotion completed! Scaling down {target(canary)}")


def terminating(canary: Canary) -> Reason:
    """Deletion begins."""
    return Reason("terminating", f"Terminating canary {whose(canary)}")


def terminated(canary: Canary) -> Reason:
    """Deletion is done."""
    return Reason("terminated", f"Terminated canary {whose(canary)}")


def autoscaler_follows(canary: Canary, fields: str) -> Reason:
    """The primary's autoscaler gets fields of the target's."""
    ref = canary.spec.autoscaler_ref
    both = (names.primary_autoscaler(canary), ref.name) if ref else ("", "")
    text = f"{ref.kind if ref else ''} {both[0]}.{canary.metadata.namespace} follows {both[1]}: {fields}"
    return Reason("autoscaler-follows", text)


def autoscaler_unpaused(canary: Canary) -> Reason:
    """The reference created the primary's ScaledObject from a paused one."""
    name = f"{names.primary_autoscaler(canary)}.{canary.metadata.namespace}"
    text = f"ScaledObject {name} inherited a pause when it was created: flagger removes it once"
    return Reason("autoscaler-unpaused", text, "flagger keeps a pause that you set from now on.", Fault.CLUSTER)


def left_asleep(canary: Canary) -> Reason:
    """The Canary was deleted, and its target runs no pods."""
    text = f"Canary {whose(canary)} is deleted and {target(canary)} runs no pods: scale it up"
    return Reason("left-asleep", text, "With spec.revertOnDeletion, flagger scales it up.", Fault.MANIFEST)


def bound(canary: Canary, unbound: Iterable[str]) -> Reason:
    """The Canary now owns objects of an earlier Canary, or objects that the user handed over."""
    return Reason("bound", f"{', '.join(unbound)} of an earlier canary now belong to {whose(canary)}")


def taking_over(canary: Canary, objects: Iterable[str]) -> Reason:
    """flagger is about to write the user's objects for the first time."""
    text = f"Taking over {', '.join(objects)} for {whose(canary)}. An annotation stores the original"
    back = "flagger restores it when the Canary is deleted."
    never = "Set spec.revertOnDeletion to restore it when the Canary is deleted."
    return Reason("taken-over", f"{text}. {back if canary.spec.revert_on_deletion else never}")


def handed(canary: Canary, back: Iterable[str], left: Iterable[str]) -> Reason:
    """Deletion changes objects that visitors use."""
    given, stays = ", ".join(back), ", ".join(left)
    words = [f"Restoring {given} to what it was before {whose(canary)}"] if given else []
    words += [f"Leaving {stays} of {whose(canary)} to you: delete it when no visitor uses it"] if stays else []
    return Reason("handed-back", ". ".join(words))


LEFT_BEHIND = "left-behind"


def left_behind(canary: Canary, left: Iterable[str]) -> Reason:
    """Objects with the names of an earlier spec stay, and flagger no longer reconciles them."""
    text = f"{', '.join(left)} of {whose(canary)}: left from an earlier spec and no longer reconciled"
    todo = "Move clients to the new objects, then delete these. They are also deleted with the Canary."
    return Reason(LEFT_BEHIND, text, todo, Fault.MANIFEST)


NARROW = "narrow-selector"
LASTING = frozenset({LEFT_BEHIND, NARROW, DEGRADED})
"""Reasons that do not depend on the release. A new run does not repeat them."""


def narrow(canary: Canary, labels: Iterable[str]) -> Reason:
    """A primary that was created with one label in its selector. It works: its Services select by all labels."""
    text = (
        f"{primary(canary)} does not select its pods by {', '.join(labels)}, as {target(canary)} does, because a "
        "selector is immutable. It keeps working: its Services select by all labels"
    )
    todo = "To replace it, set spec.revertOnDeletion, delete the Canary between two releases, and apply it again."
    return Reason(NARROW, text, todo, Fault.CLUSTER)


# Waits and problems -------------------------------------------------------------------------------------------------


PROVIDER_TODO = "Check that the metrics server is running and reachable at this address."


def providers_away(error: str) -> Reason:
    """A metric provider did not answer the probe."""
    return Reason("providers-away", f"Error checking metric providers: {error}", PROVIDER_TODO, Fault.PROVIDER)


def blocked(problem: Problem) -> Reason:
    """A problem that the user must correct first."""
    return Reason("blocked", problem.text, problem.todo, problem.fault)


def awaited(problem: Problem) -> Reason:
    """A problem that another controller is expected to resolve."""
    return Reason("awaited", problem.text, problem.todo, problem.fault)


WRITERS = "Stop this controller from managing them. Until then flagger restores them with increasing backoff."
UNKNOWN_FIELD = "Remove the field from spec.service, or correct its name. A webhook can also remove it."


def conflicting(by: Managed, harmless: bool) -> Problem:
    """A write does not last. `harmless`: another controller only changes labels and annotations of Services."""
    if by.what and not by.named:
        text = f"the API server drops {by.what} each time flagger writes it: its definition has no such field"
        return Problem(Fault.MANIFEST, text, UNKNOWN_FIELD)
    if not by.named:
        what = "labels or annotations of Services" if harmless else "routes"
        return Problem(Fault.CLUSTER, f"another controller changes {what} each time flagger writes them", WRITERS)
    theirs = ", or list its keys in spec.service.unmanagedMetadata" if harmless else ""
    todo = f"Stop {by.by} from managing {by.what}{theirs}. Until then flagger restores it with increasing backoff."
    return Problem(Fault.CLUSTER, f"{by.by} changes {by.what} each time flagger writes it", todo)


def route_changed(by: Managed) -> Reason:
    """Another client changed a route of the Canary."""
    text = f"{by.by} changed {by.what}: flagger restores it and keeps its weights"
    return Reason("route-changed", text, f"Change the Canary instead of {by.what}.", Fault.CLUSTER)


def route_gone(canary: Canary, weight: int) -> Reason:
    """Another client deleted a route of the Canary, or removed flagger's part of it."""
    text = f"The route of {whose(canary)} is missing: flagger restores it with canary weight {weight}"
    return Reason("route-gone", text, "Find the client that removed it.", Fault.CLUSTER)


MOVED = "route-moved"


def moved(canary: Canary, weight: int) -> Reason:
    """Another client set a weight that is no step of the release."""
    text = f"Another client set the canary weight of {whose(canary)} to {weight}: flagger holds and judges it"
    return Reason(MOVED, text, "Let the release set the weights, or change its steps.", Fault.CLUSTER)


def primary_not_ready(text: str) -> Reason:
    """The release waits for the primary. `text`: the whole event text."""
    return Reason("primary-not-ready", text, "Check the primary's pods.", Fault.CLUSTER)


PODS_TODO = "Check the target's pods."


def canary_not_ready(text: str) -> Reason:
    """The release waits for the canary. `text`: the whole event text."""
    return Reason("canary-not-ready", text, PODS_TODO, Fault.CLUSTER)


ROUTE_TODO = "Check the status of the route and of its parents."


def route_not_ready(text: str) -> Reason:
    """The data plane has not accepted the route. `text`: the whole event text."""
    return Reason("route-not-ready", text, ROUTE_TODO, Fault.CLUSTER)


def rollback_holds(text: str) -> Reason:
    """A rollback waits for the primary."""
    return Reason(
        "rollback-holds", f"Rollback waits for the primary: {text}", "Check the primary's pods.", Fault.CLUSTER
    )


def handing_back_holds(text: str) -> Reason:
    """Deletion waits for the target."""
    return Reason(
        "handing-back-holds",
        f"canary not ready during finalizing: {text}",
        "Check the target's pods. Traffic stays on the primary until they are ready.",
        Fault.CLUSTER,
    )


def mirror_unsupported(provider: str) -> Reason:
    """The provider cannot mirror."""
    return Reason(
        "mirror-unsupported",
        f"Provider {provider} does not support traffic mirroring: the release continues without it",
        "Remove spec.analysis.mirror, or use a provider that can mirror.",
        Fault.MANIFEST,
    )


AB_UNSUPPORTED = Reason(
    "ab-unsupported", "A/B testing is not supported when using the kubernetes provider", fault=Fault.MANIFEST
)
STEPS_UNSUPPORTED = Reason(
    "steps-unsupported", "Progressive traffic is not supported when using the kubernetes provider", fault=Fault.MANIFEST
)


def iterations_assumed(count: int) -> Reason:
    """The manifest has no iterations, which provider kubernetes needs."""
    return Reason("iterations-assumed", f"Setting canaryAnalysis.iterations: {count}", fault=Fault.MANIFEST)


# Hooks --------------------------------------------------------------------------------------------------------------


GATE_TODO = "Check the webhook's url and the server that answers there. flagger asks again each interval."
HOOK_TODO = "Check the server that answers at the webhook's url. flagger asks again in each round."


def hook_passed(kind: str, hook: str) -> Reason:
    """A hook passed; `kind` is its type as events name it, such as `Pre-rollout`."""
    return Reason("hook-passed", f"{kind} check {hook} passed")


def waiting(canary: Canary, what: str, hook: str) -> Reason:
    """A gate is closed. `what`: empty, `traffic increase ` or `promotion `."""
    return Reason(GATE_CLOSED, f"Halt {whose(canary)} advancement waiting for {what}approval {hook}")


def gate_erred(canary: Canary, hook: str, error: str) -> Reason:
    """A gate gave no usable answer."""
    text = f"Gate {hook} of {whose(canary)} gave no answer that opens or closes it: {error}"
    return Reason("gate-erred", text, GATE_TODO, Fault.HOOK)


def check_failed(canary: Canary, what: str, hook: str, error: str) -> Reason:
    """A pre-rollout or rollout hook refused; `what` is `pre-rollout` or `external`."""
    return Reason(
        "hook-failed", f"Halt {whose(canary)} advancement {what} check {hook} failed {error}", HOOK_TODO, Fault.HOOK
    )


def no_rollback(hook: str) -> Reason:
    """A rollback hook lets the release continue."""
    return Reason("no-rollback", f"Rollback hook {hook} not signaling a rollback")


def post_rollout_failed(hook: str, error: str) -> Reason:
    """A post-rollout hook refused. This has no effect on the release."""
    return Reason("hook-failed", f"Post-rollout hook {hook} failed {error}", HOOK_TODO, Fault.HOOK)


# Failing ------------------------------------------------------------------------------------------------------------


def threshold_reached(canary: Canary, failed: int) -> Reason:
    """Too many checks failed."""
    return Reason("rolling-back", f"Rolling back {whose(canary)} failed checks threshold reached {failed}")


def unserved(canary: Canary, problem: Problem) -> Reason:
    """The pods of the new revision lack a port that the primary's have."""
    text = f"Rolling back {whose(canary)} the new revision cannot serve: {problem.text}"
    return Reason("rolling-back", text, problem.todo, problem.fault)


def manual_rollback(canary: Canary) -> Reason:
    """A rollback hook requested it."""
    return Reason("rolling-back", f"Rolling back {whose(canary)} manual webhook invoked")


def deadline(canary: Canary, text: str, todo: str = PODS_TODO) -> Reason:
    """The canary or its route exceeded the deadline."""
    return Reason(
        "rolling-back", f"Rolling back {whose(canary)} progress deadline exceeded {text}", todo, Fault.CLUSTER
    )


def failed(canary: Canary) -> Reason:
    """A rollback is done."""
    return Reason("failed", f"Canary failed! Scaling down {whose(canary)}")


def failed_but_serving(canary: Canary, percent: int) -> Reason:
    """A run failed without a primary that could take the traffic."""
    return Reason(
        "failed",
        f"Canary failed! Primary is not ready, {whose(canary)} keeps {percent}% of the traffic",
        "",
        Fault.CLUSTER,
    )


def promotion_failed(canary: Canary, text: str) -> Reason:
    """The primary does not come up with the new template."""
    return Reason(
        "promotion-failed",
        f"Promotion of {target(canary)} failed, primary not ready: {text}",
        "Check the primary's pods, or release a new revision to repair it. The canary serves until then.",
        Fault.CLUSTER,
    )


# Messages of conditions in place of the phase's default. `{kind}` is the target's.
CONDITION_HANDOVER = "Canary analysis completed, routing all traffic to the {kind} while the primary is updated."
CONDITION_SERVING = "Primary is not ready, {kind} keeps serving traffic."
CONDITION_CANCELLED = "Canary analysis cancelled, {kind} is back at the promoted revision."


# Alerts -------------------------------------------------------------------------------------------------------------


def alert_initialized(kind: str) -> str:
    """The primary serves."""
    return f"New {kind} detected, initialization completed."


ALERT_NEW = "New revision detected, progressing canary analysis."
ALERT_RESTART = "New revision detected, restarting canary analysis."
ALERT_CANCELLED = "Promoted revision is back, canary analysis cancelled."
ALERT_COMPLETED = "Canary analysis completed successfully, promotion finished."
ALERT_SKIPPED = "Canary analysis was skipped, promotion finished."
ALERT_WAITING = "Canary is waiting for approval."
ALERT_WAITING_INCREASE = "Canary traffic increase is waiting for approval."
ALERT_WAITING_PROMOTION = "Canary promotion is waiting for approval."
ALERT_MANUAL = "Rolling back manual webhook invoked"


def alert_threshold(failed: int) -> str:
    """Too many checks failed."""
    return f"Failed checks threshold reached {failed}"


def alert_deadline(text: str) -> str:
    """The canary exceeded the deadline."""
    return f"Progress deadline exceeded {text}"


def alert_promotion(text: str) -> str:
    """The primary does not come up with the new template."""
    return f"Promotion failed, primary not ready: {text}"


def alert_primary(text: str) -> str:
    """The primary is broken outside of a promotion."""
    return f"Canary is on hold, primary not ready: {text}"
