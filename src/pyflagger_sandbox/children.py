"""Child processes that end with the sandbox, however it ends: also by SIGKILL, when nobody can take them down."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)
"""Looked up before any fork. None where there is no such thing (not Linux)."""


def falling_by(number: int, parent: int) -> Callable[[], None]:
    """What a child of `parent` calls between fork and exec to be sent a signal when its parent ends."""

    def fall() -> None:
        if _PRCTL is not None:
            _PRCTL(_PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:  # It ended before we asked.
                os.kill(os.getpid(), number)

    return fall


def fall_with_parent() -> None:
    """The same by SIGKILL, for a child of this process."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
