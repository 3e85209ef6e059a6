"""Conditions of A/B and of testers, flat and in a fixed order, for providers that match requests by rules.

An entry of the manifest is one alternative; its conditions must all hold. What a provider cannot say is a Problem with
its path, never left out: a rule that is wider than written would send the wrong visitors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyflagger.api.canary import StringMatch
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj
from pyflagger.routing.split import Rule


@dataclass(frozen=True, slots=True)
class Condition:
    """One header or query parameter; `how` is exact, prefix, suffix or regex."""

    name: str
    how: str
    text: str
    query: bool = False

    @property
    def pattern(self) -> str | None:
        """The whole value as a regular expression (RE2); None for an exact one."""
        plain = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", self.text)
        return {"prefix": f"{plain}.*", "suffix": f".*{plain}", "regex": self.text}.get(self.how)


def conditions(rule: Rule, *, queries: bool) -> list[Condition] | Problem:
    """What a rule asks of a request; empty for the rule without a match."""
    match = rule.match
    if match is None:
        return []
    if match.source_labels:
        return _unsaid(f"{rule.where}.sourceLabels")
    if match.query_params and not queries:
        return _unsaid(f"{rule.where}.queryParams")
    found: list[Condition] = []
    for field, named in (("headers", match.headers), ("queryParams", match.query_params)):
        for name, how in sorted(named.items()):
            kind, text = _how(how)
            if not kind:
                return _unsaid(f"{rule.where}.{field}.{name}")
            found.append(Condition(name, kind, text, field == "queryParams"))
    if not found:
        text = f"{rule.where} names no header: it would match every request"
        return Problem(Fault.MANIFEST, text, "Name a header.", rule.where)
    return found


def routed(rules: Sequence[Rule], make: Callable[[Rule, list[Condition]], Obj]) -> list[Obj] | Problem:
    """What `make` makes of each rule and its conditions, query parameters among them."""
    routes: list[Obj] = []
    for rule in rules:
        asked = conditions(rule, queries=True)
        if isinstance(asked, Problem):
            return asked
        routes.append(make(rule, asked))
    return routes


def _how(match: StringMatch) -> tuple[str, str]:
    for kind in ("exact", "prefix", "suffix", "regex"):
        text = getattr(match, kind)
        if text is not None:
            return kind, text
    return "", ""


def _unsaid(path: str) -> Problem:
    text = f"{path} cannot be expressed by this traffic provider"
    return Problem(Fault.MANIFEST, text, "Use headers with exact, prefix, suffix or regex.", path)
