"""Services as targets. The route splits traffic between its copies `-primary` and `-canary`.

flagger never writes the target, which the user owns. The canary's copy follows it. Only a promotion writes the primary.
"""

from __future__ import annotations

import copy

from pyflagger.api import names
from pyflagger.api.canary import Canary, Phase
from pyflagger.api.facts import READY, Fault, Problem, Readiness, settled
from pyflagger.api.owners import foreign
from pyflagger.objects import Create, Obj, Patch, Ref, Resource, merge_diff, part, ref_of
from pyflagger.workloads import metadata
from pyflagger.workloads.base import NOTHING_ELSE, Live, Writes
from pyflagger.workloads.configs import Tracked
from pyflagger.workloads.metadata import whose
from pyflagger.workloads.options import WorkloadOptions, unmarked
from pyflagger.workloads.revision import pruned, revision
from pyflagger.workloads.unscaled import Unscaled

WORD = "service"
COPIED = (
    "allocateLoadBalancerNodePorts",
    "externalName",
    "externalTrafficPolicy",
    "internalTrafficPolicy",
    "loadBalancerClass",
    "loadBalancerSourceRanges",
    "publishNotReadyAddresses",
    "selector",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
    "type",
)
"""The fields to copy. Addresses and node ports, which the API server allocates, are not among them."""
HEADLESS = "None"
PORT = ("appProtocol", "name", "port", "protocol", "targetPort")


class Service(Unscaled):
    """The kind Service of the core group."""

    kinds: tuple[Resource, ...] = (Resource("", "v1", "services", "Service"),)

    def revision(self, target: Obj) -> str:
        """Digest of the copied fields."""
        return revision(_copied(target))

    def readiness(self, canary: Canary, obj: Obj, role: str, now: float, live: Live = NOTHING_ELSE) -> Readiness:
        """Always ready, except while proxies learn a change. flagger does not know the pods behind it."""
        since = canary.status.last_transition_time
        if role != "canary" or canary.status.phase is not Phase.PROGRESSING or since is None:
            return READY
        return settled(since, now, f"{WORD} {whose(obj)} changed just now, and proxies are learning its endpoints")

    def service(self, canary: Canary, target: Obj, live: Obj | None, options: WorkloadOptions) -> Writes | Problem:
        """Copy the target to the canary's Service. A Problem if the target lacks a port of the Canary."""
        if (problem := _portless(canary, target)) is not None:
            return problem
        wanted = _copy(canary, target, f"{names.target(canary)}-canary", unmarked(target["metadata"].get("labels")))
        if live is None:
            return (Create(wanted),)
        return _update(live, wanted) if names.is_owned(canary, live) else foreign(canary, live)

    def primary(self, canary: Canary) -> Ref:
        """The copy `-primary`."""
        return Ref("v1", "Service", canary.metadata.namespace, names.primary(canary))

    def is_primary(self, canary: Canary, found: Obj) -> bool | Problem:
        """Whether this Canary owns it; a Problem for an object with another owner."""
        return names.is_owned(canary, found) or foreign(canary, found)

    def create_primary(
        self, canary: Canary, target: Obj, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Writes | Problem:
        """Create the copy."""
        return (Create(self._primary(canary, target, options)),)

    def matches(self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: WorkloadOptions) -> bool:
        """Whether both have the same copied fields."""
        return bool(pruned(_of(canary, target)) == pruned(_copied(primary)))

    def promote(
        self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Writes | Problem:
        """Copy the target's fields to the primary."""
        found = self.is_primary(canary, primary)
        return found if isinstance(found, Problem) else _update(primary, self._primary(canary, target, options))

    def _primary(self, canary: Canary, target: Obj, options: WorkloadOptions) -> Obj:
        return _copy(canary, target, names.primary(canary), options.included(target["metadata"].get("labels")))


def _portless(canary: Canary, target: Obj) -> Problem | None:
    """A port of the Canary that the Service lacks. A Service without ports (ExternalName) is not checked."""
    service, ports = canary.spec.service, part(target, "spec").get("ports") or ()
    if service is None or not ports:
        return None
    further = ((f"spec.service.ports[{at}].port", port.port) for at, port in enumerate(service.ports))
    asked = (("spec.service.port", service.port), *further)
    have = {port.get("port") for port in ports}
    path, port = next(((path, port) for path, port in asked if port not in have), ("", 0))
    if not path:
        return None
    shown = ", ".join(f"{each.get('port')} ({each.get('name') or 'no name'})" for each in ports)
    text = f"{WORD} {whose(target)} has no port {port}, where {path} leads: it has {shown}"
    return Problem(Fault.MANIFEST, text, f"Set {path} to a port of {WORD} {whose(target)}, or add port {port}.", path)


def _copied(service: Obj) -> Obj:
    spec = part(service, "spec")
    found: Obj = {key: copy.deepcopy(spec[key]) for key in COPIED if key in spec}
    found["ports"] = [{key: port[key] for key in PORT if key in port} for port in spec.get("ports") or ()]
    return found | ({"clusterIP": HEADLESS} if spec.get("clusterIP") == HEADLESS else {})


def _of(canary: Canary, target: Obj) -> Obj:
    """The spec of a copy."""
    wish = canary.spec.service.traffic_distribution if canary.spec.service else ""
    return _copied(target) | ({"trafficDistribution": wish} if wish else {})


def _copy(canary: Canary, target: Obj, name: str, labels: dict[str, str]) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": canary.metadata.namespace,
            "labels": labels,
            "annotations": dict(names.TOOLKIT_ANNOTATIONS),
            "ownerReferences": [names.owner_reference(canary)],
        },
        "spec": _of(canary, target),
    }


def _update(live: Obj, wanted: Obj) -> Writes:
    """A patch of the differing fields. The API server keeps node ports by the port's name."""
    body: Obj = {"spec": merge_diff(pruned(_copied(live)), pruned(wanted["spec"]))}
    body["metadata"] = metadata.change(live, wanted["metadata"])
    body = {key: value for key, value in body.items() if value}
    return (Patch(ref_of(live), body, live["metadata"].get("resourceVersion", "")),) if body else ()
