"""Logs: what a full disk does to them, and what it must not do to a release."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
import structlog

from pyflagger import logs


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


EVIL = 'refused\n2026-11-25 [info] promoted\x1b[2K\r\u202e "a"'


@pytest.mark.parametrize("encoding", ["json", "console"])
def test_a_line_is_one_line(encoding: str) -> None:
    """What a hook answers, or a name that a caller made up, neither begins a line nor is obeyed by a terminal."""
    stream, before = io.StringIO(), structlog.get_config()
    try:
        logs.configure("info", encoding, stream)
        logs.logger().info(EVIL, canary=EVIL, hook=EVIL)
    finally:
        structlog.configure(**before)
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    assert not [one for one in text[:-1] if not one.isprintable()]
    assert "refused\\n2026" in text


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


def test_logging_does_not_load_what_only_people_need() -> None:
    """rich is for the commands of people: 3 MiB that an operator has no use for."""
    code = "import sys; from pyflagger import logs; assert 'rich' not in sys.modules; import rich; rich.print"
    subprocess.run([sys.executable, "-c", code], check=True)
