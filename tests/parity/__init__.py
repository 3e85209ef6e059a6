"""The names in Flagger and in this project side by side: `python -m parity TREE` in tests/ reads Flagger's source."""

from __future__ import annotations

from collections.abc import Mapping

Names = Mapping[str, frozenset[str]]
"""Names by group, such as `flags`."""
