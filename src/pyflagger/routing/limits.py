"""Limits of rendered routes: the counts and formats that the CRDs of the routes require.

This checks only fields that a manifest determines. Source: the Gateway API reference, HTTPRoute (standard channel).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyflagger.api import durations
from pyflagger.api.facts import Problem
from pyflagger.api.rule import wrong
from pyflagger.api.shapes import ANNOTATIONS_MAX, SUBDOMAIN_MAX, size_of, subdomain
from pyflagger.objects import Obj, part
from pyflagger.routing.filters import filters_beyond, parents_beyond

RULES_MAX, MATCHES_MAX, ALL_MATCHES_MAX, HEADERS_MAX, PARENTS_MAX, HOSTS_MAX = 16, 64, 128, 16, 32, 16
VALUE_MAX = {"headers": 4096, "queryParams": 1024}

_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_TIME = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_TIMES = {"request": "spec.service.timeout", "backendRequest": "spec.service.backendTimeout"}
_MATCH = "spec.analysis.match"


def beyond(obj: Obj) -> tuple[Problem, ...]:
    """The problems of an object that exceeds the limits of its kind. `obj` may contain only the changed fields."""
    check = _CHECKS.get(obj.get("kind", ""))
    return (*_metadata(obj), *(check(part(obj, "spec")) if check else ()))


def _metadata(obj: Obj) -> Iterator[Problem]:
    """The limits of every object. A patch has no name, and only the changed annotations."""
    path = _NAMED_AFTER.get(obj.get("kind", ""), "spec.service.name")
    name = part(obj, "metadata").get("name") or ""
    if name and (what := subdomain(name)):
        yield wrong(path, f"results in the name {name[:40]}…, which {what}", f"Shorten or correct {path}.")
    kept = {key: text for key, text in part(part(obj, "metadata"), "annotations").items() if text is not None}
    if (size := size_of(kept)) > ANNOTATIONS_MAX:
        text = f"results in annotations of {size} bytes, the limit is {ANNOTATIONS_MAX}"
        yield wrong(path, text, "Remove annotations of the object that flagger copies.")


def _http_route(spec: Obj) -> Iterator[Problem]:
    for host in _list(spec, "hostnames"):
        if not _HOST.fullmatch(str(host)) or len(str(host)) > SUBDOMAIN_MAX:
            todo = "Use lowercase and no port. To serve all hosts, remove spec.service.hosts."
            yield wrong("spec.service.hosts", f"has {host!r}, which an HTTPRoute does not accept", todo)
    yield from _few(_list(spec, "hostnames"), HOSTS_MAX, "spec.service.hosts", "hosts")
    parents = _list(spec, "parentRefs")
    yield from _few(parents, PARENTS_MAX, "spec.service.gatewayRefs", "parents")
    yield from parents_beyond([ref for ref in parents if isinstance(ref, dict)])
    rules = [rule for rule in _list(spec, "rules") if isinstance(rule, dict)]
    yield from _few(rules, RULES_MAX, _MATCH, "rules")
    every = [match for rule in rules for match in _list(rule, "matches")]
    yield from _few(every, ALL_MATCHES_MAX, _MATCH, "matches of all rules")
    for rule in rules:
        matches = _list(rule, "matches")
        yield from _few(matches, MATCHES_MAX, _MATCH, "matches of a rule")
        for match in matches:
            for field in ("headers", "queryParams"):
                yield from _values(_list(match, field), field)
        yield from filters_beyond(rule)
        yield from _timeouts(part(rule, "timeouts"))


def _timeouts(found: Obj) -> Iterator[Problem]:
    """The format of both durations. No attempt may take longer than the request, where 0s means any time."""
    shown = {key: str(text) for key in _TIMES if (text := found.get(key))}
    strange = {key: text for key, text in shown.items() if not _TIME.fullmatch(text)}
    for key, text in strange.items():
        yield wrong(_TIMES[key], f"is {text!r}, which an HTTPRoute does not accept", "Write it like 15s or 1m30s.")
    if strange or len(shown) < len(_TIMES):
        return
    request, attempt = (durations.parse(shown[key]) for key in _TIMES)
    if 0 < request < attempt:
        text = f"is {shown['backendRequest']}, longer than spec.service.timeout, which is {shown['request']}"
        yield wrong(_TIMES["backendRequest"], text, "Shorten it, or remove it.")


def _values(conditions: list[Any], field: str) -> Iterator[Problem]:
    yield from _few(conditions, HEADERS_MAX, _MATCH, field)
    for condition in conditions:
        value = str(part({"it": condition}, "it").get("value", ""))
        if not 1 <= len(value) <= VALUE_MAX[field]:
            name, accepted = condition.get("name"), f"but an HTTPRoute accepts 1 to {VALUE_MAX[field]}"
            text = f"has a value of {len(value)} characters for {name}, {accepted}"
            yield wrong(_MATCH, text, "Shorten the value.")


def _few(found: list[Any], most: int, path: str, what: str) -> Iterator[Problem]:
    if len(found) > most:
        yield wrong(path, f"needs {len(found)} {what} in an HTTPRoute, the limit is {most}", f"Shorten {path}.")


def _list(obj: Any, key: str) -> list[Any]:
    found = obj.get(key) if isinstance(obj, dict) else None
    return found if isinstance(found, list) else []


_CHECKS: Mapping[str, Callable[[Obj], Iterator[Problem]]] = {"HTTPRoute": _http_route}
_NAMED_AFTER: Mapping[str, str] = {"Ingress": "spec.ingressRef.name", "ApisixRoute": "spec.routeRef.name"}
"""The field with the object that a generated one is named after and copied from."""
