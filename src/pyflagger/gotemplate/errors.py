"""Errors and limits of templates."""

from __future__ import annotations

SOURCE_MAX = 64 * 1024
OUTPUT_MAX = 64 * 1024
STEPS_MAX = 10_000
DEPTH_MAX = 50
WORK_MAX = 4 << 20
"""Total characters of function inputs and outputs in one rendering, which bounds its time and memory."""

INTEGER_MAX = 2**63


class TemplateError(ValueError):
    """A template cannot be parsed or rendered. The text begins with `line:column`."""

    def __init__(self, source: str, at: int, text: str) -> None:
        line = source.count("\n", 0, at) + 1
        column = at - (source.rfind("\n", 0, at) + 1) + 1
        super().__init__(f"{line}:{column}: {text}")


class Wrong(Exception):
    """A value is invalid. The caller adds the place and raises a TemplateError."""
