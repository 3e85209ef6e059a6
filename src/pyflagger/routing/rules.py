"""The rules of a mesh at a split: matching requests, visitors with an affinity cookie, and the weights for all others.

The modules of meshes with rule lists use this. Each renders the rules in its own format and merges them into the live
list with `laid`.
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
"""The optional fields of rules at the last write. flagger removes those that the manifest no longer has."""


@dataclass(frozen=True, slots=True)
class Split:
    """One rule. `canary` None: only the primary. `conditions`: any of them, combined with those of `service.match`."""

    primary: int
    canary: int | None
    conditions: tuple[Match, ...] = ()
    mirrored: bool = False
    primary_cookie: str = ""
    canary_cookie: str = ""
    removed_cookie: str = ""
    """Values of Set-Cookie for responses of the primary, of the canary, and of both."""


def splits(canary: Canary, route: Route, *, everyone: bool) -> tuple[Split, ...]:
    """The rules of a route. The first match wins, and the last rule matches all requests."""
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
    """The value of a Set-Cookie header. Removing a cookie requires the attributes that it was set with."""
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
    """A regular expression for a Cookie header with this `name=value`, for full and partial matchers."""
    return f"(^|.*; ?){re.escape(cookie)}(;.*|$)"


def _holds(cookie: str) -> Match:
    return Match(headers={"Cookie": StringMatch(regex=cookie_regex(cookie))})


def condition(how: StringMatch) -> tuple[str, str] | None:
    """(kind, value) of a condition on a text. None if there is no condition."""
    for kind in ("exact", "prefix", "suffix", "regex"):
        value = getattr(how, kind)
        if value is not None:
            return kind, value
    return None


def refused(canary: Canary) -> Problem | None:
    """Reject fields that rules cannot combine."""
    analysis = canary.spec.analysis
    if analysis and analysis.session_affinity and strategy(canary) == "ab-testing":
        text = "spec.analysis.sessionAffinity cannot be used with match: both select the visitors of the canary"
        return Problem(Fault.MANIFEST, text, "Remove one of them.", "spec.analysis.sessionAffinity")
    return None


def inconsistent(where: str, weights: Sequence[Any]) -> Problem | None:
    """Report weights that do not add up to 100."""
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
    """Merge the rendered rules into the managed live rules with the same matches. Rules of others stay in place.

    A new rule is merged with the last managed rule, so that fields which others added apply to all visitors.
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
    """The user's rules that flagger's rules replace. A rule to the apex stays if its matches differ.

    Before the takeover, flagger replaces the last such rule whatever it matches: it is the default rule.
    """
    begun = any(ours(rule) and not to_apex(rule) for rule in live)
    absorbed = [] if begun else [rule for rule in live if to_apex(rule)][-1:]
    matches = [rule.get(key) for rule in wanted]
    return lambda rule: ours(rule) and (not to_apex(rule) or rule in absorbed or rule.get(key) in matches)


def matches_of_users(rules: Sequence[Obj], to_apex: Callable[[Obj], bool], key: str) -> list[Obj]:
    """The matches of the user's rule that flagger replaces: the last one with the apex as a backend."""
    found = [rule for rule in rules if to_apex(rule)]
    return list(found[-1].get(key) or ()) if found else []


def fields_of(live: Obj | None) -> tuple[str, ...]:
    """The optional fields of rules that the last write set."""
    text = part(part(live or {}, "metadata"), "annotations").get(FIELDS) or ""
    return tuple(text.split(",")) if text else ()


def written(canary: Canary, live: Obj | None, wanted: Obj, fields: Iterable[str]) -> Writes | Problem:
    """The write that makes a route as wanted. Metadata of others stays. The original spec of a user's route is stored.

    The values of the wanted spec are complete: they contain fields that others added. None removes a key.
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
    """Restore the original spec of a user's route. Empty for a generated route, which is deleted with the Canary."""
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
    """Whether a route names the primary's Service: an earlier version took it over and did not store the spec."""
    return f'"{names.primary_service(canary)}"' in json.dumps(live.get("spec"))


def left(canary: Canary, live: Obj, spec: Obj) -> Writes:
    """Set this spec and remove the owner of a generated route, so that visitors keep it after the Canary is deleted."""
    annotations = original.unmarked(live, (FIELDS, SHARE, names.OWNER))
    metadata = {"ownerReferences": names.other_owners(canary, live) or None, "annotations": annotations}
    return (patch(live, {"metadata": metadata, "spec": merge_diff(part(live, "spec"), spec)}),)
