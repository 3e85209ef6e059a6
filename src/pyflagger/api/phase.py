"""The phases of a Canary, as its status spells them."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The phase of a Canary."""

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
    """The stored text is not a phase. flagger never writes this value."""


STORED: tuple[Phase, ...] = tuple(phase for phase in Phase if phase is not Phase.UNKNOWN)
"""All phases that an API server may store."""
