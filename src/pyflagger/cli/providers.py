"""The type of options that name a traffic provider. Used by `lint` and `sandbox`."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from pyflagger.api.facts import Problem
from pyflagger.api.names import resolve_provider
from pyflagger.routing.registry import known_providers, router_for


class Provider(click.ParamType[str]):
    """The name of a traffic provider."""

    name = "provider"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Reject an unknown provider with a list of the known ones."""
        found = router_for(resolve_provider(value))
        if isinstance(found, Problem):
            self.fail(f"{found.text}. {found.todo}", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The known names."""
        return [CompletionItem(name) for name in known_providers() if name.startswith(incomplete)]
