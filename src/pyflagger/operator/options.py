"""The command-line flags of the operator in one table, with the reference's names and defaults.

`cli` builds `Options` from it, and a docs test checks that every flag is documented. Values of notifiers may be
secrets, so options are never logged as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from pyflagger import goflags, logs
from pyflagger.api.facts import Problem
from pyflagger.api.names import resolve_provider
from pyflagger.goflags import Flag, boolean, duration, integer, one_of, port
from pyflagger.routing.registry import router_for


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise ValueError("must name at least one label")
    return words


def _prefixes(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _urls(text: str) -> tuple[str, ...]:
    urls = _prefixes(text)
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("must be URLs such as http://flagger-loadtester.test/")
    return urls


def _url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("is not a URL such as http://prometheus:9090")
    return text


def _dashboard(text: str) -> str:
    """An address that people can open: as `--public-url` of the dashboard, and not of their own machine."""
    parts = urlsplit(text)
    if text and (parts.scheme != "https" or not HOST.fullmatch(parts.netloc) or parts.path.strip("/")):
        raise ValueError("is not the address of a dashboard such as https://flagger.example.com")
    if text and (parts.query or parts.fragment):
        raise ValueError("has more than a scheme, a host and a port")
    return text.rstrip("/")


def _provider(text: str) -> str:
    found = router_for(resolve_provider(text))
    if isinstance(found, Problem):
        raise ValueError(f"is not a known traffic provider. {found.todo.rstrip('.')}")
    return text


HISTORY_MAX = 50
HOST = re.compile(r"[\w.-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?", re.ASCII)
"""A host, perhaps with a port, that needs no escape anywhere."""


def _history(text: str) -> int:
    number = integer(text)
    if not 0 <= number <= HISTORY_MAX:
        raise ValueError(f"must be from 0 to {HISTORY_MAX}")
    return number


FLAGS: tuple[Flag, ...] = (
    Flag("kubeconfig", "", "path to a kubeconfig (default: in-cluster credentials, unless -master is set)"),
    Flag("master", "", "address of the API server; overrides the kubeconfig's"),
    Flag("kubeconfig-qps", 100.0, "accepted for compatibility; requests in flight are bounded instead", float),
    Flag("kubeconfig-burst", 250, "accepted for compatibility; requests in flight are bounded instead", integer),
    Flag("kubeconfig-service-mesh", "", "a second cluster for routing objects (rejected: not supported yet)"),
    Flag("metrics-server", "http://prometheus:9090", "base URL of Prometheus for built-in and inline checks", _url),
    Flag("control-loop-interval", 10.0, "accepted for compatibility; changes take effect immediately", duration),
    Flag("log-level", "debug", "debug, info, warning, error, fatal or panic", one_of(*logs.LEVELS)),
    Flag("port", 8080, "port of /healthz, /readyz and /metrics", port),
    Flag("slack-url", "", "Slack webhook for alerts of canaries without spec.analysis.alerts", env="SLACK_URL"),
    Flag("slack-token", "", "Slack bot token", env="SLACK_TOKEN"),
    Flag("slack-proxy-url", "", "proxy for Slack", env="SLACK_PROXY_URL"),
    Flag("slack-user", "flagger", "Slack user name of the messages", env="SLACK_USER"),
    Flag("slack-channel", "", "Slack channel; a webhook has one of its own", env="SLACK_CHANNEL"),
    Flag(
        "msteams-url",
        "",
        "Microsoft Teams webhook for alerts, takes precedence over Slack",
        env="MSTEAMS_URL",
    ),
    Flag("msteams-proxy-url", "", "proxy for Microsoft Teams", env="MSTEAMS_PROXY_URL"),
    Flag("event-webhook", "", "URL for all events of canaries without an event webhook", env="EVENT_WEBHOOK_URL"),
    Flag(
        "include-label-prefix", (), "key prefixes of labels to copy to primaries, comma separated; * for all", _prefixes
    ),
    Flag("threadiness", 2, "accepted for compatibility; every canary has its own worker", integer),
    Flag("zap-encoding", "json", "log format: json or console", one_of("json", "console")),
    Flag("zap-replace-globals", False, "accepted for compatibility", boolean),
    Flag("namespace", "", "watch this namespace only"),
    Flag("mesh-provider", "istio", "default traffic provider", _provider),
    Flag(
        "selector-labels",
        ("app", "name", "app.kubernetes.io/name"),
        "labels that may select a target's pods, in order of preference",
        _words,
    ),
    Flag("ingress-annotations-prefix", "nginx.ingress.kubernetes.io", "prefix of the ingress annotations"),
    Flag("ingress-class", "", "ingress class of generated objects, if the provider uses one"),
    Flag("enable-leader-election", False, "act only while holding the Lease", boolean),
    Flag(
        "leader-election-namespace",
        "",
        "namespace of the Lease without -namespace (default: POD_NAMESPACE or kube-system)",
    ),
    Flag("enable-config-tracking", True, "watch ConfigMaps and Secrets of targets", boolean),
    Flag("cluster-name", "", "name of this cluster in alerts"),
    Flag("dashboard-url", "", "address of flagger dashboard --in-cluster; alerts link to its pages", _dashboard),
    Flag("no-cross-namespace-refs", False, "reject references to other namespaces", boolean),
    Flag("hook-token-file", "", "file with a token for the webhooks of -hook-token-urls, read again when it rotates"),
    Flag("hook-token-urls", (), "URL prefixes of the webhooks that get the token, comma separated", _urls),
    Flag("version", False, "print the version and exit", boolean),
    Flag("idle-at-zero", False, "scale a target back to zero if it is scaled up while there is no release", boolean),
    Flag("release-history", 10, "records of releases to keep for each canary, 50 at most; 0 writes none", _history),
    Flag("publish-settings", True, "publish settings in ConfigMap flagger-operator of flagger's namespace", boolean),
    Flag("actions", True, "take actions of people (CanaryAction), such as pause and promote", boolean),
    Flag("min-interval", 10.0, "minimum analysis interval; shorter intervals are raised to it", duration),
)

IGNORED: tuple[Flag, ...] = tuple(
    Flag(name, "", "accepted for compatibility", boolean if is_switch else str)
    for name, is_switch in {
        "v": False,
        "vmodule": False,
        "logtostderr": True,
        "alsologtostderr": True,
        "stderrthreshold": False,
        "log_dir": False,
        "log_file": False,
        "log_file_max_size": False,
        "log_backtrace_at": False,
        "add_dir_header": True,
        "skip_headers": True,
        "skip_log_headers": True,
        "one_output": True,
        "legacy_stderr_threshold_behavior": True,
        "alsologtostderrthreshold": False,
    }.items()
)
"""The flags of klog, a logging library of Go programs."""

WITHOUT_EFFECT = frozenset(flag.name for flag in (*FLAGS, *IGNORED) if flag.help.startswith("accepted for compat"))


@dataclass(frozen=True, slots=True)
class Options:
    """The operator's settings. Durations are in seconds. FLAGS describes each setting."""

    kubeconfig: str = ""
    master: str = ""
    metrics_server: str = "http://prometheus:9090"
    log_level: str = "info"
    port: int = 8080
    slack_url: str = ""
    slack_token: str = ""
    slack_proxy_url: str = ""
    slack_user: str = "flagger"
    slack_channel: str = ""
    msteams_url: str = ""
    msteams_proxy_url: str = ""
    event_webhook: str = ""
    include_label_prefix: tuple[str, ...] = ()
    zap_encoding: str = "json"
    namespace: str = ""
    mesh_provider: str = "istio"
    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    ingress_annotations_prefix: str = "nginx.ingress.kubernetes.io"
    ingress_class: str = ""
    enable_leader_election: bool = False
    leader_election_namespace: str = ""
    enable_config_tracking: bool = True
    cluster_name: str = ""
    dashboard_url: str = ""
    no_cross_namespace_refs: bool = False
    hook_token_file: str = ""
    hook_token_urls: tuple[str, ...] = ()
    version: bool = False
    idle_at_zero: bool = False
    min_interval: float = 10.0
    release_history: int = 10
    publish_settings: bool = True
    actions: bool = True


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Options from a command line and the environment. Raises goflags.BadFlag."""
    values: dict[str, Any] = goflags.parse((*FLAGS, *IGNORED), argv, environ)
    if values["kubeconfig_service_mesh"]:
        raise goflags.BadFlag("-kubeconfig-service-mesh: flagger does not support a second cluster yet")
    return Options(**{field.name: values[field.name] for field in fields(Options)})


def without_effect(argv: Sequence[str]) -> tuple[str, ...]:
    """The names of the flags on a valid command line that flagger accepts and ignores."""
    return tuple(name for name in goflags.given((*FLAGS, *IGNORED), argv) if name in WITHOUT_EFFECT)


def usage() -> str:
    """The help text of `flagger run`."""
    return goflags.usage("flagger run", FLAGS)
