"""Text into tokens: plain text outside of `{{ }}`, words inside. Trim markers and comments end here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pyflagger.gotemplate.errors import SOURCE_MAX, TemplateError

_SPACE = " \t\r\n"
_LEFT, _RIGHT = "{{", "}}"

# Order matters: a declaration before a colon, a field before a dot, a number before a sign.
_WORDS = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:[^'\\\n]|\\.)*')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.]))
    | (?P<field>\.[^\W\d]\w*)
    | (?P<variable>\$\w*)
    | (?P<name>[^\W\d]\w*)
    | (?P<mark>:=|[=|(),.])
    """,
    re.VERBOSE,
)
_GLUED = re.compile(r"[^\s.,|:=()}]")
_ENDS_NEED_A_BREAK = frozenset({"field", "variable", "name", "string", "raw"})


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is text, open, close, end, or a group of the word pattern; `at` is its offset."""

    kind: str
    text: str
    at: int


def tokens(source: str) -> list[Token]:
    """All tokens of a template, an `end` last. Raises TemplateError."""
    if len(source) > SOURCE_MAX:
        raise TemplateError(source, 0, f"the template is longer than {SOURCE_MAX} characters")
    return list(_scan(source))


def _scan(source: str) -> Iterator[Token]:
    at, trim = 0, False
    while True:
        left = source.find(_LEFT, at)
        text = source[at:] if left < 0 else source[at:left]
        if trim:
            text = text.lstrip(_SPACE)
        if left < 0:
            yield from _text(text, at)
            yield Token("end", "", len(source))
            return
        inside = left + len(_LEFT)
        if source[inside : inside + 1] == "-" and source[inside + 1 : inside + 2] in tuple(_SPACE):
            text, inside = text.rstrip(_SPACE), inside + 2
        yield from _text(text, at)
        found: list[Token] = []
        if source.startswith("/*", inside):
            at, trim = _comment(source, inside)
        else:
            at, trim = _action(source, inside, found)
            yield Token("open", _LEFT, left)
            yield from found
            yield Token("close", _RIGHT, at - len(_RIGHT))


def _text(text: str, at: int) -> Iterator[Token]:
    if text:
        yield Token("text", text, at)


def _comment(source: str, start: int) -> tuple[int, bool]:
    end = source.find("*/", start + 2)
    if end < 0:
        raise TemplateError(source, start, "unclosed comment")
    closed = _closing(source, end + 2)
    if closed is None:
        raise TemplateError(source, start, "comment ends before closing delimiter")
    return closed


def _closing(source: str, at: int) -> tuple[int, bool] | None:
    """The offset after `}}` (or ` -}}`) and whether text after it is trimmed; None when no action ends here."""
    if source.startswith(_RIGHT, at):
        return at + len(_RIGHT), False
    if source[at : at + 1] in tuple(_SPACE) and source.startswith("-" + _RIGHT, at + 1):
        return at + 2 + len(_RIGHT), True
    return None


def _action(source: str, at: int, found: list[Token]) -> tuple[int, bool]:
    while True:
        closed = _closing(source, at)
        if closed is not None:
            return closed
        if at >= len(source):
            raise TemplateError(source, at, "unclosed action")
        word = _WORDS.match(source, at)
        if word is None:
            raise TemplateError(source, at, f"unexpected {source[at]!r} in an action")
        kind = word.lastgroup or ""
        if kind in _ENDS_NEED_A_BREAK and _GLUED.match(source, word.end()):
            raise TemplateError(source, word.end(), f"unexpected {source[word.end()]!r} after {word[0]!r}")
        at = _take(source, word, kind, found)


def _take(source: str, word: re.Match[str], kind: str, found: list[Token]) -> int:
    if kind != "space":
        found.append(Token(kind, word[0], word.start()))
        return word.end()
    # The last blank belongs to a trim marker, if one follows.
    return (
        word.end() - 1 if source.startswith("-" + _RIGHT, word.end()) and word.end() - word.start() > 1 else word.end()
    )
