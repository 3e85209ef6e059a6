"""Find other writers of managed objects, in the managed fields that the API server stores.

flagger asks when routes or Services have changed since its last write. The watch cache drops managed fields, so this
reads the objects from the API server. If that fails, no writer is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyflagger.api import names
from pyflagger.api.facts import Managed, Problem
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.resources import UnknownKind, resource_of
from pyflagger.objects import Obj, Patch, Ref, ref_of
from pyflagger.operator.observe.compiled import CompiledCanary
from pyflagger.routing.base import RoutingOptions

OURS = "flagger"


async def find_manager(client: Client, compiled: CompiledCanary, options: RoutingOptions) -> Managed:
    """The last foreign writer of a route or Service of the canary.

    If flagger wrote last, `by` is empty, and `what` is the field of a route that the API server did not keep.
    """
    refs = [ref for ref in compiled.others if ref not in (compiled.autoscaler, compiled.primary_autoscaler)]
    read = [obj for ref in refs if (obj := await _read(client, ref)) is not None]
    # flagger never wrote to the user's own objects, such as the Ingress that it copies.
    ours = [obj for obj in read if names.is_owned(compiled.canary, obj) or OURS in _managers(obj)]
    written = sorted(_written(ours), key=lambda entry: entry[0])
    if written and written[-1][1].by != OURS:
        return written[-1][1]
    return Managed(what=_not_kept(compiled, {ref_of(obj): obj for obj in ours}, options))


def _not_kept(compiled: CompiledCanary, live: Mapping[Ref, Obj], options: RoutingOptions) -> str:
    """The first field of the wanted routes that is missing after flagger's own write, or empty."""
    canary, router = compiled.canary, compiled.router
    if router is None:
        return ""
    made = router.reconcile(canary, {ref: live.get(ref) for ref in router.reads(canary, options)}, options)
    patches = () if isinstance(made, Problem) else [write for write in made if isinstance(write, Patch)]
    found = (f"{path} of {write.ref}" for write in patches for path in missing(live.get(write.ref), write.body))
    return next(found, "")


def missing(live: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """The paths of fields of `spec` that `wanted` sets and `live` does not have. Other values are no missing fields."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key, value in wanted.items():
            at = f"{path}.{key}" if path else key
            if at == "metadata" or value is None:
                continue
            if key not in live:
                yield at
            yield from missing(live.get(key), value, at)
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        for at, (one, two) in enumerate(zip(live, wanted, strict=True)):
            yield from missing(one, two, f"{path}[{at}]")


async def _read(client: Client, ref: Ref) -> Obj | None:
    try:
        return await client.get(resource_of(ref), ref.namespace, ref.name)
    except (ApiError, UnknownKind):
        return None


def _managers(obj: Obj) -> set[str]:
    return {str(entry.get("manager", "")) for entry in obj["metadata"].get("managedFields") or ()}


def _written(objs: Iterable[Obj]) -> Iterator[tuple[tuple[str, bool], Managed]]:
    """The time and manager of each write. At equal times the other writer counts as later: it overwrote flagger."""
    for obj in objs:
        for entry in obj["metadata"].get("managedFields") or ():
            by = str(entry.get("manager", ""))
            if by and not entry.get("subresource"):
                yield (str(entry.get("time", "")), by != OURS), Managed(by, str(ref_of(obj)))
