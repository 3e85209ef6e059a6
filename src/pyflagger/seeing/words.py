"""Views of a canary in words. Used by `explain` and the command line."""

from __future__ import annotations

from collections.abc import Sequence

from pyflagger.api.durations import show
from pyflagger.seeing.model import CanaryView, FleetRow, Image, Verdict

NONE = "-"
UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def summary(view: CanaryView) -> str:
    """The release in words: `release 42 (2.0.9 → 2.1.0)`, as far as it is known."""
    changed = [each for each in view.images if each.changed]
    tags = ", ".join(f"{_short(each.primary)} → {_short(each.canary)}" for each in changed)
    number = f"release {view.canary.release}" if view.canary.release else "the release"
    return f"{number} ({tags})" if tags else number


def _short(image: str | None) -> str:
    return (image or "").rpartition("/")[2]


def next_text(view: CanaryView, now: float) -> str:
    """When the operator judges next, in words."""
    if view.next is None:
        return ""
    left = view.next.at - now
    return f"judged again in {show(float(round(left)))}" if left > 0 else "judged again now"


def age(seconds: float) -> str:
    """How long, in the largest unit that fits, and two units below ten minutes: `40s`, `1m20s`, `12m`, `2h`, `3d`."""
    whole = max(0, int(seconds))
    if 60 <= whole < 600 and whole % 60:
        return f"{whole // 60}m{whole % 60}s"
    return next((f"{whole // size}{unit}" for unit, size in UNITS if whole >= size), "0s")


def waits_for(row: FleetRow) -> str:
    """What a canary waits for, in a line."""
    if row.verdict is Verdict.SILENT:
        return f"an operator: a round is {age(row.stale)} late"
    if row.hold:
        return ": ".join(filter(None, (row.hold.by, row.hold.reason)))
    return row.wait.text if row.wait else NONE


def since(row: FleetRow) -> float | None:
    """When the canary began to wait, or its phase last changed."""
    return row.wait.since if row.wait and row.wait.since is not None else row.last_transition


def changed(images: Sequence[Image]) -> str:
    """The tags of the images that a release changes."""
    return ", ".join(f"{_tag(each.old)} → {_tag(each.new)}" for each in images) or NONE


def _tag(image: str) -> str:
    """The tag or the start of the digest of an image."""
    name = image.rpartition("/")[2]
    if "@" in name:
        return name.partition("@")[2][:19]
    return name.partition(":")[2] or name or "?"
