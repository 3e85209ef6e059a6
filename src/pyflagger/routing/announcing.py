"""Writes a route that changes to other Services in three steps: it adds the new ones first, and removes the old ones
last.

Proxies learn routes and Services in separate streams. A proxy that knows a route before one of its Services, or that
removes a Service before the route, answers visitors with 503 (Envoy's flag NC). So the first write adds the new
Services at weight 0. The second write sends traffic to them and keeps the old ones at weight 0. The third write is the
wanted route. The live route determines the next step, so a crash does not matter. `operator` calls this for all writes
to routes except the weights of a release, which the route splits between Services that it already has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.objects import Obj, Patch, merge_apply, merge_diff, part
from pyflagger.routing.adopted import port_of
from pyflagger.routing.base import Announces, Live, Router, Writes
from pyflagger.routing.generated import patch
from pyflagger.routing.original import ORIGINAL

BACKENDS_MAX = 16
"""The maximum of backends in a rule of an HTTPRoute. flagger writes a route without room for more in one step."""


def following(router: Router | None, canary: Canary, live: Live, writes: Writes | Problem) -> Writes | Problem:
    """The next step of the wanted writes to the live routes."""
    if not isinstance(router, Announces) or isinstance(writes, Problem):
        return writes
    first = ((live.get(each.ref), each) for each in writes if isinstance(each, Patch))
    return tuple(made for obj, write in first if obj and (made := _before(router, canary, obj, write))) or writes


def announced(router: Router | None, canary: Canary, live: Live, writes: Writes | Problem) -> bool:
    """Whether these are second or third steps. Their routes have old and new Services, which proxies must know."""
    if not isinstance(router, Announces) or isinstance(writes, Problem):
        return False
    both = {names.apex(canary), names.primary_service(canary)}
    found = [obj for each in writes if isinstance(each, Patch) and (obj := live.get(each.ref))]
    return any(both <= {*_services(router, canary, place.backends)} for obj in found for place in _places(router, obj))


def _before(router: Announces, canary: Canary, live: Obj, write: Patch) -> Patch | None:
    """The step before a write; None for the last one. The first step also stores the original of an object."""
    wanted = merge_apply(live, write.body)
    has, wants = (dict(_ours(router, canary, obj)) for obj in (live, wanted))
    new = [backend for name, backend in wants.items() if name not in has]
    old = [backend for name, backend in has.items() if name not in wants]
    metadata = part(write.body, "metadata")
    if new:
        stores = part(metadata, "annotations").get(ORIGINAL) is not None
        return _named(router, canary, live, live, new, metadata if stores else {})
    leads = any(backend.get("weight") != 0 for backend in old)
    return _named(router, canary, live, wanted, old, {}) if leads else None


def _named(router: Announces, canary: Canary, live: Obj, base: Obj, more: Iterable[Obj], metadata: Obj) -> Patch | None:
    """The patch to the spec of `base` with more backends at weight 0; None if no rule has room for them."""
    ours = {*names.services(canary)}
    places = [each for each in _places(router, base) if ours & {*_services(router, canary, each.backends)}]
    added = [{**backend, "weight": 0} for backend in more]
    if not places or len(places[-1].backends) + len(added) > BACKENDS_MAX:
        return None
    section, at, backends = places[-1]
    if len(backends) == 1:
        backends = [{**backends[0], "weight": backends[0].get("weight") or 100}]
    spec = part(base, "spec")
    rules = [*spec[section]]
    rules[at] = {**rules[at], router.sections[section]: [*backends, *added]}
    body = {"metadata": metadata, "spec": merge_diff(part(live, "spec"), {**spec, section: rules})}
    return patch(live, {key: value for key, value in body.items() if value})


class _Place(NamedTuple):
    """A rule with backends in a spec."""

    section: str
    at: int
    backends: list[Obj]


def _places(router: Announces, obj: Obj) -> Iterator[_Place]:
    for section, key in router.sections.items():
        for at, rule in enumerate(part(obj, "spec").get(section) or ()):
            if rule.get(key):
                yield _Place(section, at, rule[key])


def _ours(router: Announces, canary: Canary, obj: Obj) -> Iterator[tuple[tuple[str, Any], Obj]]:
    """(Service, port) of each backend with a Service of the Canary, and the backend."""
    for place in _places(router, obj):
        for service, backend in zip(_services(router, canary, place.backends), place.backends, strict=True):
            if service in names.services(canary):
                yield (service, port_of(backend)), backend


def _services(router: Announces, canary: Canary, rule: list[Obj]) -> list[Any]:
    return [router.service_of(canary, backend) for backend in rule]
