"""Conditions of A/B tests and testers, as a list in a fixed order, for providers that match requests by rules.

An entry of the manifest is one alternative, and all its conditions must match. A condition that a provider cannot
express is a Problem with its path. It is never dropped, because a wider rule would route the wrong visitors.
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
    """A condition on a header or query parameter. `how` is exact, prefix, suffix or regex."""

    name: str
    how: str
    text: str
    query: bool = False

    @property
    def pattern(self) -> str | None:
        """A regular expression (RE2) that matches the whole value. None for an exact condition."""
        plain = re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", self.text)
        return {"prefix": f"{plain}.*", "suffix": f".*{plain}", "regex": self.text}.get(self.how)


def conditions(rule: Rule, *, queries: bool) -> list[Condition] | Problem:
    """The conditions of a rule, or a Problem. Empty for the rule without a match."""
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
        return Problem(Fault.MANIFEST, text, "Add a header.", rule.where)
    return found


def routed(rules: Sequence[Rule], make: Callable[[Rule, list[Condition]], Obj]) -> list[Obj] | Problem:
    """The result of `make` for each rule and its conditions, including query parameters."""
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
