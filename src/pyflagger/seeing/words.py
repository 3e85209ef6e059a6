"""Views of a canary in words. Used by `explain` and the command line."""

from __future__ import annotations

from pyflagger.api.durations import show
from pyflagger.seeing.model import CanaryView


def summary(view: CanaryView) -> str:
    """The release in words: `release 42 (2.0.9 → 2.1.0)`, as far as it is known."""
    changed = [each for each in view.images if each.changed]
    tags = ", ".join(f"{_tag(each.primary)} → {_tag(each.canary)}" for each in changed)
    number = f"release {view.canary.release}" if view.canary.release else "the release"
    return f"{number} ({tags})" if tags else number


def _tag(image: str | None) -> str:
    return (image or "").rpartition("/")[2]


def next_text(view: CanaryView, now: float) -> str:
    """When the operator judges next, in words."""
    if view.next is None:
        return ""
    left = view.next.at - now
    return f"judged again in {show(float(round(left)))}" if left > 0 else "judged again now"
