"""podinfo's command line and environment, as far as the emulator supports them.

A flag overrides its variable (`PODINFO_UI_COLOR` for `--ui-color`), which overrides the default. The emulator logs
flags that it does not know, and ignores them. A tag may add a built-in fault (`3.1.3-errors`) to rehearse a failed
release. No flag disables it, so a change of the image is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyflagger.api import durations

_TRUE = frozenset({"1", "t", "true"})
_FALSE = frozenset({"0", "f", "false"})

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "errors": {"random_error": True},
    "slow": {"random_delay": True, "random_delay_min": 1, "random_delay_max": 3},
    "unready": {"unready": True},
    "unhealthy": {"unhealthy": True},
    "crash": {"crash": True},
}
"""Fault → its options. A tag that ends in `-FAULT` is this version of podinfo with the built-in fault."""


class BadFlag(ValueError):
    """podinfo does not start with this flag. The text says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """Port 0 disables a listener. `random_delay_min` and `_max` are in `random_delay_unit` (`s` or `ms`),
    `server_shutdown_timeout` is in seconds.
    """

    version: str = "0.0.0"
    port: int = 9898
    port_metrics: int = 0
    grpc_port: int = 0
    level: str = "info"
    ui_color: str = "#34577c"
    ui_message: str = ""
    ui_logo: str = ""
    random_delay: bool = False
    random_delay_unit: str = "s"
    random_delay_min: int = 0
    random_delay_max: int = 5
    random_error: bool = False
    unhealthy: bool = False
    unready: bool = False
    server_shutdown_timeout: float = 5.0
    crash: bool = False
    unknown: tuple[str, ...] = field(default=())


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError(f"{text!r} is not a boolean")


_READ: Mapping[str, Callable[[str], Any]] = {
    "port": int,
    "port_metrics": int,
    "grpc_port": int,
    "level": str,
    "ui_color": str,
    "ui_message": str,
    "ui_logo": str,
    "random_delay": _boolean,
    "random_delay_unit": str,
    "random_delay_min": int,
    "random_delay_max": int,
    "random_error": _boolean,
    "unhealthy": _boolean,
    "unready": _boolean,
    "server_shutdown_timeout": durations.parse,
}
_WITHOUT_EFFECT = frozenset(
    (
        *("backend_url", "cache_server", "cert_path", "config", "config_path", "data_path", "grpc_service_name", "h2c"),
        *("host", "http_client_timeout", "http_server_timeout", "otel_service_name", "prefix", "secure_port"),
        *("stress_cpu", "stress_memory", "ui_path"),
    )
)


def parse(argv: Sequence[str], environ: Mapping[str, str], tag: str) -> Options:
    """The options, from the arguments without the program's name. Raises BadFlag."""
    version, _, fault = tag.rpartition("-")
    values: dict[str, Any] = {"version": tag or "0.0.0"}
    for name in _READ:
        if text := environ.get(f"PODINFO_{name.upper()}"):
            values[name] = _read(name, text)
    unknown = []
    for name, text in _flags(argv):
        if name in _READ:
            values[name] = _read(name, text)
        elif name not in _WITHOUT_EFFECT:
            unknown.append(name.replace("_", "-"))
    if version:
        values |= FAULTS.get(fault, {})
    values.setdefault("ui_message", f"greetings from podinfo v{values['version']}")
    return _checked(Options(**values, unknown=tuple(unknown)))


def _flags(argv: Sequence[str]) -> list[tuple[str, str]]:
    """(name, value) pairs. A flag without a value is `true`. Skips words that are not flags."""
    found = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            continue
        name, equals, text = word.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if not equals:
            takes_next = _READ.get(name, str) is not _boolean and words and not words[0].startswith("-")
            text = words.pop(0) if takes_next else "true"
        found.append((name, text))
    return found


def _read(name: str, text: str) -> Any:
    try:
        return _READ[name](text)
    except ValueError as error:
        raise BadFlag(f'invalid argument "{text}" for "--{name.replace("_", "-")}" flag: {error}') from None


def _checked(options: Options) -> Options:
    if options.random_delay_max < options.random_delay_min:
        raise BadFlag("`--random-delay-max` should be greater than `--random-delay-min`")
    if options.random_delay_unit not in ("s", "ms"):
        raise BadFlag("`random-delay-unit` accepted values are: s|ms")
    return options
