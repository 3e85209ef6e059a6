"""Compares the target with the revision in the status.

A revision is a versioned hash of the target's pod template, which `workloads` computes. Hashes without flagger's
version prefix come from the reference and cannot be compared. They never start or stop a release by themselves:

* idle, and the primary runs the target's template: flagger rewrites both hashes silently;
* idle after a failure: flagger rewrites the hash of the refused revision, which the target ran last;
* otherwise idle: the target is a new revision;
* in a run: the run continues with the current target, and holds its weight for another full interval.

Checksums of configs can always be compared, because they are computed as in the reference. Called by the phases of
`core`.
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
"""The number of cached checksums. Nearly every decision needs one."""


class RevisionChange(StrEnum):
    """How the target differs from the revision last acted on."""

    NONE = "none"
    NEW = "new"
    REVERTED = "reverted"
    """Back to the revision that the primary runs."""
    REBASE = "rebase"
    """The same revision with another hash. flagger rewrites the status."""


def checksum(revision: str, configs: Mapping[str, str] | None) -> str:
    """The checksum for hooks. It changes with either input, and is stable otherwise."""
    return _digest(revision, None if configs is None else tuple(configs.items()))


@lru_cache(maxsize=DIGESTS_MAX)
def _digest(revision: str, configs: tuple[tuple[str, str], ...] | None) -> str:
    text = json.dumps([revision, None if configs is None else dict(configs)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ours(revision: str) -> bool:
    """Whether a revision can be compared with the target's."""
    return revision.startswith(OURS)


def configs_changed(status: CanaryStatus, target: Target) -> bool:
    """Whether a tracked ConfigMap or Secret changed. False if tracking is off."""
    if target.configs is None:
        return False
    return dict(target.configs) != (status.tracked_configs or {})


def idle_change(status: CanaryStatus, target: Target, matches: bool) -> RevisionChange:
    """The change for a canary that is idle or waits for approval. `matches`: the primary runs the target's template."""
    if configs_changed(status, target):
        return RevisionChange.NEW
    applied, promoted = status.last_applied_spec, status.last_promoted_spec
    if ours(promoted) and target.revision == promoted:
        # After a failed promotion the primary does not run the promoted revision.
        astray = status.canary_weight > 0 and not matches
        return RevisionChange.NEW if astray else RevisionChange.NONE if applied == promoted else RevisionChange.REVERTED
    if matches and not ours(promoted):
        # CRDs of the reference before 1.20 drop the promoted revision, so writing it has no effect.
        return RevisionChange.NONE if not promoted and applied == target.revision else RevisionChange.REBASE
    if ours(applied):
        return RevisionChange.NONE if target.revision == applied else RevisionChange.NEW
    return RevisionChange.REBASE if status.phase is Phase.FAILED else RevisionChange.NEW


def running_change(status: CanaryStatus, target: Target, matches: bool) -> RevisionChange:
    """The change for a canary in a run."""
    applied = status.last_applied_spec
    if configs_changed(status, target) and (target.revision == applied or not ours(applied)):
        return RevisionChange.NEW
    if not ours(applied):
        return RevisionChange.REBASE
    if target.revision == applied:
        return RevisionChange.NONE
    return RevisionChange.REVERTED if target.revision == status.last_promoted_spec and matches else RevisionChange.NEW


def refused(status: CanaryStatus, matches: bool) -> bool:
    """Whether the revision last acted on was not promoted. Without a stored promoted revision, the primary decides."""
    return status.last_applied_spec != status.last_promoted_spec if status.last_promoted_spec else not matches


def copied(status: CanaryStatus, target: Target, matches: bool) -> bool:
    """Whether the primary already runs the revision of this run, although the status does not record it yet."""
    under_way = target.revision == status.last_applied_spec != status.last_promoted_spec
    return under_way and matches and not configs_changed(status, target)
