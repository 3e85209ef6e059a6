"""Provider `knative`: the target's own `spec.traffic`. The latest Revision is the canary.

An annotation names the Revision that is the primary. The two entries with a percentage split the traffic. Other entries
only give a Revision an address by tag. They stay, and so do the tags of the two entries. An annotation stores the
user's original `spec.traffic` until flagger restores it.
"""

from __future__ import annotations

import json
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Problem, Route
from pyflagger.objects import Obj, Patch, Ref, Resource, part, ref_of
from pyflagger.routing.base import Live, RoutingOptions, Writes

SAVED = "flagger.app/original-traffic"
LATEST: list[Obj] = [{"latestRevision": True, "percent": 100}]


class Knative:
    """The traffic entries of a Knative Service."""

    capabilities = Capabilities()
    kinds: tuple[Resource, ...] = (Resource("serving.knative.dev", "v1", "services", "Service"),)

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        """The target."""
        ref = canary.spec.target_ref
        return (Ref(ref.api_version, ref.kind, canary.metadata.namespace, ref.name),)

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        """The split of the spec. None unless both entries exist and add up to 100."""
        service = live[self.reads(canary, options)[0]]
        return _route(service) if service is not None else None

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        """Both entries, with their live weights or else the weights of the status."""
        service = live[self.reads(canary, options)[0]]
        if service is None or not names.primary_revision(service):
            return ()
        weight = canary.status.canary_weight
        return _write(service, _route(service) or Route(100 - weight, weight))

    def set(
        self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False
    ) -> Writes | Problem:
        """Set both percentages."""
        service = live[self.reads(canary, options)[0]]
        return () if service is None or not names.primary_revision(service) else _write(service, route)

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        """Restore the original traffic. If it is unknown, send all traffic to the latest Revision."""
        service = live[self.reads(canary, options)[0]]
        if service is None or not names.primary_revision(service):
            return ()
        annotations = {names.PRIMARY_REVISION: None, SAVED: None}
        body = {"metadata": {"annotations": annotations}, "spec": {"traffic": _saved(service)}}
        return (Patch(ref_of(service), body, service["metadata"].get("resourceVersion", "")),)


def _entries(service: Obj) -> list[Obj]:
    return [entry for entry in part(service, "spec").get("traffic") or () if isinstance(entry, dict)]


def _ours(service: Obj) -> tuple[Obj | None, Obj | None]:
    """The canary's entry and the primary's."""
    split = [entry for entry in _entries(service) if "percent" in entry]
    newest = next((entry for entry in split if entry.get("latestRevision")), None)
    primary = names.primary_revision(service)
    pinned = (entry for entry in split if not entry.get("latestRevision") and entry.get("revisionName") == primary)
    return newest, next(pinned, None)


def _route(service: Obj) -> Route | None:
    newest, pinned = _ours(service)
    if newest is None or pinned is None or newest["percent"] + pinned["percent"] != 100:
        return None
    return Route(pinned["percent"], newest["percent"])


def _write(service: Obj, route: Route) -> Writes:
    newest, pinned = _ours(service)
    entries = _entries(service)
    tagged = [
        {key: value for key, value in entry.items() if key != "percent"}
        for entry in entries
        if entry is not newest and entry is not pinned and entry.get("tag")
    ]
    if newest is None:
        newest = next((entry for entry in tagged if entry.get("latestRevision")), None)
        tagged = [entry for entry in tagged if entry is not newest]
    primary = {**(pinned or {}), "revisionName": names.primary_revision(service), "percent": route.primary}
    traffic = [{**(newest or {}), "latestRevision": True, "percent": route.canary}, primary, *tagged]
    body: Obj = {} if traffic == entries else {"spec": {"traffic": traffic}}
    if SAVED not in (service["metadata"].get("annotations") or {}):
        body["metadata"] = {"annotations": {SAVED: json.dumps(entries or LATEST, sort_keys=True)}}
    return (Patch(ref_of(service), body, service["metadata"].get("resourceVersion", "")),) if body else ()


def _saved(service: Obj) -> list[Any]:
    try:
        found = json.loads((service["metadata"].get("annotations") or {}).get(SAVED) or "null")
    except ValueError:
        found = None
    return found if isinstance(found, list) and found else LATEST
