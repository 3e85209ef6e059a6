"""The text of an alert in the words of its AlertProvider: a template in Go's text/template language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from pyflagger.alerts.base import Alert, Words
from pyflagger.gotemplate.errors import TemplateError
from pyflagger.gotemplate.evaluate import Piece, pieces
from pyflagger.gotemplate.functions import EARLY, FUNCTIONS
from pyflagger.gotemplate.parser import parse
from pyflagger.gotemplate.tree import Tree
from pyflagger.gotemplate.values import Value

FIELD = "spec.template"
ADVICE = "Correct spec.template of the AlertProvider. The numbers are its line:column."
TEXT_MAX = 2000
"""Maximum number of characters of a rendered text. Every receiver accepts as many."""

COMPILED_MAX = 64


def check(template: str) -> None:
    """Check the syntax and the names of a template. Raises TemplateError."""
    _compile(template)


def worded(alert: Alert, template: str) -> tuple[Alert, str]:
    """The alert in the words of a template, and a problem.

    With a problem, or without a template, the alert keeps its standard text: a template never costs an alert.
    """
    if not template:
        return alert, ""
    try:
        words = _trimmed(pieces(_compile(template), values(alert)))
    except TemplateError as error:
        return alert, f"{FIELD} cannot be rendered: {error}"
    text = "".join(each.text for each in words)
    return (replace(alert, text=text, words=words), "") if text else (alert, f"{FIELD} renders to an empty text")


def _trimmed(rendered: Iterable[Piece]) -> tuple[Words, ...]:
    """The parts without blanks around the whole, cut at the maximum length."""
    text = "".join(piece.text for piece in rendered)
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    cut = end - start > TEXT_MAX
    return (
        *_between(rendered, start, start + TEXT_MAX - 1 if cut else end),
        *([Words("…", trusted=True)] if cut else []),
    )


def _between(rendered: Iterable[Piece], start: int, end: int) -> Iterator[Words]:
    at = 0
    for text, literal in rendered:
        if part := text[max(0, start - at) : max(0, end - at)]:
            yield Words(part, trusted=literal)
        at += len(text)


def values(alert: Alert) -> Mapping[str, Value]:
    """The names that a template may use, with their values."""
    about = alert.about
    return {
        "name": alert.name,
        "namespace": alert.namespace,
        "cluster": alert.cluster,
        "severity": alert.severity,
        "text": alert.text,
        "target": about.target,
        "oldImage": about.old_image,
        "newImage": about.new_image,
        "reason": about.reason,
        "annotations": about.annotations,
        "link": about.link,
    }


NAMES = frozenset(values(Alert("info", "", "", "", "", 0.0)))


@lru_cache(maxsize=COMPILED_MAX)
def _compile(template: str) -> Tree:
    return parse(template, NAMES | FUNCTIONS.keys() | EARLY)
