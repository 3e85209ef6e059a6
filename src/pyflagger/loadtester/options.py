"""The load tester's command line: one table, with the reference's names and defaults.

The flags from `-host` on are additions. With their defaults the load tester behaves like the reference's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from pyflagger import goflags, logs
from pyflagger.goflags import BadFlag, Flag, boolean, duration, integer, one_of, port


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None


TOKEN_VARIABLE = "LOADTESTER_TOKEN"
"""Never passed on to commands."""

FLAGS: tuple[Flag, ...] = (
    Flag("port", 9090, "port to serve on", port),
    Flag("log-level", "debug", "debug, info, warning, error, fatal or panic", one_of(*logs.LEVELS)),
    Flag("timeout", 3600.0, "time limit of a command", duration),
    Flag("namespace-regexp", None, "serve only canaries of namespaces that contain a match", _pattern),
    Flag("zap-encoding", "json", "log format: json or console", one_of("json", "console")),
    Flag("zap-replace-globals", False, "accepted for compatibility", boolean),
    Flag("host", "", "address to serve on; empty: all addresses"),
    Flag("namespace-regexp-full-match", False, "-namespace-regexp must match the whole namespace", boolean),
    Flag("token", "", "bearer token (or basic-auth password) that callers must send", env=TOKEN_VARIABLE),
    Flag("kubernetes-auth", False, "accept service account tokens, which the API server reviews", boolean),
    Flag("audience", "flagger-loadtester", "audience that a service account token must have"),
    Flag("allowed-accounts", (), "service accounts (namespace/name) that may act for every canary", _words),
    Flag("own-namespace", False, "every service account may act for canaries of its own namespace", boolean),
    Flag("allowed-types", (), "comma-separated task types that may run; empty: all", _words),
    Flag("allowed-commands", None, "run only commands that match this expression as a whole", _pattern),
    Flag("gate-auto-close", False, "close a gate after it let one check pass", boolean),
    Flag("gate-per-checksum", False, "an open gate lets only one revision pass, the first that asks", boolean),
    Flag("max-tasks", 100, "maximum number of concurrent commands", integer),
    Flag("max-output", 1 << 20, "bytes of a command's output to keep, from its end", integer),
)


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line. `timeout` in seconds."""

    port: int = 9090
    log_level: str = "debug"
    timeout: float = 3600.0
    namespace_regexp: re.Pattern[str] | None = None
    zap_encoding: str = "json"
    host: str = ""
    namespace_regexp_full_match: bool = False
    token: str = ""
    kubernetes_auth: bool = False
    audience: str = "flagger-loadtester"
    allowed_accounts: tuple[str, ...] = ()
    own_namespace: bool = False
    allowed_types: tuple[str, ...] = ()
    allowed_commands: re.Pattern[str] | None = None
    gate_auto_close: bool = False
    gate_per_checksum: bool = False
    max_tasks: int = 100
    max_output: int = 1 << 20

    def admits(self, namespace: str) -> bool:
        """Whether canaries of this namespace are served."""
        if self.namespace_regexp is None:
            return True
        match = self.namespace_regexp.fullmatch if self.namespace_regexp_full_match else self.namespace_regexp.search
        return match(namespace) is not None


def read_options(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Parse a command line. Raises BadFlag."""
    values = goflags.parse(FLAGS, argv, environ)
    if values["timeout"] <= 0:
        raise BadFlag("invalid value for -timeout: must be greater than zero")
    return Options(**{field.name: values[field.name] for field in fields(Options)})
