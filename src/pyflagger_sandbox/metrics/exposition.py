"""Parses the text format of metrics pages, line by line.

It returns a sample's name and labels as the raw text before the number. This text is the same in every scrape, so the
scraper parses it only once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .values import NAME, Labels, labels_of

_STRING = r'"(?:[^"\\]|\\.)*"'
_PAIR = rf"[a-zA-Z_][a-zA-Z0-9_]*\s*=\s*{_STRING}"
_SERIES = rf"[a-zA-Z_:][a-zA-Z0-9_:]*(?:\s*\{{\s*(?:{_PAIR}\s*(?:,\s*{_PAIR}\s*)*,?)?\s*\}})?"
_LINE = re.compile(rf"\s*({_SERIES})\s*(?<=[\s}}])(\S+)(?:\s+(-?[0-9.]+))?\s*(?:#.*)?")
_LABEL = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*({_STRING})")
_ESCAPE = re.compile(r'\\([\\"n])')


class Malformed(ValueError):
    """A line is not in the text format. The message quotes it."""


def samples(text: str) -> Iterator[tuple[str, float, float | None]]:
    """Each sample as (raw series text, value, timestamp as written or None). Raises Malformed."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line[0] == "#" or line.isspace():
            continue
        found = _LINE.fullmatch(line)
        try:
            if found is None:
                raise ValueError
            yield found[1], float(found[2]), None if found[3] is None else float(found[3])
        except ValueError as error:
            raise Malformed(f"line {number} is not a sample: {line[:120]!r}") from error


def series_labels(raw: str) -> Labels:
    """The labels of a raw series text, with its name as `__name__`."""
    name, brace, rest = raw.partition("{")
    pairs = [(found[1], _unquote(found[2])) for found in _LABEL.finditer(rest)] if brace else []
    return labels_of([*pairs, (NAME, name.strip())])


def _unquote(text: str) -> str:
    if "\\" not in text:
        return text[1:-1]
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text[1:-1])
