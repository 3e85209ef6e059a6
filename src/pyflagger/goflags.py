"""Command lines in the style of Go's flag package: `-name=value`, `--name=value`, `-name value`.

The reference's charts and overlays use long options with a single dash. The services that replace its binaries
(`flagger run`, `flagger loadtester`) accept the same. Their option tables call this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyflagger.api import durations

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class BadFlag(ValueError):
    """The command line is invalid. The text names the flag and the reason."""


def boolean(text: str) -> bool:
    """Parse Go's text of a bool. Raises ValueError."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("is not a boolean (use true or false)")


def integer(text: str) -> int:
    """Parse an integer. Raises ValueError."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("is not a whole number") from None


def duration(text: str) -> float:
    """Parse a Go duration such as `10s` or `1m30s`, to seconds. Raises ValueError."""
    try:
        return durations.parse(text)
    except ValueError:
        raise ValueError("is not a duration such as 10s or 1m30s") from None


def port(text: str) -> int:
    """Parse a port to listen on; 0 means any free port. Raises ValueError."""
    number = integer(text)
    if not 0 <= number <= 65535:
        raise ValueError("is not a port (use 0 to 65535)")
    return number


def one_of(*words: str) -> Callable[[str], str]:
    """A parser that accepts one of `words`, in upper or lower case."""

    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"is not supported (use {', '.join(words[:-1])} or {words[-1]})")
        return text.lower()

    return read


@dataclass(frozen=True, slots=True)
class Flag:
    """One option: name without dashes, default, help text, parser, and the environment variable that overrides it."""

    name: str
    default: Any
    help: str
    read: Callable[[str], Any] = str
    env: str = ""

    @property
    def attribute(self) -> str:
        """The name of the value in the result."""
        return self.name.replace("-", "_")


def parse(flags: Sequence[Flag], argv: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """Parse a command line to values by attribute name. Raises BadFlag.

    A non-empty environment variable overrides its flag.
    """
    known = {flag.name: flag for flag in flags}
    values = {flag.attribute: flag.default for flag in flags}
    words = list(argv)
    while words:
        flag, text = _take(words, known)
        values[flag.attribute] = _read(flag, text, f"-{flag.name}")
    for flag in flags:
        if flag.env and environ.get(flag.env):
            values[flag.attribute] = _read(flag, environ[flag.env], flag.env)
    return values


def given(flags: Sequence[Flag], argv: Sequence[str]) -> tuple[str, ...]:
    """The names of the flags on a command line that `parse` accepts, in order, each once."""
    known = {flag.name: flag for flag in flags}
    words, names = list(argv), []
    while words:
        names.append(_take(words, known)[0].name)
    return tuple(dict.fromkeys(names))


def _take(words: list[str], known: Mapping[str, Flag]) -> tuple[Flag, str]:
    word = words.pop(0)
    if not word.startswith("-") or word.strip("-") == "":
        raise BadFlag(f"unexpected argument {word!r}: write flags as -name=value")
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


def shown(flag: Flag) -> str:
    """A flag's default as text in the flag's own format; empty for no default and for false."""
    if flag.default in ("", False, None, ()):
        return ""
    if flag.read is duration:
        return durations.show(flag.default)
    if isinstance(flag.default, tuple):
        return ",".join(flag.default)
    if isinstance(flag.default, bool):
        return "true"
    return f"{flag.default:g}" if isinstance(flag.default, float) else str(flag.default)


def asks_for_help(argv: Sequence[str]) -> bool:
    """Whether the command line contains `-h` or `-help`."""
    return any(word in ("-h", "-help", "--help") for word in argv)


def usage(program: str, flags: Sequence[Flag]) -> str:
    """The help text: each flag with its help and default."""
    lines = [f"Usage of {program}:"]
    for flag in flags:
        default = f" (default {shown(flag)})" if shown(flag) else ""
        env = f" [env {flag.env}]" if flag.env else ""
        lines.append(f"  -{flag.name}\n        {flag.help}{default}{env}")
    return "\n".join(lines)
