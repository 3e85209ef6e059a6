"""What a mesh's rules have to say at a split: who is pinned, who stays by a cookie, and how the rest is divided.

Used by the modules of meshes whose routes are lists of rules; each renders the rules in its own shape and lays them
over the live list with `laid`. Knows no shape of any mesh.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyflagger.api import cookies, names
from pyflagger.api.canary import Canary, Match, SessionAffinity, StringMatch
from pyflagger.api.defaults import interval, strategy
from pyflagger.api.facts import Fault, Problem, Route
from pyflagger.objects import Create, Obj, merge_diff, part
from pyflagger.routing import original
from pyflagger.routing.base import Writes
from pyflagger.routing.generated import OTHERS, overlay, patch
from pyflagger.routing.original import LAST_APPLIED as LAST_APPLIED
from pyflagger.routing.original import ORIGINAL as ORIGINAL
from pyflagger.routing.shares import SHARE

FIELDS = "flagger.app/route-fields"
"""Which optional fields of rules were ours at the last write: what is in it and no longer wanted is removed."""


@dataclass(frozen=True, slots=True)
class Split:
    """One rule. `canary` None: the primary alone; `conditions`: any of them, beside those of `service.match`."""

    primary: int
    canary: int | None
    conditions: tuple[Match, ...] = ()
    mirrored: bool = False
    primary_cookie: str = ""
    canary_cookie: str = ""
    removed_cookie: str = ""
    """Values of Set-Cookie, for answers of the primary, of the canary, and of both."""


def splits(canary: Canary, route: Route, *, everyone: bool) -> tuple[Split, ...]:
    """The rules of a route, the first that matches wins; the last is for everybody else."""
    analysis = canary.spec.analysis
    if everyone or analysis is None:
        return (Split(route.primary, route.canary, mirrored=route.mirrored),)
    if strategy(canary) == "ab-testing" and route.canary > 0:
        return Split(route.primary, route.canary, analysis.match), Split(100, None)
    pinned = (Split(0, 100, analysis.testers),) if analysis.testers and 0 < route.canary < 100 else ()
    return (*pinned, *_sticky(canary, analysis.session_affinity, route))


def _sticky(canary: Canary, affinity: SessionAffinity | None, route: Route) -> Iterator[Split]:
    found = cookies.at(canary, route.canary)
    if affinity is None:
        yield Split(route.primary, route.canary, mirrored=route.mirrored)
        return
    if route.canary == 0:
        if found.previous:
            gone = set_cookie(found.previous, -1, affinity)
            yield Split(route.primary, route.canary, (_holds(found.previous),), route.mirrored, removed_cookie=gone)
        yield Split(route.primary, route.canary, mirrored=route.mirrored)
        return
    yield Split(0, 100, (_holds(found.canary),))
    stays = ""
    if found.primary:
        yield Split(100, 0, (_holds(found.primary),))
        stays = set_cookie(found.primary, round(interval(canary)), affinity)
    given = set_cookie(found.canary, affinity.max_age, affinity)
    yield Split(route.primary, route.canary, primary_cookie=stays, canary_cookie=given)


def set_cookie(cookie: str, max_age: int, affinity: SessionAffinity) -> str:
    """The value of a Set-Cookie header; a cookie is removed only by the attributes that it was given with."""
    attributes = (
        f"Max-Age={max_age}",
        f"Domain={affinity.domain}" if affinity.domain else "",
        "HttpOnly" if affinity.http_only else "",
        "Partitioned" if affinity.partitioned else "",
        f"Path={affinity.path}" if affinity.path else "",
        f"SameSite={affinity.same_site}" if affinity.same_site else "",
        "Secure" if affinity.secure else "",
    )
    return "; ".join((cookie, *(text for text in attributes if text)))


def cookie_regex(cookie: str) -> str:
    """A Cookie header that holds this `name=value`, for matchers of the whole text and of a part alike."""
    return f"(^|.*; ?){re.escape(cookie)}(;.*|$)"


def _holds(cookie: str) -> Match:
    return Match(headers={"Cookie": StringMatch(regex=cookie_regex(cookie))})


def condition(how: StringMatch) -> tuple[str, str] | None:
    """(kind, value) of how a text must look; None when nothing is said."""
    for kind in ("exact", "prefix", "suffix", "regex"):
        value = getattr(how, kind)
        if value is not None:
            return kind, value
    return None


def refused(canary: Canary) -> Problem | None:
    """What rules cannot say together."""
    analysis = canary.spec.analysis
    if analysis and analysis.session_affinity and strategy(canary) == "ab-testing":
        text = "spec.analysis.sessionAffinity cannot be used with match: each says who sees the canary"
        return Problem(Fault.MANIFEST, text, "Remove one of them.", "spec.analysis.sessionAffinity")
    return None


def inconsistent(where: str, weights: Sequence[Any]) -> Problem | None:
    """Weights that are no split of 100; never taken for a split."""
    fine = all(isinstance(weight, int) and not isinstance(weight, bool) and weight >= 0 for weight in weights)
    if fine and sum(weights) == 100:
        return None
    text = f"{where}: the weights {' and '.join(str(weight) for weight in weights)} do not add up to 100"
    return Problem(Fault.CLUSTER, text, OTHERS)


def laid(
    live: Sequence[Obj],
    wanted: Sequence[Obj],
    ours: Callable[[Obj], bool],
    key: str,
    over: Callable[[Obj, Obj], Obj],
) -> list[Obj]:
    """Our rules laid over those of ours that are there, by their matches; rules of others stay where they were.

    A rule that is new lies over the last of ours, so that what somebody added to it holds for all visitors.
    """
    mine = [rule for rule in live if ours(rule)]
    under = {json.dumps(rule.get(key), sort_keys=True): rule for rule in mine}
    base = mine[-1] if mine else {}
    made = [over(under.get(json.dumps(rule.get(key), sort_keys=True), base), rule) for rule in wanted]
    last = max((place for place, rule in enumerate(live) if ours(rule)), default=len(live))
    before = [rule for rule in live[:last] if not ours(rule)]
    after = [rule for rule in live[last:] if not ours(rule)]
    return [*before, *made, *after]


def of_users(
    live: Sequence[Obj], wanted: Sequence[Obj], ours: Callable[[Obj], bool], to_apex: Callable[[Obj], bool], key: str
) -> Callable[[Obj], bool]:
    """Which rules of a route of the user's ours are laid over: one that leads to the apex stays if ours match others.

    Before the takeover the last of these is laid over whatever it matches: it is the one for everybody.
    """
    begun = any(ours(rule) and not to_apex(rule) for rule in live)
    absorbed = [] if begun else [rule for rule in live if to_apex(rule)][-1:]
    matches = [rule.get(key) for rule in wanted]
    return lambda rule: ours(rule) and (not to_apex(rule) or rule in absorbed or rule.get(key) in matches)


def matches_of_users(rules: Sequence[Obj], to_apex: Callable[[Obj], bool], key: str) -> list[Obj]:
    """The matches of the user's rule that ours are laid over: the last one that leads to the apex."""
    found = [rule for rule in rules if to_apex(rule)]
    return list(found[-1].get(key) or ()) if found else []


def fields_of(live: Obj | None) -> tuple[str, ...]:
    """The optional fields of rules that were ours at the last write."""
    text = part(part(live or {}, "metadata"), "annotations").get(FIELDS) or ""
    return tuple(text.split(",")) if text else ()


def written(canary: Canary, live: Obj | None, wanted: Obj, fields: Iterable[str]) -> Writes | Problem:
    """What brings a route about: others' metadata stays; the spec of one that was not ours is stored once.

    The values in the wanted spec are whole: what others added to them has been laid under already. None removes a key.
    """
    annotations = dict(wanted["metadata"]["annotations"])
    if text := ",".join(sorted(set(fields))):
        annotations[FIELDS] = text
    elif fields_of(live):
        annotations[FIELDS] = ""
    if live is not None and not names.is_owned(canary, live) and not original.is_taken(live):
        annotations |= original.marks(live, part(live, "spec"))
        if large := original.oversized(live, annotations):
            return large
    if live is None:
        return (Create(overlay({}, {**wanted, "metadata": {**wanted["metadata"], "annotations": annotations}})),)
    meta = {"labels": wanted["metadata"]["labels"], "annotations": annotations}
    body = {"metadata": _changed(part(live, "metadata"), meta), "spec": _new(part(live, "spec"), wanted["spec"])}
    body = {key: value for key, value in body.items() if value}
    return (patch(live, body),) if body else ()


def _changed(live: Obj, wanted: Obj) -> Obj:
    found = {key: _new(part(live, key), value) for key, value in wanted.items()}
    return {key: value for key, value in found.items() if value}


def _new(live: Obj, wanted: Obj) -> Obj:
    return {key: value for key, value in wanted.items() if live.get(key) != value}


def reverted(canary: Canary, live: Obj | None) -> Writes:
    """The spec that a route had before it was taken over; nothing for one of ours, it goes with the Canary."""
    if live is None or names.is_owned(canary, live):
        return ()
    spec = original.stored(live) or (
        original.applied(live) if original.is_taken(live) or _leads(canary, live) else None
    )
    if spec is None:
        return ()
    annotations = original.unmarked(live, (FIELDS, SHARE))
    body = {
        "spec": merge_diff(part(live, "spec"), spec),
        "metadata": {"annotations": annotations} if annotations else {},
    }
    body = {key: value for key, value in body.items() if value}
    return (patch(live, body),) if body else ()


def _leads(canary: Canary, live: Obj) -> bool:
    """Whether a route names the primary's Service: it was taken over when nothing was stored yet."""
    return f'"{names.primary_service(canary)}"' in json.dumps(live.get("spec"))


def left(canary: Canary, live: Obj, spec: Obj) -> Writes:
    """A route of ours becomes the user's, with this spec: visitors come by it, so it must not go with the Canary."""
    annotations = original.unmarked(live, (FIELDS, SHARE, names.OWNER))
    metadata = {"ownerReferences": names.other_owners(canary, live) or None, "annotations": annotations}
    return (patch(live, {"metadata": metadata, "spec": merge_diff(part(live, "spec"), spec)}),)
