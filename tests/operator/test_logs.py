"""Logs: what a full disk does to them, and what it must not do to a release."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from pyflagger import logs
from pyflagger.api.facts import Fault
from pyflagger.core import reasons
from pyflagger.core.decision import Reason, Say
from pyflagger.operator.act.announcer import level


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


def lines(level: str, tell: Callable[[Any], None]) -> list[str]:
    """What is logged as JSON."""
    stream, before = io.StringIO(), structlog.get_config()
    try:
        logs.configure(level, "json", stream)
        tell(logs.logger())
    finally:
        structlog.configure(**before)
    return stream.getvalue().splitlines()


def test_a_line_of_json_is_zap_s() -> None:
    """Greps for the reference's lines find ours: compact, its keys in its order, and no field without a value."""

    def tell(log: Any) -> None:
        log.error("broken", canary="web.test", todo=None, cause="", count=0)
        log.warning("held")

    first, second = lines("info", tell)
    assert first.startswith('{"level":"error","ts":"2') and first.endswith(
        '"msg":"broken","canary":"web.test","count":0}'
    )
    assert re.search(r'"caller":"operator/test_logs\.py:\d+","msg"', first)
    assert second.startswith('{"level":"warn",')


@pytest.mark.parametrize(
    ("least", "heard"),
    [("debug", 4), ("info", 3), ("warning", 2), ("warn", 2), ("error", 1), ("fatal", 0), ("panic", 0)],
)
def test_levels_mean_something(least: str, heard: int) -> None:
    """Each leaves out what is below it."""

    def tell(log: Any) -> None:
        for method in (log.debug, log.info, log.warning, log.error):
            method("x")

    assert len(lines(least, tell)) == heard


CANARY = "Halt web.test advancement success rate 90.00% < 99%"


@pytest.mark.parametrize(
    ("type_", "reason", "wanted"),
    [
        ("Normal", reasons.PROVIDERS_AVAILABLE, "info"),
        ("Warning", Reason("metric-bad", CANARY), "warning"),
        ("Warning", Reason("primary-not-ready", "web not ready", fault=Fault.CLUSTER), "warning"),
        ("Warning", Reason("rolling-back", "Rolling back web.test failed checks threshold reached 3"), "error"),
        ("Warning", Reason("failed", "Canary failed! Scaling down web.test"), "error"),
        ("Warning", Reason("promotion-failed", "Promotion of web.test failed"), "error"),
        ("Warning", Reason("blocked", "a bug", fault=Fault.US), "error"),
    ],
)
def test_progress_informs_halts_warn_and_failures_are_errors(type_: Any, reason: Reason, wanted: str) -> None:
    """Whoever pages on errors hears of releases that ended badly, and of nothing else."""
    assert level(Say(type_, reason, "", "")) == wanted


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
