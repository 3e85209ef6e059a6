"""Every text that a release says, in one place: events, alerts, and the reasons of decisions.

Users match on the event texts, so those of the reference stay as they are. `whose` is `{name}.{namespace}` of the
Canary, `target` and `primary` are the workloads' names with the namespace. Called by the phases of `core`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.api import names
from pyflagger.api.canary import Canary, Phase
from pyflagger.api.facts import Fault, Managed, Problem
from pyflagger.api.status import Unread
from pyflagger.core.conditions import DEGRADED
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
DELETED = Reason("deleted", "The canary is being deleted; nothing is left for flagger to do.")
IDLE = Reason("idle", "Nothing new: the primary runs what the target says.")
REFUSED = Reason("refused", "The last revision failed; change the pod template to try again.")
SERVING = Reason("canary-serving", "The canary serves traffic while the primary is broken; a new revision mends it.")
REBASED = Reason("rebased", "The status was written by another version; it is written anew, nothing is released.")
REFRESHED = Reason("refreshed", "The target is back at the promoted revision.")
PREPARING = Reason("preparing", "Generated objects are brought about.")
REPAIRING = Reason("repairing", "Generated objects are mended.")
MENDED = Reason("mended", "What blocked the canary is gone.")
WHOLE = Reason("whole", "Nothing of the primary's is missing any more.")
RECORDED = Reason("recorded", "Traffic was ahead of the status; the status catches up and the weight is held.")
ASKING = Reason("asking", "Checks are being run.")
INTERVAL = Reason("interval", "The current step is held until the interval is over.")
CLEANING = Reason("cleaning", "Configs that the primary no longer uses are removed.")
SETTLING = Reason("settling", "The target's pods became available just now; proxies learn where they are.")
SETTLING_PRIMARY = Reason("settling", "The primary's pods are all new; waiting until proxies know them.")
HEARING = Reason("handing-over", "All traffic is on the canary; waiting until proxies have learned of it.")
ANNOUNCED = Reason("announced", "Routes name further Services at weight 0. Waiting until proxies have learned of it.")
SCALING_DOWN = Reason("scaling-down", "Scaling the target to zero once proxies know that it gets no traffic.")
SCALED_DOWN = Reason("scaled-down", "The target is scaled to zero.")
SCALING_UP = Reason("scaling-up", "The target is scaled up again, as a run needs it.")
STRAY_TRAFFIC = Reason("stray-traffic", "Traffic goes back to the primary: the canary has no pods.")
HANDING_BACK = Reason("handing-back", "The target is handed back.")
INITIALIZING = Reason("initializing", "Initialization begins.")
NO_STEPS = Reason(
    "no-steps",
    "The analysis has no step to take.",
    "Set spec.analysis.stepWeight, stepWeights or iterations.",
    Fault.MANIFEST,
)


def initialized(canary: Canary) -> Reason:
    """Bootstrap is done."""
    return Reason("initialized", f"Initialization done! {whose(canary)}")


def restored(canary: Canary, phase: Phase) -> Reason:
    """A Canary that lives has a phase of deletion, or none that flagger knows."""
    why = f"its status has phase {phase}, but it is not being deleted"
    if phase is Phase.UNKNOWN:
        why = "its status has a phase that flagger does not know"
    return Reason("restored", f"Initializing {whose(canary)} again: {why}", fault=Fault.CLUSTER)


def unread(canary: Canary, values: Iterable[Unread]) -> Reason:
    """The status holds values that flagger cannot read."""
    text = f"Replacing values in the status of {whose(canary)} that cannot be read: {', '.join(map(str, values))}"
    return Reason("status-unread", text, "Stop other writers of the status.", Fault.CLUSTER)


def new_revision(canary: Canary) -> Reason:
    """A run begins."""
    return Reason("new-revision", f"New revision detected! Scaling up {target(canary)}")


def restarting(canary: Canary) -> Reason:
    """A run begins anew."""
    return Reason("restarting", f"New revision detected! Restarting analysis for {target(canary)}")


def cancelled(canary: Canary) -> Reason:
    """A run ends because the target is back at what the primary runs."""
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
    """The canary takes all traffic, for the primary loses its pods while it rolls."""
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
    """The primary's autoscaler gets what the target's says, whoever changed one of them."""
    ref = canary.spec.autoscaler_ref
    both = (names.primary_autoscaler(canary), ref.name) if ref else ("", "")
    text = f"{ref.kind if ref else ''} {both[0]}.{canary.metadata.namespace} follows {both[1]}: {fields}"
    return Reason("autoscaler-follows", text)


def autoscaler_unpaused(canary: Canary) -> Reason:
    """The reference made the primary's ScaledObject of one that was paused."""
    name = f"{names.primary_autoscaler(canary)}.{canary.metadata.namespace}"
    text = f"ScaledObject {name} inherited a pause when it was made: flagger removes it once"
    return Reason("autoscaler-unpaused", text, "A pause that you set from now on stays.", Fault.CLUSTER)


def left_asleep(canary: Canary) -> Reason:
    """The Canary is gone, and its target runs nothing."""
    text = f"Canary {whose(canary)} is gone and {target(canary)} runs no pods: scale it up"
    return Reason("left-asleep", text, "Set spec.revertOnDeletion before, and it is handed back.", Fault.MANIFEST)


def bound(canary: Canary, unbound: Iterable[str]) -> Reason:
    """Objects of an earlier Canary, or handed over by the user, are the Canary's from now on."""
    return Reason("bound", f"{', '.join(unbound)} of an earlier canary now belong to {whose(canary)}")


def taking_over(canary: Canary, objects: Iterable[str]) -> Reason:
    """Objects of the user's are about to be written for the first time."""
    text = f"Taking over {', '.join(objects)} for {whose(canary)}. An annotation keeps the original"
    back = "flagger restores it when the Canary is deleted."
    never = "Set spec.revertOnDeletion to have it restored when the Canary is deleted."
    return Reason("taken-over", f"{text}. {back if canary.spec.revert_on_deletion else never}")


def handed(canary: Canary, back: Iterable[str], left: Iterable[str]) -> Reason:
    """Deletion changes objects that visitors come by."""
    given, stays = ", ".join(back), ", ".join(left)
    words = [f"Restoring {given} to what it was before {whose(canary)}"] if given else []
    words += [f"Leaving {stays} of {whose(canary)} to you: delete it when no visitor uses it"] if stays else []
    return Reason("handed-back", ". ".join(words))


LEFT_BEHIND = "left-behind"


def left_behind(canary: Canary, left: Iterable[str]) -> Reason:
    """An earlier spec had other names: what was made then stays, and stands still."""
    text = f"{', '.join(left)} of {whose(canary)}: left from an earlier spec and not followed any more"
    todo = "Lead those who still use them to the new ones, then delete them; they go with the Canary."
    return Reason(LEFT_BEHIND, text, todo, Fault.MANIFEST)


NARROW = "narrow-selector"
LASTING = frozenset({LEFT_BEHIND, NARROW, DEGRADED})
"""Said of what is there, whatever is released: a new run does not repeat it."""


def narrow(canary: Canary, labels: Iterable[str]) -> Reason:
    """A primary that was made with one label in its selector. It works: its Services select by all of them."""
    text = (
        f"{primary(canary)} does not select its pods by {', '.join(labels)}, as {target(canary)} does, and a selector "
        "is immutable: it keeps working, as its Services select by all labels"
    )
    todo = "To replace it, set spec.revertOnDeletion, delete the Canary between two releases, and apply it again."
    return Reason(NARROW, text, todo, Fault.CLUSTER)


# What holds ---------------------------------------------------------------------------------------------------------


PROVIDER_TODO = "Look whether the metric server runs and answers at that address."


def providers_away(error: str) -> Reason:
    """A metric provider did not answer the probe."""
    return Reason("providers-away", f"Error checking metric providers: {error}", PROVIDER_TODO, Fault.PROVIDER)


def blocked(problem: Problem) -> Reason:
    """A problem that has to be mended first."""
    return Reason("blocked", problem.text, problem.todo, problem.fault)


def awaited(problem: Problem) -> Reason:
    """A problem that others are about to mend."""
    return Reason("awaited", problem.text, problem.todo, problem.fault)


WRITERS = "Find out who that is, and let it leave the object alone; it is mended meanwhile, ever more seldom."


def conflicting(by: Managed, harmless: bool) -> Problem:
    """What we write is undone each time; `harmless` if that is labels and annotations of Services."""
    if not by.named:
        what = "labels or annotations of Services" if harmless else "routes"
        return Problem(Fault.CLUSTER, f"{what} are changed again each time that flagger has set them", WRITERS)
    theirs = ", or list what is theirs in spec.service.unmanagedMetadata" if harmless else ""
    todo = f"Take {by.what} out of what {by.by} manages{theirs}; it is mended meanwhile, ever more seldom."
    return Problem(Fault.CLUSTER, f"{by.what} is changed by {by.by} each time that flagger has set it", todo)


def route_changed(by: Managed) -> Reason:
    """Somebody changed a route of ours."""
    text = f"{by.what} was changed by {by.by}: it is mended, its weights stay"
    return Reason("route-changed", text, f"Change the Canary instead of {by.what}.", Fault.CLUSTER)


def route_gone(canary: Canary, weight: int) -> Reason:
    """Somebody deleted a route of ours, or took what is ours out of it."""
    text = f"The route of {whose(canary)} is gone: it is made again with canary weight {weight}"
    return Reason("route-gone", text, "Find out who deleted it.", Fault.CLUSTER)


MOVED = "route-moved"


def moved(canary: Canary, weight: int) -> Reason:
    """Somebody gave the canary another share than any step of the release."""
    text = f"Canary weight of {whose(canary)} was set to {weight} by somebody else: it is held and judged as it is"
    return Reason(MOVED, text, "Leave weights to the release, or change its steps.", Fault.CLUSTER)


def primary_not_ready(text: str) -> Reason:
    """The primary holds things up; `text` is the whole event text."""
    return Reason("primary-not-ready", text, "Look at the primary's pods.", Fault.CLUSTER)


PODS_TODO = "Look at the target's pods."


def canary_not_ready(text: str) -> Reason:
    """The canary holds things up; `text` is the whole event text."""
    return Reason("canary-not-ready", text, PODS_TODO, Fault.CLUSTER)


ROUTE_TODO = "Check the status of the route and of its parents."


def route_not_ready(text: str) -> Reason:
    """The data plane has not taken the route; `text` is the whole event text."""
    return Reason("route-not-ready", text, ROUTE_TODO, Fault.CLUSTER)


def rollback_holds(text: str) -> Reason:
    """Traffic would go back to the primary, if that were ready."""
    return Reason(
        "rollback-holds", f"Rollback waits for the primary: {text}", "Look at the primary's pods.", Fault.CLUSTER
    )


def handing_back_holds(text: str) -> Reason:
    """Deletion waits for the target."""
    return Reason(
        "handing-back-holds",
        f"canary not ready during finalizing: {text}",
        "Look at the target's pods; traffic stays on the primary until they are ready.",
        Fault.CLUSTER,
    )


def mirror_unsupported(provider: str) -> Reason:
    """Mirroring was asked of a provider that cannot."""
    return Reason(
        "mirror-unsupported",
        f"Traffic mirroring is not supported by provider {provider}, going on without it",
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
    """Provider kubernetes needs iterations, and the manifest has none."""
    return Reason("iterations-assumed", f"Setting canaryAnalysis.iterations: {count}", fault=Fault.MANIFEST)


# Hooks --------------------------------------------------------------------------------------------------------------


GATE_TODO = "Check the webhook's url and what answers there. flagger asks it again each interval."
HOOK_TODO = "Look at what answers at the hook's address; it is asked again in each round."


def hook_passed(kind: str, hook: str) -> Reason:
    """A hook passed; `kind` is its type as events name it, such as `Pre-rollout`."""
    return Reason("hook-passed", f"{kind} check {hook} passed")


def waiting(canary: Canary, what: str, hook: str) -> Reason:
    """A gate is closed; `what` is empty, `traffic increase ` or `promotion `."""
    return Reason("gate-closed", f"Halt {whose(canary)} advancement waiting for {what}approval {hook}")


def gate_erred(canary: Canary, hook: str, error: str) -> Reason:
    """A gate said neither yes nor no."""
    text = f"Gate {hook} of {whose(canary)} gave no answer that opens or closes it: {error}"
    return Reason("gate-erred", text, GATE_TODO, Fault.HOOK)


def check_failed(canary: Canary, what: str, hook: str, error: str) -> Reason:
    """A pre-rollout or rollout hook refused; `what` is `pre-rollout` or `external`."""
    return Reason(
        "hook-failed", f"Halt {whose(canary)} advancement {what} check {hook} failed {error}", HOOK_TODO, Fault.HOOK
    )


def no_rollback(hook: str) -> Reason:
    """A rollback hook has nothing against going on."""
    return Reason("no-rollback", f"Rollback hook {hook} not signaling a rollback")


def post_rollout_failed(hook: str, error: str) -> Reason:
    """A post-rollout hook refused, which changes nothing."""
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
    """A rollback hook asked for it."""
    return Reason("rolling-back", f"Rolling back {whose(canary)} manual webhook invoked")


def deadline(canary: Canary, text: str, todo: str = PODS_TODO) -> Reason:
    """The canary, or the route to it, ran out of time."""
    return Reason(
        "rolling-back", f"Rolling back {whose(canary)} progress deadline exceeded {text}", todo, Fault.CLUSTER
    )


def failed(canary: Canary) -> Reason:
    """A rollback is done."""
    return Reason("failed", f"Canary failed! Scaling down {whose(canary)}")


def failed_but_serving(canary: Canary, percent: int) -> Reason:
    """A run failed while there is no primary to go back to."""
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
        "Look at the primary's pods; a new revision mends it, and the canary serves until then.",
        Fault.CLUSTER,
    )


# Conditions that say more than the phase's usual text; `{kind}` is the target's.
CONDITION_HANDOVER = "Canary analysis completed, routing all traffic to the {kind} while the primary is updated."
CONDITION_SERVING = "Primary is not ready, {kind} keeps serving traffic."
CONDITION_CANCELLED = "Canary analysis cancelled, {kind} is back at the promoted revision."


# Alerts -------------------------------------------------------------------------------------------------------------


def alert_initialized(kind: str) -> str:
    """Bootstrap is done."""
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
    """The canary ran out of time."""
    return f"Progress deadline exceeded {text}"


def alert_promotion(text: str) -> str:
    """The primary does not come up with the new template."""
    return f"Promotion failed, primary not ready: {text}"


def alert_primary(text: str) -> str:
    """The primary is broken while no promotion is under way."""
    return f"Canary is on hold, primary not ready: {text}"
