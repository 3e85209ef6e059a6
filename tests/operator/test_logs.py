"""Logs: what a full disk does to them, and what it must not do to a release."""

from __future__ import annotations

import io

import structlog

from pyflagger.operator import logs


class Disk(io.StringIO):
    """A stream on a disk that may be full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)

    def flush(self) -> None:
        if self.full:
            raise OSError(28, "No space left on device")


def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    """Nothing is raised; once there is room again, lines are written again."""
    disk = Disk()
    before = structlog.get_config()
    try:
        logs.configure("info", "json", disk)
        log = logs.logger()
        log.info("first")
        disk.full = True
        log.info("second")
        disk.full = False
        log.info("third")
    finally:
        structlog.configure(**before)
    assert [word for word in ("first", "second", "third") if word in disk.getvalue()] == ["first", "third"]
