"""Runs a coroutine until SIGINT, SIGTERM or SIGHUP, with time to clean up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

Outcome = TypeVar("Outcome")


class Interrupted(Exception):
    """A signal requested the end; `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


async def interruptible(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """The result of `work`, unless SIGINT, SIGTERM or SIGHUP comes first.

    After a signal `work` is cancelled and can clean up; further signals are ignored. Raises Interrupted.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Queue[int]()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, told.put_nowait, number)
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(told.get())
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Interrupted(waiting.result())
        return working.result()
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.wait((working, waiting))
        for number in numbers:
            loop.remove_signal_handler(number)
