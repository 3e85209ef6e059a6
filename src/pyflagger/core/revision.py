"""What changed: the target against what the status remembers of it.

A revision is a versioned hash of the target's pod template; what it is a hash of is the business of `workloads`. Hashes
without our version prefix were left by the reference and cannot be compared with. They never start or stop anything by
themselves:

* idle, and the primary runs the target's template: both hashes are written anew, silently;
* idle after a failure: the refused revision is written anew, as it was the target's when the reference looked last;
* otherwise idle: the target is new;
* in a run: it goes on with the target as it is, and its weight is held for another full interval.

Configs are compared in every view, as their checksums are the reference's. Called by the phases of `core`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from pyflagger.api.canary import CanaryStatus, Phase
from pyflagger.core.situation import Target

OURS = "v1:"
DIGESTS_MAX = 1024
"""Checksums that are kept: they are asked for at nearly every decision."""


class Change(StrEnum):
    """How the target differs from what was last acted on."""

    NONE = "none"
    NEW = "new"
    REVERTED = "reverted"
    """Back to the revision that the primary runs."""
    REBASE = "rebase"
    """The same, by all that can be known; the status is to be written anew."""


def checksum(revision: str, configs: Mapping[str, str] | None) -> str:
    """What hooks are told: differs when either input differs, and is otherwise stable."""
    return _digest(revision, None if configs is None else tuple(configs.items()))


@lru_cache(maxsize=DIGESTS_MAX)
def _digest(revision: str, configs: tuple[tuple[str, str], ...] | None) -> str:
    text = json.dumps([revision, None if configs is None else dict(configs)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ours(revision: str) -> bool:
    """Whether a revision can be compared with the target's."""
    return revision.startswith(OURS)


def configs_changed(status: CanaryStatus, target: Target) -> bool:
    """Whether a tracked ConfigMap or Secret changed. Never while tracking is off."""
    if target.configs is None:
        return False
    return dict(target.configs) != (status.tracked_configs or {})


def idle_change(status: CanaryStatus, target: Target, matches: bool) -> Change:
    """What the target is to a canary that is idle or waits for approval. `matches`: the primary runs its template."""
    if configs_changed(status, target):
        return Change.NEW
    applied, promoted = status.last_applied_spec, status.last_promoted_spec
    if ours(promoted) and target.revision == promoted:
        # After a failed promotion the primary runs something else than was promoted last.
        astray = status.canary_weight > 0 and not matches
        return Change.NEW if astray else Change.NONE if applied == promoted else Change.REVERTED
    if matches and not ours(promoted):
        # CRDs of the reference before 1.20 drop the promoted revision: there is nothing to write then that would stay.
        return Change.NONE if not promoted and applied == target.revision else Change.REBASE
    if ours(applied):
        return Change.NONE if target.revision == applied else Change.NEW
    return Change.REBASE if status.phase is Phase.FAILED else Change.NEW


def running_change(status: CanaryStatus, target: Target, matches: bool) -> Change:
    """What the target is to a canary in the middle of a run."""
    applied = status.last_applied_spec
    if configs_changed(status, target) and (target.revision == applied or not ours(applied)):
        return Change.NEW
    if not ours(applied):
        return Change.REBASE
    if target.revision == applied:
        return Change.NONE
    return Change.REVERTED if target.revision == status.last_promoted_spec and matches else Change.NEW


def refused(status: CanaryStatus, matches: bool) -> bool:
    """Whether the revision last acted on was not promoted. Where the promoted one is not stored, the primary tells."""
    return status.last_applied_spec != status.last_promoted_spec if status.last_promoted_spec else not matches


def copied(status: CanaryStatus, target: Target, matches: bool) -> bool:
    """Whether the primary got the revision of this run already, though the status does not say so yet."""
    under_way = target.revision == status.last_applied_spec != status.last_promoted_spec
    return under_way and matches and not configs_changed(status, target)
