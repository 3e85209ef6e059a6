"""Warnings about settings of a Canary that may work differently than expected. They never stop a release.

Called by the command line. `api.parse.validate` refuses settings that cannot work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from pyflagger.api import durations
from pyflagger.api.canary import Analysis, Canary, HookType
from pyflagger.api.defaults import max_weight
from pyflagger.api.facts import Capabilities, Fault, Problem
from pyflagger.core import reasons
from pyflagger.core.verdict import BUILTIN
from pyflagger.core.view import KUBERNETES

CHATS: Mapping[str, str] = {
    "hooks.slack.com": "Slack",
    "webhook.office.com": "Microsoft Teams",
    "discord.com": "Discord",
    "chat.googleapis.com": "Google Chat",
}
"""Domains whose webhooks read messages of their own form only."""

UNSCALED = ("DaemonSet", "Service")


def lint(canary: Canary, *, provider: str, capabilities: Capabilities, interval: float) -> tuple[Problem, ...]:
    """All warnings of a valid Canary. `interval` is the effective one, in seconds."""
    analysis = canary.spec.analysis
    scaling = (*_scaling(canary), *_deletion(canary, provider))
    if analysis is None or canary.spec.skip_analysis:
        return scaling
    return (
        *scaling,
        *_provider(analysis, provider, capabilities),
        *_metrics(analysis, interval),
        *_hooks(analysis, interval),
        *_weights(analysis),
    )


def can_mirror(analysis: Analysis, capabilities: Capabilities) -> bool:
    """Whether the provider supports mirroring for this kind of analysis."""
    return capabilities.mirror if analysis.iterations > 0 else capabilities.mirror_steps


def _scaling(canary: Canary) -> Iterator[Problem]:
    target = canary.spec.target_ref
    if canary.spec.autoscaler_ref and target.kind in UNSCALED:
        text = f"A {target.kind} has no replicas: the autoscaler in spec.autoscalerRef has nothing to scale"
        yield Problem(Fault.MANIFEST, text, "Remove spec.autoscalerRef.", "spec.autoscalerRef")


def _deletion(canary: Canary, provider: str) -> Iterator[Problem]:
    """Objects that stay when the Canary is deleted."""
    if provider == "kuma" and not canary.spec.revert_on_deletion:
        text = "Without revertOnDeletion the cluster-scoped TrafficRoute is left behind when the Canary is deleted"
        yield Problem(Fault.MANIFEST, text, "Set it, or delete the TrafficRoute yourself.", "spec.revertOnDeletion")


def _provider(analysis: Analysis, provider: str, capabilities: Capabilities) -> Iterator[Problem]:
    if analysis.mirror and not can_mirror(analysis, capabilities):
        reason = reasons.mirror_unsupported(provider)
        yield Problem(Fault.MANIFEST, reason.text, reason.todo, "spec.analysis.mirror")
    if provider == KUBERNETES and analysis.match:
        yield Problem(Fault.MANIFEST, reasons.AB_UNSUPPORTED.text, "Remove it, or use a router.", "spec.analysis.match")
    if provider == KUBERNETES and analysis.iterations < 1:
        text = f"{reasons.STEPS_UNSUPPORTED.text}: flagger runs 10 iterations"
        yield Problem(Fault.MANIFEST, text, "Set spec.analysis.iterations.", "spec.analysis.iterations")


def _metrics(analysis: Analysis, interval: float) -> Iterator[Problem]:
    for at, metric in enumerate(analysis.metrics):
        path = f"spec.analysis.metrics[{at}]"
        both = [metric.name in BUILTIN, bool(metric.query), metric.template_ref is not None]
        if sum(both) > 1:
            text = f"Metric {metric.name} is checked {sum(both)} times: by its name, its query and its template"
            yield Problem(Fault.MANIFEST, text, "Rename it, or keep one of them.", path)
        if metric.threshold_range is None and not metric.threshold and metric.name != "request-success-rate":
            text = f"Metric {metric.name} has no threshold: every value over 0 fails"
            yield Problem(Fault.MANIFEST, text, "Set thresholdRange.", f"{path}.thresholdRange")
        rounds = _rounds(analysis)
        if metric.initial_delay and rounds and durations.parse(metric.initial_delay) >= rounds * interval:
            text = f"Metric {metric.name} is due after {metric.initial_delay}, and a release ends before that"
            yield Problem(Fault.MANIFEST, text, "Shorten initialDelay.", f"{path}.initialDelay")


def _rounds(analysis: Analysis) -> int:
    """The number of rounds of a release without failed checks; 0 if unknown."""
    if analysis.iterations > 0:
        return analysis.iterations + 1
    if analysis.step_weight > 0:
        return -(-max_weight(analysis) // analysis.step_weight) + 1
    return len(analysis.step_weights) and len(analysis.step_weights) + 1


def _hooks(analysis: Analysis, interval: float) -> Iterator[Problem]:
    longest = sum(hook.timeout_seconds for hook in analysis.webhooks if hook.type is HookType.ROLLOUT)
    if longest >= interval:
        text = f"Rollout hooks may take {longest:g} s, and an interval is {interval:g} s: rounds may be late"
        yield Problem(
            Fault.MANIFEST, text, "Shorten their timeouts, or lengthen the interval.", "spec.analysis.webhooks"
        )
    for at, hook in enumerate(analysis.webhooks):
        if chat := _chat(hook.url):
            text = f"Hook {hook.name} calls {chat}, which rejects the body that flagger sends to hooks"
            todo = "Remove the hook. Alert with an AlertProvider and spec.analysis.alerts."
            yield Problem(Fault.MANIFEST, text, todo, f"spec.analysis.webhooks[{at}].url")


def _chat(url: str) -> str:
    """The chat that a URL leads to, or empty."""
    host = urlsplit(url).hostname or ""
    return next((chat for domain, chat in CHATS.items() if f".{host}".endswith(f".{domain}")), "")


def _weights(analysis: Analysis) -> Iterator[Problem]:
    if list(analysis.step_weights) != sorted(set(analysis.step_weights)):
        yield Problem(Fault.MANIFEST, "stepWeights do not increase", "Sort them.", "spec.analysis.stepWeights")
    if analysis.step_weight and analysis.step_weights:
        text = "stepWeight and stepWeights are both set: flagger ignores stepWeights"
        yield Problem(Fault.MANIFEST, text, "Remove one of them.", "spec.analysis.stepWeights")
