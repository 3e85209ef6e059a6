"""Queries as users write them: Go's text/template over the names of a canary.

For built-in, in-line and template queries. Caches the most recently used compiled templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache

from pyflagger.gotemplate.errors import TemplateError
from pyflagger.gotemplate.evaluate import evaluate
from pyflagger.gotemplate.functions import EARLY, FUNCTIONS
from pyflagger.gotemplate.parser import parse
from pyflagger.gotemplate.tree import Tree

__all__ = ["TemplateError", "Variables", "check", "render"]

COMPILED_MAX = 512


@dataclass(frozen=True, slots=True)
class Variables:
    """The names for a query. Nothing is escaped: the author of a canary also controls its queries.

    `interval` is the metric's own text, such as `1m`; `variables` are the metric's `templateVariables`.
    """

    name: str
    namespace: str
    target: str
    service: str
    ingress: str
    route: str
    interval: str
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)


NAMES = frozenset(entry.name for entry in fields(Variables))


def check(text: str) -> None:
    """Check a query's syntax. Raises TemplateError."""
    _compile(text)


def render(text: str, variables: Variables) -> str:
    """Render a query. Raises TemplateError, with a text that begins with `line:column`."""
    return evaluate(_compile(text), {name: getattr(variables, name) for name in NAMES})


@lru_cache(maxsize=COMPILED_MAX)
def _compile(text: str) -> Tree:
    return parse(text, NAMES | FUNCTIONS.keys() | EARLY)
