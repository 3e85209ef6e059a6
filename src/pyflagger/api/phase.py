"""The phases of a Canary, in the words that its status has for them."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a Canary is in its life."""

    NEW = ""
    INITIALIZING = "Initializing"
    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    WAITING_PROMOTION = "WaitingPromotion"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"
    UNKNOWN = "Unknown"
    """The stored text names no phase. Never written."""


STORED: tuple[Phase, ...] = tuple(phase for phase in Phase if phase is not Phase.UNKNOWN)
"""Every phase that a status on an API server may have."""
