"""Validates AlertProviders before an alert is due. Called by `flagger lint`."""

from __future__ import annotations

from collections.abc import Iterator

from pyflagger.alerts import wording
from pyflagger.alerts.base import AlertError
from pyflagger.alerts.registry import check_address, check_proxy, notifier_for
from pyflagger.api.canary import AlertProvider
from pyflagger.api.facts import Fault, Problem
from pyflagger.gotemplate.errors import TemplateError


def provider_problems(provider: AlertProvider) -> Iterator[Problem]:
    """Problems of an AlertProvider: unknown type, invalid address or template. Its Secret is not known here."""
    factory = notifier_for(provider.spec.type)
    if isinstance(factory, Problem):
        yield factory
    kind, address = provider.spec.type, provider.spec.address.strip()
    try:
        check_proxy(kind, provider.spec.proxy)
    except AlertError as error:
        yield Problem(Fault.MANIFEST, error.text, error.todo, "spec.proxy")
    try:
        if address:
            check_address(kind, address)
    except AlertError as error:
        todo = error.todo if kind == "email" else "Set it to the URL of the receiver."
        yield Problem(Fault.MANIFEST, error.text, todo, "spec.address")
    try:
        wording.check(provider.spec.template)
    except TemplateError as error:
        yield Problem(Fault.MANIFEST, f"{wording.FIELD} cannot be read: {error}", wording.ADVICE, wording.FIELD)
