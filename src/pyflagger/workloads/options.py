"""The operator's options that decide how primaries are rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyflagger.api.names import TOOLKIT_MARKER


@dataclass(frozen=True, slots=True)
class WorkloadOptions:
    """`include_label_prefix`: key prefixes of labels and annotations that are copied; `*` means all."""

    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    include_label_prefix: tuple[str, ...] = ()

    def included(self, labels: Mapping[str, str] | None) -> dict[str, str]:
        """The labels or annotations to copy to the primary's metadata."""
        return {
            key: value
            for key, value in unmarked(labels).items()
            if any(prefix and (prefix == "*" or key.startswith(prefix)) for prefix in self.include_label_prefix)
        }


def unmarked(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Without the keys that mark objects of Flux, because Flux does not own a copy."""
    return {key: value for key, value in (labels or {}).items() if TOOLKIT_MARKER not in key}
