"""What the API server would refuse of a rendered route: counts and forms in the definitions of the routes' kinds.

Only what a manifest can get wrong. Source: the Gateway API reference, HTTPRoute (standard channel).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj, part

RULES_MAX, MATCHES_MAX, HEADERS_MAX, PARENTS_MAX, HOSTS_MAX, HEADER_VALUE_MAX = 16, 64, 16, 32, 16, 4096

_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_TIME = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_TIMES = {"request": "spec.service.timeout", "backendRequest": "spec.service.backendTimeout"}
_MATCH = "spec.analysis.match"


def beyond(obj: Obj) -> tuple[Problem, ...]:
    """What is beyond the limits of an object's kind; `obj` may hold the changed fields alone."""
    check = _CHECKS.get(obj.get("kind", ""))
    return tuple(check(part(obj, "spec"))) if check else ()


def _http_route(spec: Obj) -> Iterator[Problem]:
    for host in _list(spec, "hostnames"):
        if not _HOST.fullmatch(str(host)):
            todo = "Write it in lowercase and without port; leave spec.service.hosts out to serve all hosts."
            yield _problem("spec.service.hosts", f"has {host!r}, which an HTTPRoute does not take", todo)
    yield from _few(_list(spec, "hostnames"), HOSTS_MAX, "spec.service.hosts", "hosts")
    yield from _few(_list(spec, "parentRefs"), PARENTS_MAX, "spec.service.gatewayRefs", "parents")
    rules = [rule for rule in _list(spec, "rules") if isinstance(rule, dict)]
    yield from _few(rules, RULES_MAX, _MATCH, "rules")
    for rule in rules:
        matches = _list(rule, "matches")
        yield from _few(matches, MATCHES_MAX, _MATCH, "matches of a rule")
        for match in matches:
            for field in ("headers", "queryParams"):
                yield from _values(_list(match, field), field)
        for key, path in _TIMES.items():
            text = part(rule, "timeouts").get(key)
            if text and not _TIME.fullmatch(str(text)):
                yield _problem(path, f"is {text!r}, which an HTTPRoute does not take", "Write it like 15s or 1m30s.")


def _values(conditions: list[Any], field: str) -> Iterator[Problem]:
    yield from _few(conditions, HEADERS_MAX, _MATCH, field)
    for condition in conditions:
        value = str(part({"it": condition}, "it").get("value", ""))
        if not 1 <= len(value) <= HEADER_VALUE_MAX:
            text = f"asks of {condition.get('name')} a value of {len(value)} characters; an HTTPRoute takes 1 to 4096"
            yield _problem(_MATCH, text, "Give it another value.")


def _few(found: list[Any], most: int, path: str, what: str) -> Iterator[Problem]:
    if len(found) > most:
        yield _problem(path, f"needs {len(found)} {what} in an HTTPRoute, which takes {most}", f"Shorten {path}.")


def _list(obj: Any, key: str) -> list[Any]:
    found = obj.get(key) if isinstance(obj, dict) else None
    return found if isinstance(found, list) else []


def _problem(path: str, what: str, todo: str) -> Problem:
    return Problem(Fault.MANIFEST, f"{path} {what}", todo, path)


_CHECKS: Mapping[str, Callable[[Obj], Iterator[Problem]]] = {"HTTPRoute": _http_route}
