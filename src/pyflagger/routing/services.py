"""The three Services of a canary: apex, primary and canary. These are the reference's terms.

All providers use them. Users call the apex Service. It selects the primary's pods. It selects the canary's pods only
while the primary is broken and the provider cannot split traffic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary, CustomMetadata, Service
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.selectors import Selector
from pyflagger.objects import Create, Obj, Patch, Ref, Write, ref_of
from pyflagger.routing import takeover
from pyflagger.routing.original import LAST_APPLIED as LAST_APPLIED

MANAGED_PORT_FIELDS = ("name", "port", "targetPort", "protocol", "appProtocol")


class Role(StrEnum):
    """The role of a Service."""

    APEX = "apex"
    PRIMARY = "primary"
    CANARY = "canary"


_NAMES = {Role.APEX: names.apex, Role.PRIMARY: names.primary_service, Role.CANARY: names.canary_service}


def ref(canary: Canary, role: Role) -> Ref:
    """The Service of a role."""
    return Ref("v1", "Service", canary.metadata.namespace, _NAMES[role](canary))


def reconcile(
    canary: Canary,
    role: Role,
    selector: Selector,
    ports: tuple[Obj, ...],
    live: Obj | None,
    *,
    to_canary: bool = False,
    pods: Mapping[str, str] | None = None,
) -> tuple[Write, ...] | Problem:
    """The write that corrects one Service. `to_canary`: the apex selects the canary's pods.

    `pods`: the labels of the target's pods, which a user's apex must select before flagger takes it over.
    """
    if canary.spec.service is None:
        text = "spec.service is required"
        return Problem(Fault.MANIFEST, text, "Set spec.service.port to the port that clients use.", "spec.service")
    theirs = role is Role.CANARY or to_canary
    selected = selector.of_canary() if theirs else selector.of_primary(_of_primary_now(selector, live))
    wanted = _desired(canary, canary.spec.service, role, selector.label, selected, ports)
    if live is None:
        return (Create(wanted),)
    body = (
        _users(canary.spec.service, live, wanted, selector, pods)
        if _is_users(canary, role, live)
        else _changes(canary, live, wanted)
    )
    if isinstance(body, Problem):
        return body
    return (Patch(ref_of(live), body, live["metadata"].get("resourceVersion", "")),) if body else ()


def serves_canary(live: Obj | None, selector: Selector) -> bool:
    """Whether a Service selects the canary's pods."""
    return selector.selects_canary(_selected(live))


def _selected(live: Obj | None) -> Mapping[str, str]:
    return ((live or {}).get("spec") or {}).get("selector") or {}


def _of_primary_now(selector: Selector, live: Obj | None) -> Mapping[str, str]:
    """The selector of a Service that selects the primary's pods. Empty for any other Service."""
    now = _selected(live)
    return now if now.get(selector.label) == selector.primary.get(selector.label) else {}


def _desired(
    canary: Canary, service: Service, role: Role, label: str, selected: Mapping[str, str], ports: tuple[Obj, ...]
) -> Obj:
    custom: CustomMetadata = getattr(service, role.value) or CustomMetadata()
    name = ref(canary, role).name
    main: Obj = {
        "name": service.port_name,
        "port": service.port,
        "targetPort": service.target_port or service.port,
        "protocol": "TCP",
    }
    if service.app_protocol:
        main["appProtocol"] = service.app_protocol
    spec: Obj = {"type": "ClusterIP", "selector": dict(selected), "ports": [main, *_further(service), *ports]}
    if service.headless:
        spec["clusterIP"] = "None"
    if service.traffic_distribution:
        spec["trafficDistribution"] = service.traffic_distribution
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": canary.metadata.namespace,
            "labels": {**custom.labels, label: name},
            "annotations": {**custom.annotations, **names.TOOLKIT_ANNOTATIONS},
            "ownerReferences": [names.owner_reference(canary)],
        },
        "spec": spec,
    }


def _further(service: Service) -> list[Obj]:
    """`service.ports`."""
    return [
        {
            "name": port.name,
            "port": port.port,
            "targetPort": port.target_port or port.port,
            "protocol": "TCP",
            **({"appProtocol": port.app_protocol} if port.app_protocol else {}),
        }
        for port in service.ports
    ]


def _changes(canary: Canary, live: Obj, wanted: Obj) -> Obj:
    """A merge patch. flagger manages the metadata of generated Services only."""
    spec = _spec_changes(live.get("spec") or {}, wanted["spec"])
    meta: Obj = {}
    if names.is_owned(canary, live):
        meta = _metadata_changes(canary, live["metadata"], wanted["metadata"])
    elif spec:
        meta = _missing({"annotations": names.TOOLKIT_ANNOTATIONS}, live["metadata"])
    return {key: value for key, value in (("metadata", meta), ("spec", spec)) if value}


def _spec_changes(live: Obj, wanted: Obj) -> Obj:
    spec: Obj = {}
    if (live.get("selector") or {}) != wanted["selector"]:
        stale = {key: None for key in live.get("selector") or {} if key not in wanted["selector"]}
        spec["selector"] = {**stale, **wanted["selector"]}
    if _comparable(live.get("ports") or ()) != _comparable(wanted["ports"]):
        spec["ports"] = _with_node_ports(live.get("ports") or (), wanted["ports"])
    if live.get("trafficDistribution") != wanted.get("trafficDistribution"):
        spec["trafficDistribution"] = wanted.get("trafficDistribution")
    return spec


def _comparable(ports: Iterable[Obj]) -> list[list[Any]]:
    return sorted(
        ([{"protocol": "TCP", **port}.get(field) for field in MANAGED_PORT_FIELDS] for port in ports), key=repr
    )


def _with_node_ports(live: Iterable[Obj], wanted: Iterable[Obj]) -> list[Obj]:
    known = {port.get("name"): port["nodePort"] for port in live if port.get("nodePort")}
    return [{**port, "nodePort": known[port["name"]]} if port["name"] in known else port for port in wanted]


def _metadata_changes(canary: Canary, live: Obj, wanted: Obj) -> Obj:
    """Set the metadata of the Canary, remove metadata that it no longer has, and keep the unmanaged keys."""
    unmanaged = canary.spec.service.unmanaged_metadata if canary.spec.service else None
    change: Obj = {}
    for part in ("labels", "annotations"):
        kept = set(getattr(unmanaged, part)) if unmanaged else set()
        now, then = live.get(part) or {}, wanted[part]
        diff = {key: value for key, value in then.items() if now.get(key) != value and key not in kept}
        diff |= {key: None for key in now if key not in then and key not in kept}
        if diff:
            change[part] = diff
    return change


def _missing(wanted: Mapping[str, Mapping[str, str]], live: Obj) -> Obj:
    change: Obj = {}
    for part, values in wanted.items():
        now = live.get(part) or {}
        diff = {key: value for key, value in values.items() if now.get(key) != value}
        if diff:
            change[part] = diff
    return change


def _is_users(canary: Canary, role: Role, live: Obj) -> bool:
    return role is Role.APEX and not names.is_owned(canary, live)


def _users(
    service: Service, live: Obj, wanted: Obj, selector: Selector, pods: Mapping[str, str] | None
) -> Obj | Problem:
    ours = _all_of_primary(selector)
    unfit = takeover.refused(live, ours, pods) if pods is not None else None
    return unfit or takeover.changes(service, live, wanted["spec"], ours, selector.of_canary())


def _all_of_primary(selector: Selector) -> dict[str, str]:
    """All labels that the selector of the primary's Service may have."""
    return {**selector.primary, **selector.further}


def finalize_apex(
    canary: Canary, selector: Selector | None, live: Obj | None, *, runs: bool = True
) -> tuple[Write, ...]:
    """Restore the user's apex Service. Keep a generated one: it selects the target's pods and loses its owner.

    `selector` is None if the target does not exist. If `runs` is false, the target is deleted, too, and so is a
    generated apex.
    """
    if live is None:
        return ()
    ours = _all_of_primary(selector) if selector else {}
    theirs = selector.of_canary() if selector else {}
    if not names.is_owned(canary, live):
        body = takeover.given_back(live, ours, theirs)
    elif selector and runs:
        body = takeover.handed_over(live, theirs, names.other_owners(canary, live))
    else:
        return ()
    return (Patch(ref_of(live), body, live["metadata"].get("resourceVersion", "")),) if body else ()
