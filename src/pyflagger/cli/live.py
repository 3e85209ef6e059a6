"""A view that stays on a terminal and is drawn anew, with keys. Used by commands with `--watch`."""

from __future__ import annotations

import asyncio
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text


class Display(Protocol):
    """Where a view is drawn."""

    def draw(self, text: str) -> None:
        """Show this text instead of the one before. It may contain colours."""

    def pressed(self) -> list[str]:
        """The keys that were pressed since the last call."""


class Terminal:
    """The terminal of this process."""

    def __init__(self, live: Live) -> None:
        self._live, self._keys = live, list[str]()

    def draw(self, text: str) -> None:
        """Show this text."""
        self._live.update(Text.from_ansi(text, no_wrap=True, overflow="crop"), refresh=True)

    def pressed(self) -> list[str]:
        """The keys since the last call."""
        keys, self._keys = self._keys, []
        return keys

    def press(self, keys: str) -> None:
        """Note keys."""
        self._keys += keys


@contextmanager
def terminal(wake: Callable[[], None]) -> Iterator[Terminal]:
    """The terminal, with its other screen. `wake` is called for each key."""
    with Live(console=Console(), auto_refresh=False, screen=True) as live:
        shown = Terminal(live)

        def press(keys: str) -> None:
            shown.press(keys)
            wake()

        with _keys(press):
            yield shown


@contextmanager
def _keys(press: Callable[[str], None]) -> Iterator[None]:
    """Read single keys, without echo. Ctrl-C still interrupts. Without a terminal on stdin there are no keys."""
    if not sys.stdin.isatty():
        yield
        return
    number, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    loop.add_reader(number, lambda: press(sys.stdin.read(1)))
    try:
        yield
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)
