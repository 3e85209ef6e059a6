"""Secrets to plant in a run, and the search for them in everything that it left: logs, events, status, metrics.

Imported by tests on any kind of cluster: `leaks(text, …)` wants texts, wherever they come from.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from pyflagger.objects import Obj

TOKEN = "planted-token-4f1c"
PASSWORD = "planted-pass/word-9a2b"
QUERY = "planted-query-77d0"
SECRETS = (TOKEN, PASSWORD, QUERY)


def forms(secret: str) -> Iterable[str]:
    """A secret as it may be written: plain, for a URL, for JSON, and as base64 by itself or as a login's."""
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    for login in (secret, f"user:{secret}"):
        yield base64.b64encode(login.encode()).decode()


def leaks(texts: Mapping[str, str], secrets: Iterable[str] = SECRETS) -> list[str]:
    """Where a secret shows: the name of the text, the secret, and the words before it. Empty when all is well."""
    found = []
    for name, text in texts.items():
        for secret in secrets:
            for form in set(forms(secret)):
                at = text.find(form)
                if at >= 0:
                    found.append(f"{name}: {secret} after {text[max(0, at - 60) : at]!r}")
    return sorted(found)


def secret(name: str, **values: str) -> Obj:
    """A Secret."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
