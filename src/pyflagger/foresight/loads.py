"""Load tests in the webhooks of a Canary: the requests that they send to the canary directly."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyflagger.api import names
from pyflagger.api.canary import Canary, HookType, Webhook

WORKERS = 50
"""Concurrent workers of `hey`, unless its command line says otherwise."""

_TOOL = re.compile(r"\bhey\b|\bflagger load\b")
_LIMIT = re.compile(r"(?:^|\s)-q[ =]?(\d+(?:\.\d+)?)")
_WORKERS = re.compile(r"(?:^|\s)-c[ =]?(\d+)")


def hooks(canary: Canary) -> Iterator[tuple[int, Webhook]]:
    """The rollout hooks that call the canary's Service with `hey`, with their index."""
    service = re.compile(rf"\b{re.escape(names.canary_service(canary))}\b")
    for at, hook in enumerate(canary.spec.analysis.webhooks if canary.spec.analysis else ()):
        command = hook.metadata.get("cmd", "")
        if hook.type is HookType.ROLLOUT and _TOOL.search(command) and service.search(command):
            yield at, hook


def most(hook: Webhook) -> float | None:
    """The most requests a second that its command line asks for; None if it sets no limit."""
    command = hook.metadata.get("cmd", "")
    limit, workers = _LIMIT.search(command), _WORKERS.search(command)
    return float(limit[1]) * (int(workers[1]) if workers else WORKERS) if limit else None


def total(canary: Canary) -> float:
    """The requests a second of all load tests with a limit."""
    return sum(most(hook) or 0.0 for _, hook in hooks(canary))
