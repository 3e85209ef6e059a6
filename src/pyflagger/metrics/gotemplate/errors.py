"""What can be wrong with a template, and the bounds that it must keep."""

from __future__ import annotations

SOURCE_MAX = 64 * 1024
OUTPUT_MAX = 64 * 1024
STEPS_MAX = 10_000
DEPTH_MAX = 50
WORK_MAX = 4 << 20
"""Characters that functions may take in and give out altogether: what bounds time and memory of a rendering."""

INTEGER_MAX = 2**63


class TemplateError(ValueError):
    """A template that cannot be read or rendered; the text begins with `line:column`."""

    def __init__(self, source: str, at: int, text: str) -> None:
        line = source.count("\n", 0, at) + 1
        column = at - (source.rfind("\n", 0, at) + 1) + 1
        super().__init__(f"{line}:{column}: {text}")


class Wrong(Exception):
    """A value that does not fit, before its place is known; becomes a TemplateError."""
