"""Command lines in the manner of Go's flag package: `-name=value`, `--name=value`, `-name value`.

Charts and overlays of the reference use single-dash long options, so the services that replace its binaries
(`flagger run`, `flagger loadtester`) take the same. Called by the services' option tables; knows no option itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyflagger.api import durations

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class BadFlag(ValueError):
    """The command line cannot be used; the text says which flag and why."""


def boolean(text: str) -> bool:
    """Go's bool text. Raises ValueError."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("is not a boolean (use true or false)")


def integer(text: str) -> int:
    """A whole number. Raises ValueError."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("is not a whole number") from None


def duration(text: str) -> float:
    """A Go duration such as `10s` or `1m30s`, in seconds. Raises ValueError."""
    try:
        return durations.parse(text)
    except ValueError:
        raise ValueError("is not a duration such as 10s or 1m30s") from None


@dataclass(frozen=True, slots=True)
class Flag:
    """One option: name without dashes, default, how to read it, what it does, and the variable that overrides it."""

    name: str
    default: Any
    help: str
    read: Callable[[str], Any] = str
    env: str = ""

    @property
    def attribute(self) -> str:
        """The name under which the value is found."""
        return self.name.replace("-", "_")


def parse(flags: Sequence[Flag], argv: Sequence[str], environ: Mapping[str, str], bare: str = "") -> dict[str, Any]:
    """Values by attribute name; a non-empty environment variable wins over the flag. Raises BadFlag.

    `bare` names an argument that may stand alone, once, before, between or behind the flags; "" when it does not.
    """
    known = {flag.name: flag for flag in flags}
    values = {flag.attribute: flag.default for flag in flags} | ({bare: ""} if bare else {})
    words = list(argv)
    while words:
        if bare and not values[bare] and not words[0].startswith("-"):
            values[bare] = words.pop(0)
            continue
        flag, text = _take(words, known)
        values[flag.attribute] = _read(flag, text, f"-{flag.name}")
    for flag in flags:
        if flag.env and environ.get(flag.env):
            values[flag.attribute] = _read(flag, environ[flag.env], flag.env)
    return values


def _take(words: list[str], known: Mapping[str, Flag]) -> tuple[Flag, str]:
    word = words.pop(0)
    if not word.startswith("-") or word.strip("-") == "":
        raise BadFlag(f"unexpected argument {word!r}: flags look like -name=value")
    name, equals, text = word.removeprefix("-").removeprefix("-").partition("=")
    if name not in known:
        raise BadFlag(f"flag provided but not defined: -{name}")
    flag = known[name]
    if equals:
        return flag, text
    if flag.read is boolean:
        return flag, "true"
    if not words:
        raise BadFlag(f"flag needs a value: -{name}")
    return flag, words.pop(0)


def _read(flag: Flag, text: str, source: str) -> Any:
    try:
        return flag.read(text)
    except ValueError as error:
        raise BadFlag(f"invalid value {text!r} for {source}: {error}") from None


def usage(program: str, flags: Sequence[Flag]) -> str:
    """The help text: a line a flag with its default."""
    lines = [f"Usage of {program}:"]
    for flag in flags:
        default = f" (default {flag.default})" if flag.default not in ("", False, None) else ""
        env = f" [env {flag.env}]" if flag.env else ""
        lines.append(f"  -{flag.name}\n        {flag.help}{default}{env}")
    return "\n".join(lines)
