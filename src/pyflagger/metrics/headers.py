"""Request headers from a manifest: validates and copies them, and adds Authorization."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pyflagger.api.facts import Fault
from pyflagger.metrics.base import ProviderError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Headers = tuple[tuple[str, str], ...]


def with_authorization(custom: Mapping[str, tuple[str, ...]], authorization: str, fallback: str = "") -> Headers:
    """All headers, one pair for each value, with at most one Authorization. Raises ProviderError.

    `authorization` replaces a custom header. `fallback` applies if there is neither. Empty means none.
    """
    headers = [(name, value) for name, values in custom.items() for value in values]
    for name, value in headers:
        if not _NAME.fullmatch(name) or not all(character == "\t" or character.isprintable() for character in value):
            raise ProviderError(
                f"header {name!r} is not a valid HTTP header", "Correct spec.provider.headers.", Fault.MANIFEST
            )
    others = [(name, value) for name, value in headers if name.lower() != "authorization"]
    chosen = authorization or (fallback if len(others) == len(headers) else "")
    return (*others, ("Authorization", chosen)) if chosen else tuple(headers)
