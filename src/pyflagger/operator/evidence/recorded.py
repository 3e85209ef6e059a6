"""Reads the template in the record of a release, so that the primary can run it again.

`gatherer` asks whether that is possible, before a decision. `act.executor` reads it again, with the configs that it
uses, and renders the primary from it. Only flagger may change a record, so it refuses
a template that does not have the revision in the record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyflagger.api import records
from pyflagger.api.facts import Problem
from pyflagger.api.records import Outcome
from pyflagger.core.situation import Recorded
from pyflagger.kube.client import Client, NotFound
from pyflagger.kube.errors import Forbidden
from pyflagger.kube.resources import RELEASES, resource_of
from pyflagger.objects import Obj, Ref, Unread, part
from pyflagger.operator.observe.compiled import CompiledCanary, Settings
from pyflagger.operator.observe.derived import primary_of
from pyflagger.operator.observe.store import Store
from pyflagger.workloads.configs import NOTHING, Finder, Tracked, track
from pyflagger.workloads.pods import changed_images, pod_of
from pyflagger.workloads.templated import Templated

KEPT = (Outcome.PROMOTED, Outcome.INITIALIZED)
"""How a release ended whose record has a template."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the primary is rendered from: a target, its configs, and `find` for the primary's copies of them."""

    target: Obj
    tracked: Tracked
    find: Finder


async def find_record(
    client: Client, store: Store, compiled: CompiledCanary, settings: Settings, number: int
) -> Recorded:
    """Whether the primary can run the template of a release, and what that changes. Raises ApiError."""
    found = await load(client, store, compiled, settings, number)
    if isinstance(found, Recorded):
        return found
    primary, kind = primary_of(compiled, store.get), compiled.workload
    live = None if isinstance(primary, Problem) else primary
    revision = kind.revision(found.target) if kind else ""
    return Recorded(revision, changed_images(pod_of(live), pod_of(found.target)))


async def load(
    client: Client, store: Store, compiled: CompiledCanary, settings: Settings, number: int
) -> Source | Recorded:
    """The template of a release, as a target; or why there is none. Raises ApiError."""
    kind, target = compiled.workload, store.get(compiled.target)
    if not isinstance(kind, Templated):
        return Recorded(code="kind", text=f"targets of kind {compiled.target.kind} have no pod template")
    record = await _record(client, compiled, number)
    if isinstance(record, Recorded):
        return record
    if target is None:
        return Recorded(code="no-target", text=f"{compiled.target.kind} {compiled.target.name} does not exist")
    recalled = _recalled(target, part(record, "status"))
    if kind.revision(recalled) != part(record, "spec").get("revision"):
        return Recorded(code="no-template", text=f"the template of release {number} is not that of its revision")
    if not settings.options.enable_config_tracking:
        return Source(recalled, NOTHING, {}.get)
    return await _with_configs(client, compiled, recalled, kind)


def _recalled(target: Obj, ended: Obj) -> Obj:
    """The target with a recorded template. A target at zero gets the pods that the primary had."""
    spec = {**part(target, "spec"), "template": part(ended, "template")}
    pods = {} if spec.get("replicas") != 0 else {"replicas": ended.get("replicas") or 1}
    return {**target, "spec": {**spec, **pods}}


async def _record(client: Client, compiled: CompiledCanary, number: int) -> Obj | Recorded:
    """The record, if it has a template."""
    canary, none = compiled.canary, Recorded(code="no-record", text=f"there is no record of release {number}")
    try:
        found = await client.get(RELEASES, canary.metadata.namespace, records.name_of(canary, number))
    except NotFound:
        return none
    except Forbidden as error:
        return Recorded(code="no-record", text=error.problem.text)
    status = part(found, "status")
    if part(part(found, "metadata"), "labels").get(records.UID) != canary.metadata.uid:
        return none
    if status.get("outcome") not in KEPT:
        return Recorded(code="not-promoted", text=f"release {number} was not promoted")
    if not status.get("template"):
        why = status.get("templateOmitted") or "it is missing"
        return Recorded(code="no-template", text=f"the record of release {number} has no template: {why}")
    return found


async def _with_configs(client: Client, compiled: CompiledCanary, recalled: Obj, kind: Templated) -> Source | Recorded:
    """The template with the ConfigMaps and Secrets that it uses, as they are now."""
    meta, refs = compiled.canary.metadata, kind.config_refs(recalled)
    live = await _read(client, [ref.ref(meta.namespace) for ref in refs])
    tracked = track(refs, meta.namespace, live.get)
    if isinstance(tracked, Problem | Unread):
        text = tracked.text if isinstance(tracked, Problem) else ""
        return Recorded(code="config-gone", text=text)
    copies = [copy for ref in tracked.refs.values() for copy in ref.copy_refs(meta.namespace, meta.name)]
    return Source(recalled, tracked, {**live, **await _read(client, copies)}.get)


async def _read(client: Client, refs: Iterable[Ref]) -> dict[Ref, Obj | None]:
    return {ref: await _get(client, ref) for ref in refs}


async def _get(client: Client, ref: Ref) -> Obj | None:
    try:
        return await client.get(resource_of(ref), ref.namespace, ref.name)
    except NotFound:
        return None
