"""Who else writes to what is ours: the field managers that the API server keeps for each object.

Called by the operator's gathering when routes or Services are not as they were left. The watch cache drops managers, so
this is the one time that objects are read; whatever goes wrong, nobody is named.
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
    """The last one who wrote to a route or Service of the canary; nobody when that was us, or is not known."""
    refs = [ref for ref in compiled.others if ref not in (compiled.autoscaler, compiled.primary_autoscaler)]
    read = [obj for ref in refs if (obj := await _read(client, ref)) is not None]
    # What we never wrote to is the user's, such as the Ingress that ours is a copy of.
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
    """When and by whom; of two in the same second the other one was the later, or there were nothing to ask."""
    for obj in objs:
        for entry in obj["metadata"].get("managedFields") or ():
            by = str(entry.get("manager", ""))
            if by and not entry.get("subresource"):
                yield (str(entry.get("time", "")), by != OURS), Managed(by, str(ref_of(obj)))
