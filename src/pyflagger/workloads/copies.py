"""The primary's copies of ConfigMaps and Secrets: their names, their users, and the writes to them.

Every Canary that uses a copy is an owner of it, and the garbage collector deletes the copy with the last owner. flagger
changes a copy only while no other Canary owns it. Otherwise it writes other data to a copy with a name of the canary's
own. Every write has a resourceVersion, so that two canaries never act on the same state.

Called by the operator. Reference: Flagger's config tracker leaves one controller and former ones as plain owners.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.owners import foreign
from pyflagger.objects import UNREAD, Create, Delete, Obj, Patch, Ref, Unread, Write, merge_diff
from pyflagger.workloads.configs import Finder, Tracked
from pyflagger.workloads.options import WorkloadOptions

PROMOTED = "flagger.app/primary-configs"
"""An annotation of the primary: the checksums of its promoted configs, as a JSON object by key."""
CONTENT = ("data", "binaryData", "type")


class Copied(NamedTuple):
    """The configs with the new names of their copies, and the writes that create or update the copies."""

    tracked: Tracked
    writes: tuple[Write, ...]


# Promotion ----------------------------------------------------------------------------------------------------------


def copies(canary: Canary, tracked: Tracked, find: Finder, options: WorkloadOptions) -> Copied | Problem | Unread:
    """Copy the current configs for the primary. `tracked.names`: the names that it uses so far."""
    writes: list[Write] = []
    chosen: dict[str, str] = {}
    for key in sorted(tracked.objects):
        found = _choose(canary, key, tracked, find, options)
        if not isinstance(found, tuple):
            return found
        ref, more = found
        writes += more
        if ref.name != replace(tracked, names={}).copy_of(key):
            chosen[key] = ref.name
    return Copied(replace(tracked, names=chosen), tuple(writes))


def _choose(
    canary: Canary, key: str, tracked: Tracked, find: Finder, options: WorkloadOptions
) -> tuple[Ref, tuple[Write, ...]] | Problem | Unread:
    """The first usable name for a copy with this content, and its writes. Tries the name in use first."""
    obj = tracked.objects[key]
    refs = tracked.refs[key].copy_refs(canary.metadata.namespace, canary.metadata.name)
    for ref in sorted(refs, key=lambda ref: ref.name != tracked.copy_of(key)):
        live = find(ref)
        if isinstance(live, Unread):
            return UNREAD
        if live is None:
            return ref, (Create(_copy(canary, ref, obj, options)),)
        if (problem := refused(canary, ref, live)) is not None:
            return problem
        if not _users(canary, live):
            return ref, tuple(_update(canary, ref, live, _copy(canary, ref, obj, options)))
        if _same(live, obj):
            return ref, joined(canary, ref, live)
    names_tried = ", ".join(map(str, refs))
    text = f"other Canaries use {names_tried} with other data, so flagger has no free name for the primary's copy"
    return Problem(Fault.CLUSTER, text, "Remove the owner references of Canaries that no longer use them.")


def _same(live: Obj, obj: Obj) -> bool:
    return all((live.get(part) or None) == (obj.get(part) or None) for part in CONTENT)


def _copy(canary: Canary, ref: Ref, obj: Obj, options: WorkloadOptions) -> Obj:
    wanted: Obj = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "ownerReferences": [names.owner_reference(canary)],
        },
    }
    labels = options.included(obj["metadata"].get("labels"))
    if labels:
        wanted["metadata"]["labels"] = labels
    for part in (*CONTENT, "immutable"):
        if obj.get(part) is not None:
            wanted[part] = obj[part]
    return wanted


def _update(canary: Canary, ref: Ref, live: Obj, wanted: Obj) -> Iterator[Write]:
    """Update a copy that no other Canary uses. Replaces an immutable one."""
    meta, same = live["metadata"], _same(live, wanted)
    if not same and (live.get("immutable") or live.get("type") != wanted.get("type")):
        yield Delete(ref, meta.get("resourceVersion", ""))
        yield Create(wanted)
        return
    body: Obj = {}
    for part in ("data", "binaryData"):
        if (live.get(part) or None) != (wanted.get(part) or None):
            body[part] = merge_diff(live.get(part) or {}, wanted.get(part) or {})
    if wanted.get("immutable") and not live.get("immutable"):
        body["immutable"] = True
    labels, owners = wanted["metadata"].get("labels", {}), _with(canary, live)
    if {**(meta.get("labels") or {}), **labels} != (meta.get("labels") or {}):
        body["metadata"] = {"labels": labels}
    if owners != _owners(live):
        body["metadata"] = {**(body.get("metadata") or {}), "ownerReferences": owners}
    if body:
        yield Patch(ref, body, meta.get("resourceVersion", ""))


# Owners -------------------------------------------------------------------------------------------------------------


def _owners(live: Obj) -> list[Obj]:
    return live["metadata"].get("ownerReferences") or []


def _is_ours(canary: Canary, owner: Obj) -> bool:
    """The Canary itself, or an earlier Canary of the same name."""
    return names.is_canary(owner) and owner.get("name") == canary.metadata.name


def _users(canary: Canary, live: Obj) -> tuple[str, ...]:
    """The other Canaries that own a copy."""
    return tuple(
        str(owner.get("name")) for owner in _owners(live) if names.is_canary(owner) and not _is_ours(canary, owner)
    )


def _with(canary: Canary, live: Obj) -> list[Obj]:
    """The owners of a copy, with this Canary added. Its controller stays."""
    owners = _owners(live)
    if any(owner.get("uid") == canary.metadata.uid for owner in owners):
        return owners
    others = [owner for owner in owners if not _is_ours(canary, owner)]
    free = not any(owner.get("controller") for owner in others)
    return [*others, {**names.owner_reference(canary), "controller": free}]


def joined(canary: Canary, ref: Ref, live: Obj) -> tuple[Patch, ...]:
    """The write that adds this Canary as an owner; none if it is one already."""
    owners, meta = _with(canary, live), live["metadata"]
    if owners == _owners(live):
        return ()
    return (Patch(ref, {"metadata": {"ownerReferences": owners}}, meta.get("resourceVersion", "")),)


def left(canary: Canary, ref: Ref, live: Obj) -> Write:
    """The write that removes this Canary from the owners. A copy is deleted with its last owner."""
    others = [owner for owner in _owners(live) if not _is_ours(canary, owner)]
    version = live["metadata"].get("resourceVersion", "")
    if not others:
        return Delete(ref, version)
    return Patch(ref, {"metadata": {"ownerReferences": others}}, version)


def refused(canary: Canary, ref: Ref, live: Obj) -> Problem | None:
    """A problem if the object with a copy's name is neither owned by a Canary nor handed over to this one."""
    if any(names.is_canary(owner) for owner in _owners(live)) or names.is_owned(canary, live):
        return None
    return foreign(canary, {**live, "apiVersion": ref.api_version, "kind": ref.kind})


# Their state --------------------------------------------------------------------------------------------------------


class State(NamedTuple):
    """Copies by what is wrong: unused, restorable, lost for good, or with another owner."""

    stale: frozenset[Ref] = frozenset()
    lost: Mapping[Ref, str] = {}
    gone: Mapping[Ref, str] = {}
    problem: Problem | None = None


def state(
    canary: Canary,
    tracked: Tracked,
    used: frozenset[Ref] | None,
    owned: frozenset[Ref],
    held: Mapping[Ref, Obj | None],
    promoted: Mapping[str, str],
) -> State:
    """Compare the copies that the primary's pods use with the live ones. `lost` and `gone` map to keys of the status.

    `used`: the configs that the primary's pods name; None without a primary. `owned`: the copies that the canary owns.
    `held`: the metadata of every object with a copy's name. `promoted`: the checksums that the primary was promoted
    with, if known. flagger restores a copy only with these data.
    """
    lost, gone, awaited, problem = dict[Ref, str](), dict[Ref, str](), set[Ref](), None
    for key, ref in sorted(tracked.refs.items()):
        refs = ref.copy_refs(canary.metadata.namespace, canary.metadata.name)
        using = [each for each in refs if used and each in used]
        awaited.update(() if using else refs)
        for copy in using or refs[:1]:
            live = held.get(copy)
            if copy in owned:
                continue
            if live is not None:
                problem = problem or refused(canary, copy, live)
            if copy not in using or (live is not None and refused(canary, copy, live)):
                continue
            known = live is not None or promoted.get(key) == tracked.checksums[key]
            (lost if known else gone)[copy] = key
    stale = frozenset() if used is None else owned - used - awaited
    return State(stale, lost, gone, problem)


def restored(
    canary: Canary, tracked: Tracked, lost: Mapping[Ref, str], held: Mapping[Ref, Obj | None], options: WorkloadOptions
) -> tuple[Write, ...]:
    """The writes that restore copies: create them with the promoted data, or add the owner again."""
    writes: list[Write] = []
    for ref, key in sorted(lost.items()):
        live = held.get(ref)
        writes += (
            [Create(_copy(canary, ref, tracked.objects[key], options))] if live is None else joined(canary, ref, live)
        )
    return tuple(writes)


def noted(tracked: Tracked) -> dict[str, str]:
    """The annotation with the checksums that a primary is promoted with."""
    return {PROMOTED: json.dumps(tracked.checksums, separators=(",", ":"))} if tracked.refs else {}


def promoted(primary: Obj) -> dict[str, str] | None:
    """The checksums that a primary was promoted with; None without the annotation, as on primaries of the reference."""
    text = (primary["metadata"].get("annotations") or {}).get(PROMOTED)
    try:
        found: Any = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def unknown(gone: Iterable[Ref]) -> Problem:
    """The problem of deleted copies whose configs no longer have the promoted data."""
    text = f"{', '.join(sorted(map(str, gone)))} was deleted, and flagger no longer knows the promoted data"
    todo = "Create it with the data that the primary's pods need, or start a release: the promotion creates it."
    return Problem(Fault.CLUSTER, f"{text}, so new pods of the primary fail to start", todo)
