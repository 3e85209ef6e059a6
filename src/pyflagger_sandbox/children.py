"""Child processes that end with the sandbox, even when SIGKILL ends it."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)
"""Looked up before any fork. None on systems other than Linux."""


def falling_by(number: int, parent: int) -> Callable[[], None]:
    """A function for a child of `parent` to call between fork and exec. The child then gets signal `number` when its
    parent ends.
    """

    def fall() -> None:
        if _PRCTL is not None:
            _PRCTL(_PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:  # The parent ended before prctl was called.
                os.kill(os.getpid(), number)

    return fall


def fall_with_parent() -> None:
    """Call in a child of this process between fork and exec: SIGKILL ends the child together with this process."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
