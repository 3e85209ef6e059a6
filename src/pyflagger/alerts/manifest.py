"""Validates AlertProviders before an alert is due. Called by `flagger lint`."""

from __future__ import annotations

from collections.abc import Iterator

from pyflagger.alerts.base import AlertError, parsed
from pyflagger.alerts.registry import notifier_for
from pyflagger.api.canary import AlertProvider
from pyflagger.api.facts import Fault, Problem


def provider_problems(provider: AlertProvider) -> Iterator[Problem]:
    """Problems of an AlertProvider: unknown type, invalid address. Its Secret is not known here."""
    factory = notifier_for(provider.spec.type)
    if isinstance(factory, Problem):
        yield factory
    address = provider.spec.address.strip()
    if address:
        try:
            parsed(address)
        except AlertError as error:
            todo = "Set it to the URL of the receiver."
            yield Problem(Fault.MANIFEST, error.text, todo, "spec.address")
