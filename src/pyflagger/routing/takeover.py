"""Take over a user's Service with the name of the apex, and restore it on deletion.

flagger changes the selector, the port fields that the Canary names, and two annotations. `original.ORIGINAL` stores the
original selector. CHANGES stores each changed port field with its original value, so that later edits of the user stay.
`services` calls this for Services that the Canary does not own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Service
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj, part
from pyflagger.routing import original
from pyflagger.routing.original import annotations_of

CHANGES = "flagger.app/service-changes"
"""JSON: `ports` by number and protocol, each with its changed fields as [new, original], or null for a port that
flagger added. `applied` has the selector of kubectl's annotation at the takeover, if it differed."""
ALLOTTED = ("clusterIP", "clusterIPs", "healthCheckNodePort")
"""The fields that the API server assigns."""
NAME_MAX = 63

Labels = Mapping[str, str]


# Whether it can be taken over ----------------------------------------------------------------------------------------


def refused(live: Obj, ours: Labels, pods: Labels) -> Problem | None:
    """Reject a Service that does not select the target's pods: a takeover would redirect its visitors.

    `ours` is the primary's selector. `pods` has the labels of the target's pods.
    """
    spec = part(live, "spec")
    selector, where = part(spec, "selector"), original.shown(live)
    if original.is_taken(live):
        return None
    if spec.get("type") == "ExternalName":
        return _unfit(f"{where} is of type ExternalName: it resolves to {spec.get('externalName')}, not to pods")
    if not selector:
        return _unfit(f"{where} has no selector: flagger would replace its manually managed endpoints")
    if leads_to(selector, ours) or leads_to(selector, pods):
        return None
    words = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
    return _unfit(f"{where} selects {words}, which the target's pods do not have: it serves other pods")


def leads_to(selector: Labels, labels: Labels) -> bool:
    """Whether a selector matches pods with these labels."""
    return bool(selector) and selector.items() <= labels.items()


def _unfit(text: str) -> Problem:
    todo = (
        "Create another Service that selects the target's pods, send visitors to it, and set spec.service.name to its "
        "name. Or change the selector of this Service to the target's pods. flagger changes nothing until then."
    )
    return Problem(Fault.MANIFEST, text, todo, "spec.service.name")


# Taking over ---------------------------------------------------------------------------------------------------------


def changes(service: Service, live: Obj, wanted: Obj, ours: Labels, theirs: Labels) -> Obj | Problem:
    """The merge patch that takes a Service over, or corrects it after the takeover. Empty if nothing differs.

    `wanted` is the spec of a generated apex. `ours` selects the primary's pods, and `theirs` the target's pods.
    """
    spec, before = part(live, "spec"), original.stored(live) or _before(live, ours, theirs)
    undone, notes = ports_before(live), _notes(live)
    ports, touched = _laid(service, undone, wanted["ports"])
    body: Obj = {}
    if part(spec, "selector") != wanted["selector"]:
        body["selector"] = replaced(part(spec, "selector"), wanted["selector"])
    if ports != (spec.get("ports") or []):
        body["ports"] = ports
    distribution = wanted.get("trafficDistribution") or before.get("trafficDistribution")
    if distribution != spec.get("trafficDistribution"):
        body["trafficDistribution"] = distribution
    if not body:
        return {}
    if not original.is_taken(live):
        applied = part(original.applied(live) or {}, "selector")
        notes = {"applied": applied} if applied and applied != before.get("selector") else {}
    annotations = {**names.TOOLKIT_ANNOTATIONS, CHANGES: json.dumps({**notes, "ports": touched}, sort_keys=True)}
    if not original.is_taken(live):
        annotations |= original.marks(live, before)
    missing = {key: text for key, text in annotations.items() if annotations_of(live).get(key) != text}
    return original.oversized(live, missing) or {"metadata": {"annotations": missing}, "spec": body}


def _before(live: Obj, ours: Labels, theirs: Labels) -> Obj:
    """The user's part of a spec. If it selects the primary, an earlier version took it over and stored nothing."""
    spec = part(live, "spec")
    kept = {key: value for key, value in spec.items() if key not in ALLOTTED or value == "None"}
    if leads_to(part(spec, "selector"), ours):
        kept["selector"] = part(original.applied(live) or {}, "selector") or dict(theirs)
    return kept


def replaced(now: Labels, wanted: Labels) -> Obj:
    """The merge patch from one selector to another."""
    return {**{key: None for key in now if key not in wanted}, **wanted}


def _laid(service: Service, live: list[Obj], wanted: list[Obj]) -> tuple[list[Obj], Obj]:
    """The user's ports in order with the Canary's fields, then the added ports, and the changes among them."""
    asked = _asked(service)
    ours = {_key(port): port for port in wanted}
    rest = {key: port for key, port in ours.items() if key not in map(_key, live)}
    several = len(live) + len(rest) > 1
    taken = {port["name"] for port in live if port.get("name")}
    made: list[Obj] = []
    touched: Obj = {}
    for port in live:
        fields = dict(asked.get(_key(port), {}))
        if not port.get("name") and (several or _key(port) in ours):
            fields["name"] = _free(ours.get(_key(port), {}).get("name") or f"port-{port['port']}", port, taken)
        change = {field: [value, port.get(field)] for field, value in fields.items() if port.get(field) != value}
        made.append({**port, **fields})
        if change:
            touched[_key(port)] = change
    for key, port in rest.items():
        made.append({**port, "name": _free(port["name"], port, taken)})
        touched[key] = None
    return made, touched


def _asked(service: Service) -> dict[str, Obj]:
    """The fields that the Canary sets for each port, besides its number."""
    said = [(service.port, service.target_port, service.app_protocol)]
    said += [(port.port, port.target_port, port.app_protocol) for port in service.ports]
    return {
        f"{number}/TCP": {
            **({"targetPort": target} if target else {}),
            **({"appProtocol": protocol} if protocol else {}),
        }
        for number, target, protocol in said
    }


def _key(port: Obj) -> str:
    return f"{port.get('port')}/{port.get('protocol') or 'TCP'}"


def _free(name: str, port: Obj, taken: set[str]) -> str:
    """The name, or another one if a port of the user has it. This adds the result to `taken`."""
    tail = f"-{port['port']}"
    found = name if name not in taken else f"{name[: NAME_MAX - len(tail)]}{tail}"
    taken.add(found)
    return found


def ports_before(live: Obj) -> list[Obj]:
    """The ports without flagger's changes. Later edits of the user stay."""
    changed = part(_notes(live), "ports")
    return [
        _undone(port, changed.get(_key(port)) or {})
        for port in part(live, "spec").get("ports") or ()
        if _key(port) not in changed or changed[_key(port)] is not None
    ]


def _undone(port: Obj, change: Obj) -> Obj:
    made = dict(port)
    for field, (ours, theirs) in change.items():
        if made.get(field) != ours:
            continue
        made[field] = theirs
        if theirs is None:
            del made[field]
    return made


def _notes(live: Obj) -> Obj:
    return original.parsed(annotations_of(live).get(CHANGES), lambda found: found) or {}


# Restoring -----------------------------------------------------------------------------------------------------------


def given_back(live: Obj, ours: Labels, theirs: Labels) -> Obj:
    """The merge patch that restores the user's Service. Empty if it has no changes of flagger's.

    If an earlier version stored nothing, this restores the selector of kubectl's annotation, or else the target's.
    """
    spec, before = part(live, "spec"), original.stored(live)
    now = part(spec, "selector")
    body: Obj = {}
    wanted = _selector(live, before) if before else _before(live, ours, theirs).get("selector", {})
    if now != wanted:
        body["selector"] = replaced(now, wanted)
    ports = ports_before(live)
    if ports != (spec.get("ports") or []) and (ports or spec.get("clusterIP") == "None"):
        body["ports"] = ports or None
    if before and before.get("trafficDistribution") != spec.get("trafficDistribution"):
        body["trafficDistribution"] = before.get("trafficDistribution")
    if not body and not original.is_taken(live):
        return {}
    annotations = original.unmarked(live, (CHANGES,))
    parts = (("metadata", {"annotations": annotations} if annotations else {}), ("spec", body))
    return {key: value for key, value in parts if value}


def _selector(live: Obj, before: Obj) -> Labels:
    """The original selector, unless the user has applied another one with kubectl since."""
    then: Any = _notes(live).get("applied") or before.get("selector")
    newest = part(original.applied(live) or {}, "selector")
    return newest if newest and newest != then else part(before, "selector")


def handed_over(live: Obj, theirs: Labels, others: list[Obj]) -> Obj:
    """The merge patch that leaves a generated apex to the user: it selects the target's pods, and `others` own it."""
    selector = replaced(part(part(live, "spec"), "selector"), theirs)
    annotations = original.unmarked(live, (names.OWNER,))
    return {
        "metadata": {"ownerReferences": others or None, **({"annotations": annotations} if annotations else {})},
        "spec": {"selector": selector},
    }
