"""Find other writers of managed objects, in the managed fields that the API server stores.

flagger asks when routes or Services have changed since its last write. The watch cache drops managed fields, so this
reads the objects from the API server. If that fails, no writer is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyflagger.api import names
from pyflagger.api.facts import Managed
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.resources import UnknownKind, resource_of
from pyflagger.objects import Obj, Ref, ref_of
from pyflagger.operator.observe.compiled import CompiledCanary

OURS = "flagger"


async def find_manager(client: Client, compiled: CompiledCanary) -> Managed:
    """The last foreign writer of a route or Service of the canary. Empty if flagger wrote last, or if unknown."""
    refs = [ref for ref in compiled.others if ref not in (compiled.autoscaler, compiled.primary_autoscaler)]
    read = [obj for ref in refs if (obj := await _read(client, ref)) is not None]
    # flagger never wrote to the user's own objects, such as the Ingress that it copies.
    ours = [obj for obj in read if names.is_owned(compiled.canary, obj) or OURS in _managers(obj)]
    written = sorted(_written(ours), key=lambda entry: entry[0])
    return written[-1][1] if written and written[-1][1].by != OURS else Managed()


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
