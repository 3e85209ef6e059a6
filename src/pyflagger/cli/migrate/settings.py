"""What becomes of the operator's settings: its flags, its variables and the values of its Helm chart.

The operator's own parser judges each flag, so this module has no second list of flags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from importlib import resources
from typing import Any

from pyflagger.cli.migrate.findings import Fate, Finding
from pyflagger.goflags import BadFlag, Flag, boolean
from pyflagger.operator.options import FLAGS, IGNORED, Options, parse

HONOURED = frozenset(field.name for field in fields(Options))
VALUES_FILE = "values.txt"
"""The values that charts/flagger knows, one path a line. A test compares it with the chart."""

FROM_ELSEWHERE = "its value comes from a Secret, a ConfigMap or a field, which this command does not read"


def arguments(args: Sequence[str]) -> tuple[Finding, ...]:
    """A finding for each flag of a command line."""
    return tuple(_flag(word) for word in joined(args))


def joined(args: Sequence[str]) -> Iterator[str]:
    """Each flag with its value, in one word. Kubernetes does not expand `$(NAME)` in the words of this command."""
    switches = {flag.name for flag in (*FLAGS, *IGNORED) if flag.read is boolean}
    words = list(args)
    while words:
        word = words.pop(0)
        name = word.lstrip("-")
        takes = "=" not in word and name not in switches and words and not words[0].startswith("-")
        yield f"{word}={words.pop(0)}" if takes else word


def options(args: Iterable[str]) -> Options:
    """The options of a command line, without the flags that flagger refuses."""
    return parse([word for word in args if _flag(word).fate is not Fate.REFUSED], {})


def _flag(word: str) -> Finding:
    name, _, value = word.lstrip("-").partition("=")
    try:
        parse([word], {})
    except BadFlag as error:
        return Finding(Fate.REFUSED, f"-{name}", f"{_shown(error, value)}. Remove or change it")
    return _judged(_known(name), f"-{name}")


def _shown(error: BadFlag, value: str) -> str:
    """The text of an error, without a value that may be a secret."""
    return str(error).replace(value, "…") if "://" in value else str(error)


@cache
def _known(name: str) -> Flag:
    return next(flag for flag in (*FLAGS, *IGNORED) if flag.name == name)


def _judged(flag: Flag, about: str) -> Finding:
    honoured = flag.attribute in HONOURED
    text = "has the same effect" if honoured else flag.help
    return Finding(Fate.SAME if honoured else Fate.IGNORED, about, text)


def variables(env: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """A finding for each environment variable that the operator reads."""
    by_name = {flag.env: flag for flag in FLAGS if flag.env}
    return tuple(_variable(by_name[one["name"]], one) for one in env if one["name"] in by_name)


def _variable(flag: Flag, one: Mapping[str, Any]) -> Finding:
    about = str(one["name"])
    value = str(one.get("value") or "x")
    try:
        parse([], {about: value if flag.read is str or "value" in one else ""})
    except BadFlag as error:
        return Finding(Fate.REFUSED, about, _shown(error, value))
    judged = _judged(flag, about)
    text = judged.text if "value" in one else f"{judged.text}; {FROM_ELSEWHERE}"
    return Finding(judged.fate, about, text)


# Helm ---------------------------------------------------------------------------------------------------------------


def helm(values: Mapping[str, Any]) -> tuple[Finding, ...]:
    """A finding for each value that charts/flagger does not know."""
    known = known_values()
    unknown = (path for path in paths(values) if not _is_known(path, known))
    told = "charts/flagger does not have this value and renders nothing for it. Remove it"
    return tuple(Finding(Fate.REFUSED, f"value {path}", told) for path in unknown)


@cache
def known_values() -> frozenset[str]:
    """The paths of charts/flagger. A path that ends with `.*` has keys of the user."""
    return frozenset(resources.files(__package__).joinpath(VALUES_FILE).read_text().split())


def paths(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The path of each value that is set."""
    for key, value in values.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from paths(value, f"{path}.")
        else:
            yield path


def _is_known(path: str, known: frozenset[str]) -> bool:
    parts = path.split(".")
    above = (".".join(parts[:end]) for end in range(1, len(parts)))
    own = any(f"{each}.*" in known for each in above)
    return path in known or own or any(one.startswith(f"{path}.") for one in known)
