"""The revision of a target: a versioned digest of the fields whose change starts a release.

It covers canonical JSON without empty values, so that client versions and server defaults do not change it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

VERSION = "v1"


def revision(value: Any) -> str:
    """`v1:` and 16 hex digits."""
    text = json.dumps(pruned(value), sort_keys=True, separators=(",", ":"))
    return f"{VERSION}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def pruned(value: Any) -> Any:
    """Without nulls, and without empty maps and lists below the top."""
    if isinstance(value, dict):
        kept = {key: pruned(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not None and inner != {} and inner != []}
    if isinstance(value, list):
        return [pruned(inner) for inner in value]
    return value
