"""The receivers of a canary's alerts: the AlertProviders of its analysis, or the one of the flags.

Every attempt reads the AlertProvider and its Secret again, so that a rotated Secret takes effect immediately.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from pyflagger.alerts.base import SEVERITIES, AlertError, Mailer, Notifier, Settings, Severity
from pyflagger.alerts.email import WITHOUT_TLS
from pyflagger.alerts.registry import check_proxy, notifier_for
from pyflagger.api.canary import AlertProvider, Canary
from pyflagger.api.facts import Problem
from pyflagger.api.parse import Invalid, parse_alert_provider
from pyflagger.kube.resources import ALERT_PROVIDERS
from pyflagger.objects import Obj, Ref
from pyflagger.operator.options import Options
from pyflagger.plugins import PluginFailed, answered
from pyflagger.wire import SECRET_MIN

ReadSecret: TypeAlias = Callable[[str, str], Awaitable[Mapping[str, bytes] | Problem | None]]
"""The values of a Secret by namespace and name. None: it does not exist."""

SEGMENT_MIN = 8
"""Minimum length of a part of a URL's path that may be a secret."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One receiver. `provider` is None for the one of the flags."""

    title: str
    severity: Severity = "info"
    provider: Ref | None = None

    def wants(self, severity: Severity) -> bool:
        """Whether it receives alerts of this severity."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.severity)


@dataclass(frozen=True, slots=True)
class Reached:
    """A receiver that can be sent to. No text may contain one of the `secrets`. `template`: of its texts, or empty."""

    notifier: Notifier | Mailer
    proxy: str
    secrets: frozenset[str]
    template: str = ""


class Receivers:
    """Finds receivers and makes their notifiers."""

    def __init__(self, options: Options, provider: Callable[[Ref], Obj | None], secret: ReadSecret) -> None:
        """`provider` returns an AlertProvider, or None if it does not exist."""
        self._provider, self._secret = provider, secret
        self._of_flags = flagged(options)

    def of(self, canary: Canary) -> tuple[Receiver, ...]:
        """The receivers of a canary, in order. Those of its analysis replace the one of the flags."""
        alerts = canary.spec.analysis.alerts if canary.spec.analysis else ()
        if not alerts:
            return (Receiver(self._of_flags[0]),) if self._of_flags else ()
        own = canary.metadata.namespace
        refs = [(rule.severity, rule.provider_ref.namespace or own, rule.provider_ref.name) for rule in alerts]
        return tuple(dict.fromkeys(provided(space, name, severity) for severity, space, name in refs))

    def kind(self, receiver: Receiver) -> str:
        """The type of a receiver, for metrics: `unknown` if its AlertProvider cannot be read."""
        if receiver.provider is None:
            return self._of_flags[1] if self._of_flags else "unknown"
        try:
            return self._read(receiver.provider).spec.type
        except AlertError:
            return "unknown"

    async def reach(self, receiver: Receiver) -> Reached:
        """The notifier of a receiver, with fresh settings. Raises AlertError."""
        if receiver.provider is None:
            if self._of_flags is None:
                raise AlertError("misconfigured", "there is no -slack-url and no -msteams-url")
            _, kind, settings, proxy = self._of_flags
            return await _reached(kind, settings, proxy)
        found = self._read(receiver.provider)
        settings = await self._settings(found)
        return replace(await _reached(found.spec.type, settings, found.spec.proxy), template=found.spec.template)

    def _read(self, ref: Ref) -> AlertProvider:
        raw = self._provider(ref)
        if raw is None:
            todo = "Create the AlertProvider, or correct providerRef in spec.analysis.alerts of the Canary."
            raise AlertError("misconfigured", f"AlertProvider {ref.name}.{ref.namespace} not found", todo)
        try:
            return parse_alert_provider(raw)
        except Invalid as invalid:
            raise _misconfigured(invalid.problems[0]) from invalid

    async def _settings(self, provider: AlertProvider) -> Settings:
        spec, namespace = provider.spec, provider.metadata.namespace
        address, token = spec.address.strip(), ""
        if spec.secret_ref is not None:
            found = await self._secret(namespace, spec.secret_ref.name)
            if found is None:
                todo = f"Create the Secret in namespace {namespace}, with the keys address and token."
                raise AlertError("misconfigured", f"Secret {spec.secret_ref.name} not found", todo)
            if isinstance(found, Problem):
                raise AlertError("failed", found.text, found.todo)
            # Never spec.address: its author could have the token of any Secret of the namespace sent there.
            address = _text(found, "address")
            token = _text(found, "token")
        return Settings(address, token, spec.channel, spec.username)


def provided(namespace: str, name: str, severity: Severity = "info") -> Receiver:
    """The receiver of an AlertProvider."""
    return Receiver(f"AlertProvider {name}.{namespace}", severity, ALERT_PROVIDERS.ref(namespace, name))


def flagged(options: Options) -> tuple[str, str, Settings, str] | None:
    """Title, type, settings and proxy of the receiver of the flags. None without one. Microsoft Teams comes first."""
    if options.msteams_url:
        return "-msteams-url", "msteams", Settings(options.msteams_url.strip()), options.msteams_proxy_url
    if options.slack_url:
        settings = Settings(
            options.slack_url.strip(), options.slack_token.strip(), options.slack_channel, options.slack_user
        )
        return "-slack-url", "slack", settings, options.slack_proxy_url
    return None


async def flag_problems(options: Options) -> tuple[str, ...]:
    """Problems of the receiver of the flags, for the start of the operator. The texts contain no secret."""
    found = flagged(options)
    if found is None:
        return ()
    both = (
        ("-msteams-url replaces -slack-url: Slack gets no alerts",) if options.msteams_url and options.slack_url else ()
    )
    try:
        await _reached(*found[1:])
    except AlertError as error:
        return (*both, f"{found[0]}: {error.text}. {error.todo}")
    return both


async def _reached(kind: str, settings: Settings, proxy: str) -> Reached:
    factory = notifier_for(kind)
    if isinstance(factory, Problem):
        raise _misconfigured(factory)
    check_proxy(kind, proxy)
    try:
        notifier = await answered(partial(factory, settings))
    except PluginFailed as failed:
        raise AlertError("failed", failed.problem.text, failed.problem.todo) from failed
    proxy = proxy if not proxy or "://" in proxy else f"http://{proxy}"
    return Reached(notifier, proxy, secrets_in(settings, proxy))


def _misconfigured(problem: Problem) -> AlertError:
    return AlertError("misconfigured", problem.text, problem.todo)


def secrets_in(settings: Settings, proxy: str = "") -> frozenset[str]:
    """What no text may contain: the token, and from URLs the login, the path with its long parts, and the query."""
    found = {settings.token}
    for url in (settings.address, proxy):
        try:
            parts = urlsplit(url)
        except ValueError:
            found.add(url)
            continue
        found |= {parts.netloc.rpartition("@")[0], parts.password or "", parts.path, unquote(parts.path)}
        found |= {part for part in parts.path.split("/") if len(part) >= SEGMENT_MIN}
        if parts.query != WITHOUT_TLS:
            found |= {parts.query, *(pair.partition("=")[2] for pair in parts.query.split("&"))}
    return frozenset(text for text in found if len(text) >= SECRET_MIN)


def _text(secret: Mapping[str, bytes], key: str) -> str:
    """A value as text, without surrounding white space. Raises AlertError if it is not one line of text."""
    try:
        text = secret.get(key, b"").decode().strip()
    except UnicodeDecodeError:
        text = "\0"
    if not text.isprintable():
        todo = "Store the value as one line of text."
        raise AlertError("misconfigured", f"the key {key} of the Secret is not plain text", todo)
    return text
