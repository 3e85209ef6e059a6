"""Which module routes for which provider name. A name that ends in `:` stands for every name that begins so."""

from __future__ import annotations

from pyflagger.api.facts import Fault, Problem
from pyflagger.routing.base import Router
from pyflagger.routing.kubernetes import Kubernetes
from pyflagger.routing.nginx import Nginx

PROVIDERS: dict[str, Router] = {"kubernetes": Kubernetes(), "nginx": Nginx()}


def known_providers() -> tuple[str, ...]:
    """Every name that can be given."""
    return tuple(sorted(PROVIDERS))


def router_for(provider: str) -> Router | Problem:
    """The module for a provider; a Problem that lists the known ones. Nothing is ever guessed."""
    for name, router in PROVIDERS.items():
        if provider == name or (name.endswith(":") and provider.startswith(name)):
            return router
    text = f"{provider!r} is not a known traffic provider"
    return Problem(Fault.MANIFEST, text, f"Use one of: {', '.join(known_providers())}.", "spec.provider")
