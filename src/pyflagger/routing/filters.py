"""Limits of the filters and parents of an HTTPRoute, which its definition requires of each rendered route.

`limits` calls this. Source: the Gateway API reference, HTTPRoute (standard channel).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from pyflagger.api import shapes
from pyflagger.api.facts import Problem
from pyflagger.api.rule import wrong
from pyflagger.objects import Obj, part

FILTERS_MAX, CHANGES_MAX, ORIGINS_MAX, METHODS_MAX, CORS_HEADERS_MAX = 16, 16, 64, 9, 64
NAME_MAX, VALUE_MAX = 256, 4096
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
SIDES = {
    "requestHeaderModifier": "spec.service.headers.request",
    "responseHeaderModifier": "spec.service.headers.response",
}
CORS, MIRROR, REWRITE = "spec.service.corsPolicy", "spec.service.mirror", "spec.service.rewrite.type"

_ORIGIN = re.compile(r"\*|https?://((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?")


def filters_beyond(rule: Obj) -> Iterator[Problem]:
    """The problems of a rule's filters, each with the field of the Canary that it is rendered from."""
    found = _dicts(rule.get("filters"))
    if len(found) > FILTERS_MAX:
        yield wrong(MIRROR, f"needs {len(found)} filters in a rule, the limit is {FILTERS_MAX}", "Remove some.")
    for each in found:
        for key, path in SIDES.items():
            yield from _changes(part(each, key), path)
        yield from _cors(part(each, "cors"))
        if each.get("type") == "RequestMirror":
            yield from _mirror(part(each, "requestMirror"))
        if part(part(each, "urlRewrite"), "path").get("type") == "ReplacePrefixMatch":
            yield from _prefix_replaced(_dicts(rule.get("matches")))
    for backend in _dicts(rule.get("backendRefs")):
        yield from _cookies(_dicts(backend.get("filters")))


def parents_beyond(parents: Sequence[Obj]) -> Iterator[Problem]:
    """References to one parent must differ in the listener, or in the port if the channel is experimental."""
    for one, two in combinations(parents, 2):
        if _identity(one) != _identity(two):
            continue
        sections, ports = ([ref.get(key) or None for ref in (one, two)] for key in ("sectionName", "port"))
        by_section = None not in sections and sections[0] != sections[1]
        alike = all((pair[0] is None) == (pair[1] is None) for pair in (sections, ports))
        if not by_section and not (alike and (sections[0], ports[0]) != (sections[1], ports[1])):
            text = f"names {one.get('name')} twice, but each reference to one parent needs its own sectionName"
            yield wrong("spec.service.gatewayRefs", text, "Set sectionName, or keep one reference.")
            return


def _identity(ref: Obj) -> tuple[Any, ...]:
    return ref.get("group"), ref.get("kind"), ref.get("name"), ref.get("namespace") or ""


def _changes(change: Obj, path: str) -> Iterator[Problem]:
    for verb, found in change.items():
        where = f"{path}.{verb}"
        if len(found or ()) > CHANGES_MAX:
            yield wrong(where, f"has {len(found)} headers, the limit of an HTTPRoute is {CHANGES_MAX}", "Remove some.")
        if verb == "remove":
            yield from _distinct(where, found or ())


def _cookies(found: Sequence[Obj]) -> Iterator[Problem]:
    """The cookies of session affinity are headers of the backends."""
    added = [header for each in found for header in part(each, "responseHeaderModifier").get("add") or ()]
    longest = max((len(str(header.get("value", ""))) for header in added), default=0)
    if longest > VALUE_MAX:
        path = "spec.analysis.sessionAffinity"
        text = f"results in a cookie of {longest} characters, the limit of an HTTPRoute is {VALUE_MAX}"
        yield wrong(path, text, "Shorten its names, path and domain.")


def _prefix_replaced(matches: Sequence[Obj]) -> Iterator[Problem]:
    if len(matches) != 1 or part(matches[0], "path").get("type") != "PathPrefix":
        text = "is ReplacePrefixMatch, which an HTTPRoute accepts only with exactly one match, by prefix"
        yield wrong(REWRITE, text, "Use ReplaceFullPath, or one entry in match with uri.prefix.")


def _mirror(mirror: Obj) -> Iterator[Problem]:
    """The rules about several fields of a mirror. `api.verbatim` has their formats."""
    ref, fraction = part(mirror, "backendRef"), part(mirror, "fraction")
    service = ref.get("kind", "Service") == "Service" and not ref.get("group")
    if service and not ref.get("port"):
        yield wrong(MIRROR, f"has no backendRef.port for {ref.get('name')}", "Set it to a port of that Service.")
    if fraction and fraction.get("numerator", 0) > fraction.get("denominator", 100):
        yield wrong(MIRROR, "has a fraction greater than 1", "Correct it.")


def _cors(cors: Obj) -> Iterator[Problem]:
    yield from _listed(f"{CORS}.allowOrigin", cors.get("allowOrigins"), ORIGINS_MAX, _origin)
    yield from _listed(f"{CORS}.allowMethods", cors.get("allowMethods"), METHODS_MAX, _method)
    yield from _listed(f"{CORS}.allowHeaders", cors.get("allowHeaders"), CORS_HEADERS_MAX, _header)
    yield from _listed(f"{CORS}.exposeHeaders", cors.get("exposeHeaders"), CORS_HEADERS_MAX, _header)
    if cors.get("maxAge", 1) < 1:
        yield wrong(f"{CORS}.maxAge", "is less than 1s, which an HTTPRoute does not accept", "Use 1s or more.")


def _listed(path: str, found: Any, most: int, check: Any) -> Iterator[Problem]:
    texts = [str(each) for each in found or ()]
    if len(texts) > most:
        yield wrong(path, f"has {len(texts)} entries, the limit of an HTTPRoute is {most}", "Remove some.")
    if "*" in texts and len(texts) > 1:
        yield wrong(path, "has * and other entries, but * must be the only one", "Keep *, or the others.")
    yield from _distinct(path, texts)
    for text in texts:
        if text != "*" and (what := check(text)):
            yield wrong(path, f"has {text!r}, which {what}", "Correct it.")


def _origin(text: str) -> str:
    return "" if _ORIGIN.fullmatch(text) else "is not an origin such as https://shop.example or https://*.example"


def _method(text: str) -> str:
    return "" if text in METHODS else f"is not one of {', '.join(METHODS)}"


def _header(text: str) -> str:
    return shapes.token(text) or shapes.too_long(text, NAME_MAX)


def _distinct(path: str, texts: Sequence[str]) -> Iterator[Problem]:
    if twice := next((text for at, text in enumerate(texts) if text in texts[:at]), ""):
        yield wrong(path, f"has {twice!r} twice", "Keep one.")


def _dicts(found: Any) -> list[Obj]:
    return [each for each in found or () if isinstance(each, dict)]
